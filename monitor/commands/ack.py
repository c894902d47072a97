"""`ack ALERT_ID`: somebody takes care of an alert, beside a running daemon or without one."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from monitor.api.views import alert_view
from monitor.commands.beside import FAILED, OK, about, load_config, open_store, print_json
from monitor.commands.roll import call_the_roll
from monitor.config import Config
from monitor.engine.acknowledge import AUTHOR_MAX, COMMENT_MAX, Found, acknowledge_alert
from monitor.engine.drill import DRILL_ACCOUNT, DRILLS
from monitor.errors import ConfigError, NotAcknowledged
from monitor.model.acked import Acked


def acknowledge(path: Path, alert_id: str, author: str, comment: str, *, as_json: bool) -> int:
    """Acknowledge an alert and say what there is to know of it by now."""
    empty = [option for option, said in (("--author", author), ("--comment", comment)) if not said.strip()]
    if empty:
        raise ConfigError([f"{option} must not be empty" for option in empty])
    config = load_config(path)
    try:
        found, now = asyncio.run(_acknowledge(config, alert_id, author[:AUTHOR_MAX], comment[:COMMENT_MAX]))
    except NotAcknowledged as error:
        print(f"{error}; `balance-monitor status` lists what fires", file=sys.stderr)
        return FAILED
    if as_json:
        print_json(alert_view(found.alert, found.account, now, {rule.alert: rule for rule in config.rules}))
    else:
        print(_told(found, author, comment))
    return OK


async def _acknowledge(config: Config, alert_id: str, author: str, comment: str) -> tuple[Found, datetime]:
    async with open_store(config) as store:
        watched = {**(await call_the_roll(config, store)).accounts, DRILLS: DRILL_ACCOUNT}
        now = await store.time()
        return await acknowledge_alert(store, watched.get, alert_id, author, comment, lambda: now), now


def _told(found: Found, author: str, comment: str) -> str:
    alert, acked = found.alert, found.alert.acked
    assert acked is not None, "it has just been acknowledged"
    what = f"{alert.rule} {about(found.account.name, alert.subject)}".rstrip()
    if (acked.by, acked.comment) != (author[:AUTHOR_MAX], comment[:COMMENT_MAX]):
        return f"{what} was acknowledged by {_described(acked)}"
    return f"{what} is acknowledged: no reminder and no escalation, unless it gets worse; its end is told"


def _described(acked: Acked) -> str:
    return f"{acked.by} at {acked.at:%Y-%m-%dT%H:%M:%SZ}: {acked.comment}"
