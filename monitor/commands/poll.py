"""`poll ACCOUNT`: what its provider says now."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from monitor.api.views import account_view
from monitor.clock import wall_clock
from monitor.commands.beside import FAILED, OK, known, load_config, print_json
from monitor.config import Config
from monitor.engine.prepaid import FREE
from monitor.errors import ProviderError
from monitor.fields import duration_text
from monitor.model.record import Account, Answer, Record
from monitor.providers.http import Http, new_session
from monitor.redact import redact


def poll_once(path: Path, name: str, *, as_json: bool) -> int:
    """Poll one account and print what its provider says. Nothing is stored, and no quota is shared."""
    config = load_config(path)
    account = known(config.accounts, name, "account")
    try:
        answer = asyncio.run(_read(config, account))
    except (ProviderError, TimeoutError) as error:
        why = (
            f"no answer within {duration_text(_timeout(config, account))}"
            if isinstance(error, TimeoutError)
            else str(error)
        )
        kind = error.kind if isinstance(error, ProviderError) else "unreachable"
        print(redact(f"{name}: {kind}: {why}"), file=sys.stderr)
        return FAILED
    record = Record(account=name, snapshot=answer.snapshot)
    if as_json:
        print_json(account_view(account, record, None, answer.snapshot.observed_at, {}))
    else:
        _print_answer(account, answer)
    return OK


async def _read(config: Config, account: Account) -> Answer:
    settings = config.providers[account.provider]
    async with (
        new_session(config.egress) as session,
        asyncio.timeout(_timeout(config, account).total_seconds()),
    ):
        adapter = settings.connect(Http(session, settings.origin()))
        answer = await adapter.poll(account, Record(account=account.name), FREE, wall_clock())
    assert isinstance(answer, Answer), "a configured provider reads balances"
    return answer


def _timeout(config: Config, account: Account) -> timedelta:
    return config.providers[account.provider].longest_poll(config.defaults.timeout)


def _print_answer(account: Account, answer: Answer) -> None:
    snapshot = answer.snapshot
    measures = sorted({measure for told in snapshot.amounts.values() for measure in told})
    table = Table("asset", *measures, title=f"{account.name} at {account.provider}")
    for asset, told in sorted(snapshot.amounts.items()):
        table.add_row(asset, *(format(told[m], ",f") if m in told else "unknown" for m in measures))
    console = Console()
    console.print(table)
    if snapshot.missing:
        console.print(f"missing: {', '.join(snapshot.missing)} ({snapshot.why})", style="yellow", markup=False)
    for note in answer.notes:
        console.print(f"note: {note}", style="dim", markup=False)
