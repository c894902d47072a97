"""What is read in a rule test: the answers of each account, how their providers are doing, and the prices."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.engine.pricing import PriceBook, Seen, Source
from monitor.model.asset import bare, selects
from monitor.model.event import Correction, Event, digest
from monitor.model.money import ZERO, text, total
from monitor.model.price import Quote
from monitor.model.record import Answer, Health, Reading, Record
from monitor.model.snapshot import Outage, Snapshot
from monitor.providers.times import late_before
from monitor.ruletest import split_key
from monitor.ruletest.cases import Member
from monitor.ruletest.series import OUTAGES, Mark, Sample


def sample_at(told: tuple[Sample, ...], place: int) -> Sample:
    """The sample of a poll: a series that is over goes on with its last one."""
    return told[min(place, len(told) - 1)]


def shown(sample: Sample) -> str:
    """A sample as it is written."""
    return text(sample) if isinstance(sample, Decimal) else sample.value


@dataclass(slots=True)
class Script:
    """What the polls of one account read, one after the other."""

    member: Member
    start: datetime
    _rows: deque[tuple[Event, datetime | None]] = field(init=False)
    _standing: list[tuple[Event, datetime]] = field(default_factory=list)
    _baseline: bool = False

    def __post_init__(self) -> None:
        self._rows = deque(sorted(self._events(), key=lambda row: row[0].occurred_at))

    def samples(self, place: int) -> dict[str, Sample]:
        """Series → sample of one poll."""
        return {key: sample_at(told, place) for key, told in self.member.story.series.items()}

    def reading(self, place: int, now: datetime, record: Record) -> tuple[Reading, list[str]]:
        """What a poll reads, and what is to be said of the movements in it. `record` is what was known before."""
        samples = self.samples(place)
        for sample in samples.values():
            if isinstance(sample, Mark) and (kind := OUTAGES.get(sample)):
                why = f"{sample.value} in the test"
                return Outage(now, kind, why, scope="credentials" if kind == "refused" else None), []
        amounts: dict[str, dict[str, Decimal]] = {}
        for key, sample in samples.items():
            if isinstance(sample, Decimal):
                asset, measure = split_key(key)
                amounts.setdefault(asset, {})[measure] = sample
        snapshot = self._snapshot(amounts, now, record.snapshot)
        if not self.member.nature.ledger:
            return Answer(snapshot), []
        late = late_before(record, now, self.member.nature.overlap)
        (events, told), (corrections, undone) = self._fresh(now, late), self._undone(now)
        return Answer(snapshot, events, corrections=corrections, restated=tuple(undone)), told + undone

    def _snapshot(self, amounts: dict[str, dict[str, Decimal]], now: datetime, known: Snapshot | None) -> Snapshot:
        """What an adapter makes of an answer that lacks some assets: zero only where absence means that."""
        declared, nature = self.member.account.assets, self.member.nature
        expected = {**dict.fromkeys(declared), **{split_key(key)[0]: None for key in self.member.story.series}}
        absent = [asset for asset in expected if not any(selects(asset, other) for other in amounts)]
        if not nature.drops_zero:
            why = f"not in the answer: {', '.join(absent)}" if absent else ""
            return Snapshot(now, amounts, missing=tuple(absent), why=why)
        for asset in absent:
            if asset in declared or (known and asset in known.amounts):
                amounts[asset] = dict.fromkeys(nature.measures, ZERO)
        return Snapshot(now, amounts, absent_is_zero=True)

    def _fresh(self, now: datetime, late: datetime) -> tuple[tuple[Event, ...], list[str]]:
        """The rows that came since the last good poll; the first one's are history, not news.

        Those from before `late` were found after a gap.
        """
        rows = []
        while self._rows and self._rows[0][0].occurred_at <= now:
            row, reverted_at = self._rows.popleft()
            if reverted_at is None or reverted_at > now:
                rows.append(replace(row, late=row.occurred_at < late))
                self._standing += [(row, reverted_at)] if self._baseline and reverted_at else []
        history = "" if self._baseline else " (before the first good poll: history, not news)"
        self._baseline = True
        return () if history else tuple(rows), [_told(row) + history for row in rows]

    def _undone(self, now: datetime) -> tuple[tuple[Correction, ...], list[str]]:
        """What was told before and is taken back by now."""
        rows = [row for row, reverted_at in self._standing if reverted_at <= now]
        self._standing = [(row, reverted_at) for row, reverted_at in self._standing if reverted_at > now]
        found = tuple(Correction("reverted", row.id, row.occurred_at) for row in rows)
        return found, [f"{_told(row)} is taken back" for row in rows]

    def _events(self) -> Iterator[tuple[Event, datetime | None]]:
        for place, row in enumerate(self.member.story.events):
            event = Event(
                id=f"evt_{digest(self.member.account.name, str(place))}",
                asset=row.asset,
                kind=row.kind,
                direction=row.direction,
                amount=row.amount,
                occurred_at=self.start + row.at,
                reference=row.reference,
            )
            yield event, None if row.reverted_at is None else self.start + row.reverted_at


def _told(row: Event) -> str:
    return " ".join(filter(None, (row.kind, text(row.amount), row.asset, row.direction)))


def expected_of(event: Event) -> str:
    """`50 of 60 USDT expected by payroll`; empty where nobody announced any of a movement."""
    if not event.expected or event.reverted:
        return ""
    amount, names = total(use.amount for use in event.expected), dict.fromkeys(use.by for use in event.expected)
    return f"{text(amount)} of {text(event.amount)} {event.asset} expected by {', '.join(names)}"


def noted(health: Health, reading: Reading, now: datetime) -> Health:
    """How a provider is doing after one more poll, as the store merges what pollers note.

    A poll that is good ends what failed before it; where accounts fail beside it, that began after it.
    """
    match reading:
        case Answer():
            return Health(at=now, noted_at=now, good_at=now)
        case Outage(why=why, scope=scope):
            good, since = health.good_at, health.failing_since
            begun = since if since and (good is None or since > good) else now
            refused_at = now if scope == "credentials" else health.refused_at
            return replace(health, noted_at=now, failing_since=begun, refused_at=refused_at, why=why)
    return health


@dataclass(slots=True)
class Ticker:
    """The prices that a test tells: a source before all others, and the last word on its assets."""

    series: Mapping[str, tuple[Sample, ...]]
    max_age: timedelta = timedelta.max
    _now: dict[str, Sample] = field(default_factory=dict)

    def turn(self, place: int) -> None:
        """From now on those of this poll."""
        self._now = {asset: sample_at(told, place) for asset, told in self.series.items()}

    def tells(self, asset: str) -> Sample | None:
        """What is told of an asset; a price without a network is told of all of them."""
        return self._now.get(asset) or self._now.get(bare(asset))

    def quote(self, asset: str, seen: Seen) -> Quote | None:
        """As on the port of that name."""
        told = self.tells(asset)
        return Quote(told, seen.now) if isinstance(told, Decimal) else None

    def before(self, book: PriceBook) -> PriceBook:
        """A book in which these prices stand instead."""
        return PriceBook((self, *(_Otherwise(self, source) for source in book.sources))) if self.series else book


@dataclass(frozen=True, slots=True)
class _Otherwise:
    """A source of the prices that the test does not tell."""

    ticker: Ticker
    source: Source

    @property
    def max_age(self) -> timedelta:
        return self.source.max_age

    def quote(self, asset: str, seen: Seen) -> Quote | None:
        return None if self.ticker.tells(asset) is not None else self.source.quote(asset, seen)
