"""`status`: how every account, alert and channel is doing, as the store has it."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.api.shapes import AlertShown
from monitor.api.views import account_view, age_text, alert_view, stamp
from monitor.commands.beside import OK, load_config, open_store, print_json, shown_whom
from monitor.commands.checks import counted
from monitor.commands.guard_status import guard_lines, guard_report
from monitor.commands.roll import call_the_roll
from monitor.commands.shown import say
from monitor.config import Config
from monitor.engine.drill import DRILL_ACCOUNT, DRILLS
from monitor.engine.records import CHUNK
from monitor.engine.silence_check import firing
from monitor.engine.watch import STORE_PROVIDER
from monitor.model.record import Record
from monitor.outlook import channel_view, facts
from monitor.silencing import silence_line, silence_report
from monitor.store.redis import RedisStore

#: Rows of a table for people; `--json` has them all.
ROWS_MAX = 50
_STYLES = {"ok": "green", "failing": "yellow", "stale": "red", "never": "dim"}


def show_status(path: Path, *, as_json: bool) -> int:
    """Print how every account, alert and channel is doing, as the store has it."""
    config = load_config(path)
    report = asyncio.run(_status(config))
    if as_json:
        print_json(report)
    else:
        _print_status(report)
    return OK


async def _status(config: Config) -> dict[str, Any]:
    rules = {rule.alert: rule for rule in config.rules}
    async with open_store(config) as store:
        now = await store.time()
        watched, expires = await call_the_roll(config, store)
        names, views, late, alarmed = list(watched), [], [], list[Record]()
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            dues = await asyncio.gather(*(store.due_at(watched[name].provider, name) for name in chunk))
            records = await store.load_many(chunk)
            alarmed += (record for record in records if record.alerts)
            for name, record, due in zip(chunk, records, dues, strict=True):
                made, told = name in expires, (watched[name], record, due, now, rules)
                views.append(account_view(*told, configured=not made, expires_at=expires.get(name)))
                # As the metric counts: a moment past its due time, an account is merely about to be polled.
                if due is not None and now - due > watched[name].interval and (made or name in config.accounts):
                    late.append(now - due)
        known_silences = (*config.silences, *await store.silences(now))
        drills = await _drills(store, now)
        silences = await silence_report(store, known_silences, tuple(firing(watched, rules, alarmed)), now)
        dead = {channel: await store.count_dead(channel) for channel in config.channels}
        channels = await store.channel_health(config.channels)
        guard = await guard_report(store, now)
    alerts = [alert for view in views for alert in view["alerts"]]
    return {
        "at": stamp(now),
        "accounts": [view for view in views if view["provider"] != STORE_PROVIDER],
        "alerts": alerts,
        "drills": drills,
        "dead_deliveries": dead,
        "channels": {name: channel_view(health) for name, health in channels.items()},
        "silences": silences,
        "guard": guard,
        "late": {
            "accounts": len(late),
            "worst_ms": max(late, default=timedelta(0)) // timedelta(milliseconds=1),
        },
    }


async def _drills(store: RedisStore, now: datetime) -> list[AlertShown]:
    [record] = await store.load_many([DRILLS])
    return [alert_view(alert, DRILL_ACCOUNT, now, {}) for alert in record.alerts]


def _print_status(report: dict[str, Any]) -> None:
    console = Console(soft_wrap=True)
    accounts, alerts = report["accounts"], report["alerts"]
    worst_first = sorted(accounts, key=lambda view: list(_STYLES).index(view["status"]), reverse=True)
    table = Table("account", "provider", "status", "age", "why")
    for view in worst_first[:ROWS_MAX]:
        age = None if view["age_ms"] is None else timedelta(milliseconds=view["age_ms"])
        why = view["failure"]["why"] if view["failure"] else ""
        status = f"[{_STYLES[view['status']]}]{view['status']}[/]"
        table.add_row(view["id"], view["provider"], status, age_text(age), why or "")
    console.print(table)
    if len(accounts) > ROWS_MAX:
        console.print(f"and {len(accounts) - ROWS_MAX} more accounts (--json has them all)")
    for alert in [alert for alert in alerts if alert["state"] == "firing"][:ROWS_MAX]:
        say(console, _firing_line(alert), "red")
    for silence in report["silences"][:ROWS_MAX]:
        odd = silence["remarks"] or silence["lifted"]
        say(console, silence_line(silence), "yellow" if odd else "dim")
    _print_channels(console, report["channels"])
    for line in guard_lines(report["guard"]):
        say(console, line, "red")
    for one in report["drills"]:
        say(console, f"drill of {one['rule']}: {one['id']}, until {one['details']['until'][:19]}Z")
    pending = sum(1 for alert in alerts if alert["state"] == "pending")
    dead = sum(report["dead_deliveries"].values())
    late = report["late"]
    say(
        console,
        f"{counted(len(accounts), 'account')}, {len(alerts) - pending} firing, {pending} pending, "
        f"{dead} dead deliveries, {counted(late['accounts'], 'account')} late"
        + (f" (worst {age_text(timedelta(milliseconds=late['worst_ms']))})" if late["accounts"] else ""),
    )
    # First polls are spread: one that is due soon is somebody's.
    unseen = all(view["status"] == "never" and (view["next_poll_at"] or "") < report["at"] for view in accounts)
    if accounts and (late["accounts"] == len(accounts) or unseen):
        console.print("no account is being polled: is a daemon running on this store?", style="yellow")


def _firing_line(alert: dict[str, Any]) -> str:
    what = " ".join(filter(None, (alert["rule"], shown_whom(alert), alert["value"])))
    doubt = "" if alert["data"] == "ok" else f" (data: {alert['data']})"
    why = f": {facts(alert['details']['why'])}" if alert["details"].get("why") else ""
    return f"firing {alert['severity']}: {what}{doubt}{why}{_looked_after(alert)}"


def _print_channels(console: Console, channels: dict[str, dict[str, Any]]) -> None:
    """Those that take no messages."""
    for name, channel in channels.items():
        if channel["state"] != "ok":
            since = f" since {channel['since']}" if channel["since"] else ""
            say(console, f"channel {name} is {channel['state']}{since}: {channel['why']}", "red")


def _looked_after(alert: dict[str, Any]) -> str:
    """How an alert is called, for `ack` and `why`, and who has acknowledged it."""
    acked = alert["acknowledged"]
    return f" ({alert['id']}" + (f", acknowledged by {acked['by']}: {acked['comment']})" if acked else ")")
