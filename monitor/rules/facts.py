"""What rules judge: the facts of one reading."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from monitor.model.alert import EventVerdict, Verdict
from monitor.model.event import MONEY_KINDS, Event
from monitor.model.expected import Budgets
from monitor.model.extremes import Side, Steps
from monitor.model.price import Valued
from monitor.model.record import Account, Health, Need, Roundup
from monitor.model.report import Reports
from monitor.model.residual import Opens
from monitor.model.settlement import Piece
from monitor.model.snapshot import Change, Outage, Snapshot
from monitor.model.window import BUCKETS, Coverage, Flow

Prices = Mapping[str, Decimal]


@dataclass(frozen=True)
class FlowSpec:
    """The ring a rule reads: movements of these kinds over this window, in so many buckets.

    `kinds` None: money movements. `totals`: the base of percentages is wanted too. `dated`: it matters since when
    an asset has been watched. `excess`: only what goes beyond expected transfers counts. `settle`: transfers between
    accounts do not count, once their other end has been seen within that time.
    """

    within: timedelta
    kinds: tuple[str, ...] | None
    buckets: int = BUCKETS
    totals: bool = False
    dated: bool = False
    excess: bool = False
    settle: timedelta | None = None

    def key(self, asset: str) -> str:
        """The ring's name in the record: rules with equal needs share one."""
        return asset + self.suffix

    @cached_property
    def suffix(self) -> str:
        """What follows the asset in a ring's name: made once, not per asset and poll."""
        kinds = "" if self.kinds is None else ",".join(self.kinds)
        marks = ("" if self.buckets == BUCKETS else f"|{self.buckets}") + ("%" if self.totals else "")
        marks += "|excess" if self.excess else ""
        marks += "" if self.settle is None else f"|net{self.settle // timedelta(microseconds=1)}"
        return f"|{self.within // timedelta(microseconds=1)}|{kinds}{marks}"

    def scope(self, assets: tuple[str, ...]) -> str:
        """The name of what is known of assets without a ring, for a rule on these assets."""
        return f"{self.suffix}|{','.join(assets)}"

    def counts(self, event: Event) -> bool:
        """Whether an event belongs in this ring."""
        return event.kind in (MONEY_KINDS if self.kinds is None else self.kinds)

    def as_counted(self, event: Event) -> Event:
        """An event with the amount that counts."""
        return replace(event, amount=event.unexpected, expected=()) if self.excess and event.expected else event

    def counted(self, asset: str, events: Iterable[Event]) -> Iterator[Event]:
        """The events that belong in the ring of an asset, each with the amount that counts."""
        return (self.as_counted(event) for event in events if event.asset == asset and self.counts(event))


@dataclass(frozen=True, slots=True)
class ExtremeSpec:
    """The values a rule looks back on: the highest or the lowest of a measure over a window."""

    measure: str
    side: Side
    within: timedelta

    def key(self, asset: str) -> str:
        """The ring's name in the record: rules with equal needs share one."""
        return f"{asset}|{self.measure}|{self.side}|{self.within // timedelta(microseconds=1)}"


@dataclass(frozen=True, slots=True)
class ResidualSpec:
    """What a rule asks of the ledger: what it has not explained within this time."""

    within: timedelta

    def key(self, asset: str) -> str:
        """The name of the open amounts in the record: rules with equal needs share them."""
        return f"{asset}|unexplained|{self.within // timedelta(microseconds=1)}"


class _Everything(Container[str]):
    """Holds every subject."""

    def __contains__(self, _subject: object) -> bool:
        return True


_NOTHING: Mapping[str, Any] = {}


class Sighting(NamedTuple):
    """A good poll. `snapshot` holds only what this answer really said; `changes` compare it with `previous`.

    `events` are those new in this poll (inferred ones included), `flows` the rings after they were counted,
    `recorded` the stored events of the largest window, loaded only after a rule answered Need. `alerting` holds
    at least the subjects with an open alert: of the others it is enough to say what is bad. `extremes` are the
    values that were left within the rules' windows, by this poll too. `gap` says why the ledger could not be read
    to its end, so that events may be missing as yet; `lost` which of them are missing for good. An asset without a
    ring had no movement for as long as `coverage` (by `FlowSpec.scope`) says. `prices` hold the assets whose price is
    known and not too old; `valued` says what those were worth before, when nothing was wrong with them. `budgets`
    are what was used of expected transfers, `residuals` (by `ResidualSpec.key`) what the ledger has not explained.
    `corrected` are stored events as they stand now, taken back or standing again; `imported` those before the first
    look, which no rule counts.
    """

    # A tuple, here at every poll: a frozen dataclass costs twice as much to make.
    now: datetime
    account: Account
    snapshot: Snapshot
    previous: Snapshot | None = None
    changes: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    flows: Mapping[str, Flow] = _NOTHING
    recorded: tuple[Event, ...] | None = None
    prices: Prices = _NOTHING
    alerting: Container[str] = _Everything()
    extremes: Mapping[str, Steps] = _NOTHING
    gap: str = ""
    lost: str = ""
    coverage: Mapping[str, Coverage] = _NOTHING
    valued: Mapping[str, Valued] = _NOTHING
    budgets: Budgets = _NOTHING
    residuals: Mapping[str, Opens] = _NOTHING
    corrected: tuple[Event, ...] = ()
    imported: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Blindness:
    """A poll that failed. `last_good_at` is None when there never was a good one; then `since` counts."""

    now: datetime
    account: Account
    since: datetime
    last_good_at: datetime | None
    outage: Outage


@dataclass(frozen=True, slots=True)
class Checkup:
    """How a provider as a whole is doing. `interval` is the shortest of its accounts."""

    now: datetime
    provider: str
    interval: timedelta
    health: Health


class Overview(NamedTuple):
    """What the accounts of a rule have together. `flows` are the rings after this reading's movements were counted, by
    subject and asset; `pieces` is what counts of transfers besides, and what is in transit; `events` are those of the
    reading that are news: none where the rule begins to count. The rest is as in a Sighting."""

    now: datetime
    account: Account
    reading: Roundup
    flows: Mapping[str, Flow] = _NOTHING
    recorded: tuple[Event, ...] | None = None
    prices: Prices = _NOTHING
    alerting: frozenset[str] = frozenset()
    pieces: tuple[Piece, ...] = ()
    events: tuple[Event, ...] = ()


Facts = Sighting | Blindness | Checkup | Reports | Overview
Judgement = Verdict | EventVerdict | Need
