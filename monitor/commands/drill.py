"""`drill RULE`: a synthetic breach through the real routes, templates and channels, until somebody acknowledges it."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from monitor.api.views import stamp
from monitor.commands.beside import FAILED, OK, known, load_config, open_store, print_json
from monitor.commands.drill_hands import Hands
from monitor.commands.drill_quiet import kept_quiet, quiet_text
from monitor.config import Config
from monitor.engine.drill import DrillRefusedError, Scene, begin, end, find, worst_level
from monitor.engine.watch import match_labels
from monitor.errors import ConfigError
from monitor.fields import duration
from monitor.model.alert import Alert, Severity
from monitor.model.group import Hush
from monitor.model.ledger import Notification
from monitor.model.record import Account, Row
from monitor.redact import redact
from monitor.rules.base import RuleBase
from monitor.staff import policy
from monitor.store.redis import RedisStore

#: How often it is looked what has happened.
LOOK_EVERY = 0.25
#: How long channels have to take a message once it is due; a daemon that has not begun to send by then is none.
TAKE_PATIENCE, DAEMON_PATIENCE = timedelta(seconds=60), timedelta(seconds=10)
#: A drill whose command has died ends so long after it would have.
MARGIN = timedelta(minutes=1)
#: A channel that failed so often did not take it, whatever comes later.
FAILED_TRIES = 2
#: How long the end has to be told.
END_PATIENCE = timedelta(seconds=20)

#: What became of the message to one channel.
Fate = Literal["sent", "failed", "waiting"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; `wait` None: until every channel has taken the message."""

    rule: str
    account: str | None = None
    severity: Severity | None = None
    wait: timedelta | None = None


def drill(
    path: Path, rule_name: str, account_name: str | None, severity: Severity | None, wait: str | None, *, as_json: bool
) -> int:
    """Stage a drill and see it through. Exit 0: taken by every channel and, if waited for, acknowledged in time."""
    wanted = Wanted(rule_name, account_name, severity, _duration(wait))
    config = load_config(path)
    rule, account = _subject(config, wanted)
    # With --json the only thing on standard output is the report.
    out = sys.stderr if as_json else sys.stdout
    course = _Course(config, rule, account, wanted, lambda said: print(redact(said), file=out, flush=True))
    try:
        report = asyncio.run(course.run())
    except DrillRefusedError as error:
        print(f"{rule.alert}: {error}", file=sys.stderr)
        return FAILED
    if as_json:
        print_json(report)
    return OK if report["ok"] else FAILED


def _duration(wait: str | None) -> timedelta | None:
    try:
        return None if wait is None else duration(wait)
    except ValueError as error:
        raise ConfigError([f"--wait: {error}"]) from None


def _subject(config: Config, wanted: Wanted) -> tuple[RuleBase, Account]:
    """The rule, and the account whose breach is pretended."""
    rule = known({one.alert: one for one in config.rules}, wanted.rule, "rule")
    if wanted.account is not None:
        account = known(config.accounts, wanted.account, "account")
        if not _matches(rule, account):
            raise ConfigError([f"{rule.alert} is not for {account.name}"])
        return rule, account
    matched = next((one for one in config.accounts.values() if _matches(rule, one)), None)
    if matched is None:
        raise ConfigError([f"{rule.alert} matches no account"])
    return rule, matched


def _matches(rule: RuleBase, account: Account) -> bool:
    return rule.matches({"provider": account.provider} if rule.judges_provider else match_labels(account))


@dataclass(slots=True)
class _Course:
    """One drill from its beginning to its end."""

    config: Config
    rule: RuleBase
    account: Account
    wanted: Wanted
    say: Say
    channels: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    _said: set[tuple[str, str, int]] = field(default_factory=set)
    _fates: dict[str, Fate] = field(default_factory=dict)
    _told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _quiet: dict[str, str] = field(default_factory=dict)

    async def run(self) -> dict[str, Any]:
        """What came of it."""
        async with open_store(self.config) as store, Hands(self.config, store) as hands:
            now = await store.time()
            waits = self.wanted.wait or TAKE_PATIENCE
            level = self.wanted.severity or worst_level(self.rule)
            scene = Scene(self.rule, self.account, level, now, now + waits + MARGIN)
            alert, row = await begin(store, scene, policy(self.config).route)
            try:
                self._announce(alert, row)
                deadline = now + waits + _longest(row)
                await self._find_quiet(store, row, deadline)
                last = await self._watch(store, hands, alert, deadline)
            finally:
                # Also when somebody stops the command.
                await end(store, alert.id, await store.time())
            resolved = await self._wait_for_the_end(store, alert)
            return self._report(alert, last, resolved)

    def _announce(self, alert: Alert, row: Row) -> None:
        self.channels = tuple(dict.fromkeys(target.channel for target in row.targets if target.after is None))
        self.later = tuple(dict.fromkeys(target.channel for target in row.targets if target.after is not None))
        self._fates = dict.fromkeys(self.channels, "waiting")
        who = " ".join(part for part in (row.entry.account or row.entry.provider, row.entry.asset) if part)
        self.say(f"drill {alert.id}: {alert.rule} {who} {alert.severity}, for {', '.join(self.channels) or 'nobody'}")
        for target in row.targets:
            if target.after is not None and target.not_before is not None:
                self.say(f"  {target.channel} from {target.not_before:%H:%M:%S} UTC on, unless acknowledged by then")
        if error := row.entry.annotations.get("template_error"):
            self.say(f"  a template failed, the built-in text goes out: {error}")
        if self.wanted.wait is not None:
            self.say(f"  waiting for: balance-monitor ack {alert.id} --author … --comment …")

    async def _find_quiet(self, store: RedisStore, row: Row, deadline: datetime) -> None:
        """Say which channels will not be told of it, and wait for none of them."""
        alike: dict[Hush, list[str]] = {}
        for channel, hush in (await kept_quiet(self.config, store, row, await store.time())).items():
            if channel in self.channels and (hush.until is None or hush.until >= deadline):
                alike.setdefault(hush, []).append(channel)
                self._quiet[channel] = quiet_text([channel], hush)
        for hush, channels in alike.items():
            self.say(f"  {quiet_text(channels, hush)}")

    async def _watch(self, store: RedisStore, hands: Hands, alert: Alert, deadline: datetime) -> Alert:
        """Until it is acknowledged (if that is waited for) and every channel has taken it, or not."""
        started, answered = await store.time(), False
        while True:
            now = await store.time()
            await self._look(store, alert)
            known = await find(store, alert.id)
            alert, over = known or alert, known is None
            if alert.acked and not answered:
                answered = True
                self.say(f"{alert.acked.at:%H:%M:%S} acknowledged by {alert.acked.by}: {alert.acked.comment}")
            untold = any(fate == "waiting" and name not in self._quiet for name, fate in self._fates.items())
            if over or now >= deadline or not (untold or (self.wanted.wait and not answered)):
                return alert
            if untold and not self._said and not hands.busy and now - started > _patience(alert, hands):
                self.say("no daemon delivers it: it is delivered from here")
                await hands.deliver()
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self, store: RedisStore, alert: Alert) -> None:
        for one in await store.notifications_about(alert.id, (*self.channels, *self.later)):
            if not any(mention.alert == alert.id and mention.status == "firing" for mention in one.alerts):
                continue
            fate = _fate(one)
            if fate == "sent" or self._fates.get(one.channel) != "sent":
                self._fates[one.channel] = fate
            self._told[one.channel] = _told(one)
            self._say_attempts(one)

    def _say_attempts(self, one: Notification) -> None:
        for number, attempt in enumerate(one.attempts, one.tried - len(one.attempts) + 1):
            key = (one.channel, one.id, number)
            if key not in self._said:
                self._said.add(key)
                words = {"sent": "taken", "failed": f"failed (attempt {number})", "dead": "refused for good"}
                said = f": {attempt.said}" if attempt.said else ""
                self.say(f"{attempt.at:%H:%M:%S} {one.channel} {words[attempt.outcome]}{said}")

    async def _wait_for_the_end(self, store: RedisStore, alert: Alert) -> tuple[str, ...]:
        """The channels that were told that it is over, of those that want to be."""
        taken = {name for name, fate in self._fates.items() if fate == "sent"}
        wanted = {name for name in taken if self.config.channels[name].send_resolved}
        told: set[str] = set()
        deadline = await store.time() + END_PATIENCE
        while wanted - told and await store.time() < deadline:
            await asyncio.sleep(LOOK_EVERY)
            found = await store.notifications_about(alert.id, tuple(wanted))
            ends = (one for one in found if any(mention.status == "resolved" for mention in one.alerts))
            told |= {one.channel for one in ends if one.state == "sent"}
        if told:
            self.say(f"resolved in {', '.join(sorted(told))}")
        if missing := wanted - told:
            self.say(f"its end is still owed to {', '.join(sorted(missing))}")
        return tuple(sorted(told))

    def _report(self, alert: Alert, last: Alert, resolved: tuple[str, ...]) -> dict[str, Any]:
        taken = all(self._fates[name] == "sent" for name in self.channels) and bool(self.channels)
        acked, wanted = last.acked, self.wanted.wait is not None
        for name in self.channels:
            if self._fates[name] == "waiting" and name not in self._quiet:
                self.say(f"{name} was not told in time: its channel is paused, or nobody delivers")
        if wanted and acked is None:
            self.say("nobody acknowledged it in time")
        if not self.channels:
            self.say("no route leads to a channel")
        return {
            "ok": taken and (acked is not None or not wanted),
            "alert": alert.id,
            "rule": alert.rule,
            "severity": alert.severity,
            "acknowledged": {"by": acked.by, "at": stamp(acked.at), "comment": acked.comment} if acked else None,
            "channels": [
                {
                    "channel": name,
                    "state": fate,
                    "resolved": name in resolved,
                    **({"why": self._quiet[name]} if fate == "waiting" and name in self._quiet else {}),
                    **self._told.get(name, {}),
                }
                for name, fate in self._fates.items()
            ],
        }


def _longest(row: Row) -> timedelta:
    """How long a new group of those it goes to waits before it is told."""
    return max((target.wait for target in row.targets if target.after is None), default=timedelta(0))


def _patience(alert: Alert, hands: Hands) -> timedelta:
    waits = (target.wait for target in alert.targets if target.after is None)
    return max(waits, default=timedelta(0)) + (DAEMON_PATIENCE if hands.daemon else timedelta(0))


def _fate(one: Notification) -> Fate:
    if one.state == "sent":
        return "sent"
    return "failed" if one.state == "dead" or (one.state == "failed" and one.tried >= FAILED_TRIES) else "waiting"


def _told(one: Notification) -> dict[str, Any]:
    last = one.attempts[-1] if one.attempts else None
    return {
        "notification_id": one.id,
        "attempts": one.tried,
        "at": stamp(last.at) if last else None,
        "answer": redact(last.said) if last else "",
    }
