"""Runs a rule test: the daemon's own decisions, routes and messages, on a virtual clock and without a store.

poll at k × interval ─▶ decide ─▶ states, rows ─▶ groups ─▶ what the channels hear
        └▶ health of the provider ─▶ decide, as often as the daemon looks at it
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter

from monitor.engine.watch import account_of_checkup, match_labels
from monitor.model.alert import Severity
from monitor.model.event import Event, digest
from monitor.model.money import ZERO, text
from monitor.model.record import Account, Answer, Commit, Health, Reading
from monitor.model.snapshot import Outage, Snapshot
from monitor.ruletest import Mark, Sample, State, split_key
from monitor.ruletest_cases import Case, selects
from monitor.ruletest_inbox import Heard, Inbox
from monitor.virtual import Virtual

#: When every test begins. Nothing depends on the date.
START = datetime(2026, 1, 1, tzinfo=UTC)
#: A provider is looked at most this often between two polls: a day between polls must not mean thousands of looks.
LOOKS_MAX = 20

#: An alert within a test: rule and asset, empty where it is about an account or a provider as a whole.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Status:
    """How an alert stands."""

    state: State
    level: Severity | None = None
    value: Decimal | None = None

    def __str__(self) -> str:
        return f"{self.state} {self.level}" if self.level and self.state != "resolved" else self.state


INACTIVE = Status("inactive")


@dataclass(slots=True)
class Story:
    """What happened in a test; times count from its start.

    `readings` are samples by series, whenever one differs from the poll before; `states` has an alert's status
    whenever it changed, `movements` what became of the ledger's rows.
    """

    readings: list[tuple[timedelta, tuple[str, ...]]] = field(default_factory=list)
    states: dict[Key, list[tuple[timedelta, Status]]] = field(default_factory=dict)
    movements: list[tuple[timedelta, str]] = field(default_factory=list)
    heard: list[tuple[timedelta, Heard]] = field(default_factory=list)

    def status(self, key: Key, at: timedelta) -> Status:
        """How an alert stands after the last look at or before then."""
        states = self.states.get(key, [])
        place = bisect_right(states, at, key=itemgetter(0))
        return states[place - 1][1] if place else INACTIVE


@dataclass(slots=True)
class _Watched:
    """An account, or the provider as a whole, and how every alert of it ever stood."""

    virtual: Virtual
    known: dict[Key, Status] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return self.virtual.account

    def decide(self, reading: Reading, now: datetime) -> Commit:
        decision = self.virtual.decide(reading, now)
        self.known = dict(_statuses(self.known, decision))
        return decision


def run(case: Case, tick: Callable[[], None]) -> Story:
    """Everything that happens in a test; `tick` hears of every poll."""
    world = _World(case, tick)
    world.run()
    return world.story


@dataclass(slots=True)
class _World:
    case: Case
    tick: Callable[[], None]
    story: Story = field(default_factory=Story)
    inbox: Inbox = field(init=False)
    polled: _Watched = field(init=False)
    provider: _Watched = field(init=False)
    health: Health = field(default=Health(at=START))
    _events: deque[Event] = field(init=False)
    _baseline: bool = False

    def __post_init__(self) -> None:
        case = self.case
        self.inbox = Inbox(case.send_resolved)
        self.polled = self._watched(case.account, whole=False)
        self.provider = self._watched(account_of_checkup(case.account.provider, case.interval), whole=True)
        self._events = deque(sorted(_events(case), key=lambda event: event.occurred_at))

    def _watched(self, account: Account, *, whole: bool) -> _Watched:
        labels = match_labels(account)
        rules = tuple(r for r in self.case.rules if r.judges_provider == whole and r.matches(labels))
        return _Watched(Virtual(account, rules, self.case.policy))

    def run(self) -> None:
        every = max(self.provider.account.interval, self.case.interval / LOOKS_MAX)
        look_at = START
        for place in range(self.case.test.polls):
            now = START + place * self.case.interval
            self._poll(place, now)
            while self.provider.virtual.rules and look_at < now + self.case.interval:
                self._judge(self.provider, replace(self.health, at=look_at), look_at)
                look_at += every
            self.tick()
        self.inbox.deliver(now)
        self.inbox.drain()
        self.story.heard = [(heard.at - START, heard) for heard in self.inbox.heard]

    def _poll(self, place: int, now: datetime) -> None:
        samples = {key: told[min(place, len(told) - 1)] for key, told in self.case.test.series.items()}
        reading = self._reading(samples, now)
        self._note(reading, now)
        shown = tuple(text(one) if isinstance(one, Decimal) else one.value for one in samples.values())
        if not self.story.readings or self.story.readings[-1][1] != shown:
            self.story.readings.append((now - START, shown))
        self._judge(self.polled, reading, now)

    def _judge(self, watched: _Watched, reading: Reading, now: datetime) -> None:
        # What was due before is said before: a message never tells what came after it.
        self.inbox.deliver(now)
        before = watched.known
        commit = watched.decide(reading, now)
        for key, status in watched.known.items():
            if before.get(key, INACTIVE) != status:
                self.story.states.setdefault(key, []).append((now - START, status))
        self.inbox.owe(commit.rows, now)
        self.inbox.deliver(now)

    def _reading(self, samples: Mapping[str, Sample], now: datetime) -> Reading:
        if Mark.ERROR in samples.values():
            return Outage(at=now, kind="unreachable", why="an error in the test")
        amounts: dict[str, dict[str, Decimal]] = {}
        for key, sample in samples.items():
            if isinstance(sample, Decimal):
                asset, measure = split_key(key)
                amounts.setdefault(asset, {})[measure] = sample
        events = self._fresh(now) if self.case.nature.ledger else None
        return Answer(self._snapshot(amounts, now), events)

    def _snapshot(self, amounts: dict[str, dict[str, Decimal]], now: datetime) -> Snapshot:
        """What an adapter makes of an answer that lacks some assets: zero only where absence means that."""
        declared = self.case.account.assets
        expected = {**dict.fromkeys(declared), **{split_key(key)[0]: None for key in self.case.test.series}}
        absent = [asset for asset in expected if not any(selects(asset, other) for other in amounts)]
        if not self.case.nature.drops_zero:
            why = f"not in the answer: {', '.join(absent)}" if absent else ""
            return Snapshot(now, amounts, missing=tuple(absent), why=why)
        before = self.polled.virtual.record.snapshot
        for asset in absent:
            if asset in declared or (before and asset in before.amounts):
                amounts[asset] = dict.fromkeys(self.case.nature.measures, ZERO)
        return Snapshot(now, amounts, absent_is_zero=True)

    def _fresh(self, now: datetime) -> tuple[Event, ...]:
        """The rows that came since the last good poll; the first one's are history, not news."""
        rows = []
        while self._events and self._events[0].occurred_at <= now:
            rows.append(self._events.popleft())
        history = "" if self._baseline else " (before the first good poll: history, not news)"
        self._baseline = True
        for row in rows:
            moved = " ".join(filter(None, (row.kind, text(row.amount), row.asset, row.direction)))
            self.story.movements.append((now - START, moved + history))
        return () if history else tuple(rows)

    def _note(self, reading: Reading, now: datetime) -> None:
        """What the poller tells the store of its provider, as the store merges it."""
        match reading:
            case Answer():
                self.health = Health(at=now, noted_at=now, good_at=now)
            case Outage(why=why):
                since = self.health.failing_since or now
                self.health = replace(self.health, noted_at=now, failing_since=since, why=why)


def _events(case: Case) -> Iterator[Event]:
    for place, row in enumerate(case.test.events):
        yield Event(
            id=f"evt_{digest(case.account.name, str(place))}",
            asset=row.asset,
            kind=row.kind,
            direction=row.direction,
            amount=row.amount,
            occurred_at=START + row.at,
        )


def _statuses(before: Mapping[Key, Status], commit: Commit) -> Iterator[tuple[Key, Status]]:
    """Every alert ever seen, as it stands now: `resolved` lasts until the next breach."""
    open_now = {(a.rule, a.subject): Status(a.state.value, a.severity, a.value) for a in commit.record.alerts}
    closed = {
        (row.entry.rule, row.entry.asset or ""): Status("resolved", row.entry.severity, row.entry.value)
        for row in commit.rows
        if row.news == "resolved"
    }
    for key in {**before, **closed, **open_now}:
        was = before.get(key, INACTIVE)
        still = was if was.state == "resolved" else INACTIVE
        yield key, open_now.get(key) or closed.get(key) or still
