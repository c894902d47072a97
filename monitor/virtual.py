"""An account on a virtual clock: the daemon's own decisions one after the other, without a store."""

from bisect import bisect_left
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar

from monitor.engine.decide import decide
from monitor.engine.doubt import NO_DOUBTS
from monitor.engine.policy import Policy
from monitor.engine.prepaid import FREE
from monitor.engine.sumreader import SumReader
from monitor.engine.sums import Cursor, Moves, SumNews, stamp
from monitor.model.event import Event
from monitor.model.record import Account, Commit, Confirm, Need, Reading, Record, Roundup
from monitor.model.silence import Silence
from monitor.model.source import Source
from monitor.model.window import micros
from monitor.rules.base import RuleBase

T = TypeVar("T")
#: All of a virtual store is one partition.
_PARTITION = 0


@dataclass(slots=True)
class Virtual:
    """An account, or what stands for a provider or a sum, with its record from one decision to the next.

    `recorded` is what the store would hold of its ledger: when each event was recorded, oldest first. `recall` is
    whence events since some time are loaded instead. `needed` says that the last decision could not be taken without.
    """

    account: Account
    rules: tuple[RuleBase, ...]
    policy: Policy
    record: Record = field(init=False)
    recorded: list[tuple[datetime, Event]] = field(default_factory=list)
    recall: Callable[[datetime], tuple[Event, ...]] | None = None
    needed: bool = False

    def __post_init__(self) -> None:
        self.record = Record(self.account.name)

    def decide(self, reading: Reading, now: datetime) -> Commit:
        """What the daemon would have committed for this reading; it is taken as written."""
        given = (self.record, reading, self.account, self.rules, self.policy, now)
        decision, doubts = decide(*given), NO_DOUBTS
        if isinstance(decision, Confirm):
            # What is played is what polls said, so the second reading says the same.
            doubts = decision.doubts
            decision = decide(*given, doubts=doubts)
        self.needed = isinstance(decision, Need)
        if isinstance(decision, Need):
            decision = decide(*given, self._since(decision.since), doubts)
        assert isinstance(decision, Commit), "with the events of the longest window every rule can tell"
        self.record = replace(decision.record, version=self.record.version + 1)
        self.recorded += [(now, event) for event in decision.events]
        return decision

    def _since(self, since: datetime) -> tuple[Event, ...]:
        if self.recall is not None:
            return self.recall(since)
        first = bisect_left(self.recorded, since, key=itemgetter(0))
        return tuple(event for _, event in self.recorded[first:])


@dataclass(slots=True)
class Shelf:
    """What sums over accounts would find in the store, at one moment of a virtual clock."""

    now: datetime
    _records: dict[str, Record] = field(default_factory=dict)
    _stale_at: dict[str, datetime] = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _moves: list[tuple[int, Event]] = field(default_factory=list)
    _version: int = 0
    _sources: dict[str, Source] = field(default_factory=dict)

    def write(self, account: Account, commit: Commit, now: datetime) -> None:
        """Take over what was committed for an account."""
        self.now, name = now, account.name
        self._version = max(self._version + 1, micros(now))
        self._records[name] = commit.record
        if told := stamp(commit, account.stale_after):
            self._stale_at[name] = told.stale_at
            if told.changed:
                self._changed[name] = self._version
        self._moves += [(self._version, replace(event, account=name)) for event in commit.events]

    async def sum_news(self, since: Mapping[int, Cursor]) -> Mapping[int, SumNews]:
        """As on the port of that name."""
        known, cursor = since.get(_PARTITION), Cursor(self._version, self.now)
        if known is None:
            return {_PARTITION: SumNews((), (), cursor, whole=True)}
        changed = tuple(name for name, version in self._changed.items() if version > known.version)
        stale = tuple(name for name, at in self._stale_at.items() if known.at < at <= self.now)
        return {_PARTITION: SumNews(changed, stale, cursor)}

    async def expect_readings(self, stale_at: Mapping[str, datetime]) -> None:
        """Nothing more: whoever is here was written here, and is counted since."""

    async def moves(self, since: Mapping[int, int], at_least: datetime) -> Moves:
        """As on the port of that name."""
        start = max(since.get(_PARTITION, 0) + 1, micros(at_least))
        rows = self._moves[bisect_left(self._moves, start, key=itemgetter(0)) :]
        read = rows[-1][0] if rows else since.get(_PARTITION, 0)
        return Moves(tuple(event for _, event in rows), {_PARTITION: read} if read else {})

    async def silences(self, now: datetime) -> tuple[Silence, ...]:  # noqa: ARG002 - as on the port
        """Nobody is there who could make one."""
        return ()

    def hear(self, commit: Commit) -> None:
        """Take over which of its alerts keep others quiet."""
        self._sources |= {row.source.fingerprint: row.source for row in commit.rows if row.source}

    async def sources(self, now: datetime) -> tuple[Source, ...]:  # noqa: ARG002 - as on the port
        """All there ever were: whoever asks knows which still count."""
        return tuple(self._sources.values())

    async def end_source(self, source: Source, now: datetime) -> bool:
        """Nothing is ever lost here."""
        raise NotImplementedError

    async def rouse(self, channel: str) -> None:
        """Nobody sleeps here."""

    async def load_many(self, accounts: Sequence[str]) -> list[Record]:
        """As on the port of that name."""
        return [self._records.get(name) or Record(name) for name in accounts]


class VirtualSum(Virtual):
    """A rule over several accounts, which reads what these have put on a shelf."""

    __slots__ = ("_reader", "_shelf")

    def __init__(self, account: Account, rule: RuleBase, policy: Policy, shelf: Shelf) -> None:
        super().__init__(account, (rule,), policy, recall=self._recall)
        self._shelf, self._reader = shelf, SumReader(shelf, {rule.alert: rule})

    def read(self, now: datetime) -> Roundup:
        """What the accounts have together."""
        self._shelf.now = now
        return at_once(self._reader.poll(self.account, self.record, FREE, now))

    def rests(self) -> bool:
        """Whether only another reading can change anything: no window rolls, and no alert waits."""
        return self.rules[0].flow() is None and not self.record.alerts

    def _recall(self, since: datetime) -> tuple[Event, ...]:
        return at_once(self._reader.recall(self.account, since))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("on a virtual clock there is nothing to wait for")
