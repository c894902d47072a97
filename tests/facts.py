"""What rules and the model are given in tests: defaults for everything a test is not about."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from pydantic import TypeAdapter

from monitor.engine.decide import decide
from monitor.engine.policy import Policy
from monitor.engine.pricing import PriceBook, Reported, Static
from monitor.engine.route import compile_route
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Commit, Confirm, Health, Need, Record
from monitor.model.snapshot import Outage, Snapshot
from monitor.rules import AnyRule
from monitor.rules.facts import Blindness, Checkup, Sighting
from monitor.store import codec
from tests.builders import NOON, minutes

MINUTE = minutes(1)
_RULE = TypeAdapter(AnyRule)


def rule(rule_type, **settings):
    """A rule as its file would say it; `for_` stands for the keyword."""
    if "for_" in settings:
        settings["for"] = settings.pop("for_")
    return _RULE.validate_python({"alert": "Tested", "type": rule_type, **settings})


def account(name="hot-usdt", **settings):
    defaults = {"provider": "casino", "interval": minutes(1), "stale_after": minutes(3)}
    return Account(name=name, **{**defaults, **settings})


def snapshot(amounts=None, *, at=NOON, **settings):
    """`{"USDT": "40"}` is 40 available and in total; `{"USDT": {"held": "3"}}` says which measure."""
    written = {"USDT": "40"} if amounts is None else amounts
    full = {
        asset: said if isinstance(said, dict) else {"available": said, "total": said} for asset, said in written.items()
    }
    exact = {asset: {name: Decimal(value) for name, value in said.items()} for asset, said in full.items()}
    return Snapshot(observed_at=at, amounts=exact, **settings)


def event(amount="10", direction="out", *, at=NOON, name="e1", asset="USDT", kind="withdraw", **settings):
    return Event(
        id=name,
        asset=asset,
        kind=kind,
        direction=direction,
        amount=Decimal(amount),
        occurred_at=at,
        **settings,
    )


def sighting(amounts=None, *, now=NOON, previous=None, **settings):
    """A good poll. `previous` is written like `amounts`."""
    before = None if previous is None else snapshot(previous, at=now - minutes(1))
    shot = amounts if isinstance(amounts, Snapshot) else snapshot(amounts, at=now)
    settings.setdefault("account", account())
    return Sighting(now=now, snapshot=shot, previous=before, **settings)


def blindness(*, now=NOON, good=None, since=NOON, kind="unreachable", why="timed out"):
    outage = Outage(at=now, kind=kind, why=why)
    return Blindness(now=now, account=account(), since=since, last_good_at=good, outage=outage)


def checkup(*, now=NOON, interval=MINUTE, **health):
    """A provider's health; noted just now unless the test says otherwise."""
    health.setdefault("noted_at", now)
    return Checkup(now=now, provider="casino", interval=interval, health=Health(at=now, **health))


def policy(*channels, route=None, prices=None, **settings):
    """Alerts go to these channels, or where a route says. `prices` are static, after those that a provider reports."""
    sources = (Reported(minutes(5)), *([Static(prices)] if prices else []))
    defaults = {"tolerance": minutes(60), "book": PriceBook(sources)}
    return Policy(route=compile_route(route, channels or ("ops",)), **{**defaults, **settings})


def answer(amounts=None, *, at=NOON, events=None, **settings):
    """A good poll. `settings` are the answer's own: ledgers, gap, restated, notes."""
    shot = amounts if isinstance(amounts, Snapshot) else snapshot(amounts, at=at)
    return Answer(snapshot=shot, events=events, **settings)


def outage(at=NOON, kind="unreachable", why="timed out", **settings):
    return Outage(at=at, kind=kind, why=why, **settings)


def restarted(record):
    """The record as a new process reads it."""
    documents = codec.changed(Record(record.account), record)
    stored = codec.record(record.account, [b"%d" % record.version, None, *(one or None for one in documents), None])
    return replace(stored, version=record.version)


@dataclass
class Watched:
    """An account through many polls, each decided and then taken as committed.

    `told` collects (minutes since noon, news, entry) of every row; `needs` what had to be loaded.
    """

    rules: tuple
    account: Account = field(default_factory=account)
    policy: Policy = field(default_factory=policy)
    record: Record = field(default_factory=lambda: Record(account="hot-usdt"))
    stored: list[Event] = field(default_factory=list)
    told: list = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    recorded_at: dict[str, datetime] = field(default_factory=dict)

    def see(self, reading, now, doubts=None) -> Commit:
        """`doubts` are those about an earlier reading of the same poll."""
        commit = self.decided(reading, now, doubts)
        self.record = replace(commit.record, version=self.record.version + 1)
        self.stored += commit.events
        self.recorded_at |= dict.fromkeys((one.id for one in commit.events), now)
        self.told += [((now - NOON).total_seconds() / 60, row.news, row.entry) for row in commit.rows]
        return commit

    def decided(self, reading, now, doubts=None) -> Commit:
        """The decision alone; nothing is committed."""
        given = (self.record, reading, self.account, self.rules, self.policy, now)
        doubts = doubts or {}
        commit = decide(*given, doubts=doubts)
        if isinstance(commit, Confirm):
            # Read again, it says the same.
            doubts = commit.doubts
            commit = decide(*given, doubts=doubts)
        if isinstance(commit, Need):
            self.needs.append(commit)
            known = tuple(one for one in self.stored if self.recorded_at.get(one.id, now) >= commit.since)
            commit = decide(*given, recorded=known, doubts=doubts)
        assert isinstance(commit, Commit)
        return commit

    def reads(self, series, *, every=MINUTE, start=NOON) -> "Watched":
        """One poll for each word: an amount of USDT, `error` for an outage, `_` for an answer that misses it."""
        for place, word in enumerate(series.split()):
            now = start + place * every
            known, missing = ({}, ("USDT",)) if word == "_" else ({"USDT": word}, ())
            shot = None if word == "error" else snapshot(known, at=now, missing=missing)
            self.see(outage(now) if shot is None else answer(shot), now)
        return self

    @property
    def news(self):
        return [(minute, news) for minute, news, _ in self.told]
