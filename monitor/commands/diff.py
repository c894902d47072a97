"""The command `check --diff`: what a reload would close, open or change, told from what the store knows."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from monitor.commands.beside import OK, load_config, open_store, print_json
from monitor.commands.checks import counted
from monitor.config import Config
from monitor.engine.drill import DRILLS
from monitor.engine.foresee import Change, foresee, forget
from monitor.engine.policy import Policy
from monitor.engine.records import all_records
from monitor.engine.watch import STORE_PROVIDER, Watch, stand_ins
from monitor.errors import StoreUnusable
from monitor.feeds import Feeds
from monitor.model.record import Account, Need, Record
from monitor.rules.self_alert import SELF_ALERTS
from monitor.staff import policy
from monitor.store.redis import RedisStore

#: Fewer accounts are read before a progress bar could be.
PROGRESS_FROM = 1_000
#: Lines of each kind for people; `--json` has them all.
LINES_MAX = 50
_STYLES = {"closes": "green", "opens": "red", "changes": "yellow"}


@dataclass(slots=True)
class Difference:
    """What would change: alerts, the accounts that are new or gone, and the rules that alerts have lost."""

    changes: list[Change] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rules_removed: list[str] = field(default_factory=list)


def check_diff(path: Path, *, as_json: bool) -> int:
    """Print what a reload of this configuration would do to the alerts; nothing is written.

    ConfigError for a configuration with mistakes; StoreUnavailable or StoreUnusable when the store cannot be read.
    """
    config = load_config(path)
    if config.store.embedded and not config.store.directory.exists():
        raise StoreUnusable(
            f"there is no store in {config.store.directory} yet: no alert would close, all accounts are new"
        )
    found = asyncio.run(_compare(config))
    if as_json:
        print_json(_report(found))
    else:
        _print(config, found)
    return OK


async def _compare(config: Config) -> Difference:
    async with open_store(config) as store:
        now, found = await store.time(), Difference()
        enrolled = {
            name: provider
            for provider in await store.providers()
            # The others stand for what is no account: the store itself, sources of prices.
            if not provider.startswith("@")
            for name in await store.enrolled(provider)
        }
        found.added = sorted(config.accounts.keys() - enrolled.keys())
        found.removed = sorted(enrolled.keys() - config.accounts.keys())
        feeds = Feeds(config.prices)
        await feeds.refresh(store)
        await _Foreseer(config, store, now, enrolled, policy(config, feeds.book)).run(found)
    return found


class _Foreseer:
    """Goes through all that is configured, and all that has alerts."""

    def __init__(
        self, config: Config, store: RedisStore, now: datetime, enrolled: dict[str, str], policy: Policy
    ) -> None:
        self.config, self.store, self.now, self.enrolled = config, store, now, enrolled
        self.watched = {**config.accounts, **stand_ins(config.accounts, config.rules)}
        self.policy = policy
        self.watches: dict[str, Watch] = {}

    async def run(self, found: Difference) -> None:
        everybody = dict.fromkeys((*self.watched, *await self.store.open_accounts()))
        # A reload changes nothing in them.
        everybody.pop(DRILLS, None)
        gone = set[str]()
        disabled = len(everybody) < PROGRESS_FROM
        with Progress(console=Console(stderr=True), transient=True, disable=disabled) as progress:
            task = progress.add_task("accounts", total=len(everybody))
            async for record in all_records(self.store, everybody):
                found.changes += await self._foresee(record)
                gone |= {alert.rule for alert in record.alerts if self._removed(alert.rule, record.account)}
                progress.advance(task)
        found.changes.sort()
        found.rules_removed = sorted(gone)

    def _removed(self, rule: str, name: str) -> bool:
        account = self.watched.get(name)
        if rule in self.policy.rules or rule in SELF_ALERTS or account is None:
            return False
        return rule not in {one.alert for one in self._watch(account).rules_for(account)}

    async def _foresee(self, record: Record) -> tuple[Change, ...]:
        account = self.watched.get(record.account)
        if account is None:
            return forget(record, self.enrolled.get(record.account, STORE_PROVIDER), self.now)
        if record.version == 0:
            return ()
        given = (record, account, self._watch(account).rules_for(account), self.policy, self.now)
        foreseen = foresee(*given)
        if isinstance(foreseen, Need):
            foreseen = foresee(*given, await self.store.events(record.account, foreseen.since))
        assert not isinstance(foreseen, Need), "with the events of the longest window every rule can tell"
        return foreseen

    def _watch(self, account: Account) -> Watch:
        """Who judges the accounts of a provider."""
        spec = self.config.providers.get(account.provider)
        if account.provider not in self.watches:
            ledgers = spec is not None and spec.tells_events()
            self.watches[account.provider] = Watch(self.policy, self.config.rules, lambda _, now: now, ledgers=ledgers)
        return self.watches[account.provider]


def _report(found: Difference) -> dict[str, Any]:
    by_kind: dict[str, list[dict[str, str]]] = {"closes": [], "opens": [], "changes": []}
    for change in found.changes:
        by_kind[change.kind].append({key: value for key, value in change._asdict().items() if key != "kind"})
    accounts = {"added": found.added, "removed": found.removed}
    return {**by_kind, "accounts": accounts, "rules_removed": found.rules_removed}


def _print(config: Config, found: Difference) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if not found.changes:
        console.print(f"{config.path}: no alert would close, open or change", markup=False)
    for kind, style in _STYLES.items():
        chosen = [change for change in found.changes if change.kind == kind]
        for change in chosen[:LINES_MAX]:
            who = " ".join(part for part in (change.account, change.subject) if part)
            line = f"{kind:<8} {change.severity:<8} {change.rule} {who}: {change.detail}"
            console.print(line, style=style, markup=False)
        if len(chosen) > LINES_MAX:
            console.print(f"and {len(chosen) - LINES_MAX} more {kind} (--json has them all)")
    for what, names in (("added", found.added), ("removed", found.removed)):
        if names:
            more = " …" if len(names) > 10 else ""
            console.print(f"{counted(len(names), 'account')} {what}: {', '.join(names[:10])}{more}", markup=False)
    if found.rules_removed:
        console.print(f"rules removed while they have alerts: {', '.join(found.rules_removed)}", markup=False)
