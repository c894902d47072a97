"""`why ALERT_ID`: what was seen, what was made of it, who was told, what became of that. For three in the morning."""

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from monitor.api.ledger_views import notification_view, state_of, whole_view
from monitor.api.views import age, age_text
from monitor.commands.beside import FAILED, OK, about, load_config, open_store, print_json
from monitor.commands.roll import call_the_roll
from monitor.commands.shown import say
from monitor.config import Config
from monitor.engine.why import Untold, Whole, whole
from monitor.model.alert import Alert
from monitor.model.ledger import Attempt, Notification
from monitor.model.money import text
from monitor.model.record import Account
from monitor.model.story import Chapter, Told
from monitor.redact import redact

#: How the id of a notification begins; its footer in every chat has it.
NOTIFICATION = "ntf_"
_STYLES = {
    "firing": "red", "routed": "red", "updated": "yellow", "pending": "yellow", "data": "yellow", "resolved": "green",
    "acked": "cyan", "sent": "green", "failed": "yellow", "dead": "red", "queued": "yellow", "sending": "yellow",
    "waits": "yellow", "replaced": "dim", "dropped": "dim",
}  # fmt: skip


def why(path: Path, wanted: str, *, as_json: bool) -> int:
    """Print all that is known of an alert, or of the alerts that a notification told."""
    config = load_config(path)
    return asyncio.run(_why(config, wanted, as_json=as_json))


async def _why(config: Config, wanted: str, *, as_json: bool) -> int:
    async with open_store(config) as store:
        now = await store.time()
        if wanted.startswith(NOTIFICATION):
            told = await store.notification(wanted, config.channels)
            if told is None:
                return _unknown(f"no notification {wanted[:64]!r} is known in any channel, or no longer (a week)")
            _notification(told, as_json=as_json)
            return OK
        found = await whole(store, wanted, config.channels)
        watched = (await call_the_roll(config, store)).accounts
    if found is None:
        return _unknown(f"nothing is known of an alert {wanted[:64]!r}, or no longer (`history.keep`)")
    account = watched.get(found.record.account) if found.record else None
    if as_json:
        print_json(whole_view(found, account, now, {rule.alert: rule for rule in config.rules}))
    else:
        _print(found, account, now)
    return OK


def _unknown(what: str) -> int:
    print(what, file=sys.stderr)
    return FAILED


def _notification(told: Notification, *, as_json: bool) -> None:
    if as_json:
        print_json(notification_view(told))
        return
    console = Console(soft_wrap=True)
    for line in _of_notification(told, None):
        say(console, line)
    for mention in told.alerts:
        say(console, f"  told {mention.status} of {mention.alert} (number {mention.sequence} about it to this channel)")
    console.print("balance-monitor why ALERT_ID has the whole story of each", style="dim")


def _print(found: Whole, account: Account | None, now: datetime) -> None:
    console = Console(soft_wrap=True)
    say(console, _headline(found), style="bold")
    if found.alert is not None:
        say(console, _present(found.alert, account, now))
    if found.story:
        console.print("\nwhat happened", style="bold")
        for told in found.story:
            say(console, _of_chapter(told))
    console.print("\nwho was told", style="bold")
    for one in found.notifications:
        for line in _of_notification(one, found.id):
            say(console, line)
    for untold in found.untold:
        say(console, _of_untold(untold))
    if not found.notifications and not found.untold:
        fired = any(told.chapter.owed for told in found.story)
        console.print("  nobody: it never fired" if found.story and not fired else "  nothing is logged (any more)")


def _headline(found: Whole) -> str:
    if found.alert is not None:
        one = found.alert
        who = found.record.account if found.record else ""
        parts = [one.rule, about(who, one.subject), one.severity, state_of(found)]
    elif found.story:
        last = found.story[-1].chapter
        parts = [last.rule, about(last.account or last.record, last.subject), last.severity, state_of(found)]
    else:
        parts = [state_of(found)]
    return " ".join(part for part in (found.id, *parts) if part)


def _present(alert: Alert, account: Account | None, now: datetime) -> str:
    """How it stands by now."""
    since = alert.started_at or alert.pending_since
    line = f"{alert.state.value} for {age_text(age(since, now))}; last read {age_text(age(alert.observed_at, now))} ago"
    line += f": {_facts(alert)}" if alert.value is not None else ""
    if alert.data != "ok":
        line += f"; its facts are not fresh ({alert.data})"
    if alert.acked is not None:
        line += f"; {alert.acked.by} looks after it: {alert.acked.comment}"
    return line if account is not None else f"{line}; its account is no longer configured"


def _facts(one: Alert | Chapter) -> str:
    said = " ".join(part for part in (one.measure, None if one.value is None else text(one.value), one.unit) if part)
    return said if one.threshold is None else f"{said} (threshold {text(one.threshold)})"


def _of_chapter(told: Told) -> Text:
    one = told.chapter
    said = [f"{one.severity}" if one.what in ("pending", "firing", "updated", "event") else ""]
    said += [_facts(one) if one.value is not None and one.what not in ("data", "acked") else ""]
    said += [f"the facts behind it are {one.data}" if one.what == "data" else ""]
    said += [one.reason or "", one.note]
    channels = dict.fromkeys(channel for channel, _ in one.owed)
    # Of an acknowledgement nobody is told: it keeps reminders from those channels.
    if channels and one.what != "acked":
        said.append(f"→ {', '.join(channels)}")
    if one.value is not None and abs(told.at - one.observed_at) > timedelta(seconds=10):
        said.append(f"(as read at {_clock(one.observed_at)})")
    return _line(told.at, one.what, "  ".join(part for part in said if part))


def _of_notification(one: Notification, alert: str | None) -> list[Text]:
    number = next((f" number {each.sequence}" for each in one.alerts if each.alert == alert), "")
    left = one.tried - len(one.attempts)
    head = f"{one.channel}  {one.type}{number}  {one.id}" + (f"  ({left} earlier attempts)" if left else "")
    return [_line(one.at, one.state, head), *(_of_attempt(tried) for tried in one.attempts)]


def _of_attempt(one: Attempt) -> Text:
    took = f"{one.took / timedelta(milliseconds=1):.0f} ms"
    return Text("    ").append_text(_line(one.at, one.outcome, f"{one.said or 'no words'}  {took}"))


def _of_untold(one: Untold) -> Text:
    line = Text("  ").append("waits".ljust(9), _STYLES["waits"]).append(f" {one.channel}")
    if one.hush is None:
        return line.append("  not tried yet")
    until = f" until {_clock(one.hush.until)}" if one.hush.until else ""
    by = f" by {one.hush.by}" if one.hush.by else ""
    return line.append(redact(f"  {one.hush.kind}{by}{until}: {one.hush.why}"))


def _line(at: datetime, what: str, said: str) -> Text:
    return Text(f"  {_clock(at)}  ").append(what.ljust(9), _STYLES.get(what, "")).append(f" {redact(said)}")


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
