"""What we keep of an account between two polls, and what one poll writes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from monitor.model.acked import Acked
from monitor.model.alert import Alert, News, Severity
from monitor.model.damping import Turns
from monitor.model.event import Correction, Event, Ledger
from monitor.model.expected import Budgets
from monitor.model.extremes import Steps
from monitor.model.feed import Feed
from monitor.model.members import Members
from monitor.model.price import Quotes, Valued
from monitor.model.quick import quick
from monitor.model.report import Reports
from monitor.model.residual import Opens
from monitor.model.snapshot import Outage, Snapshot
from monitor.model.source import Source
from monitor.model.sums import Sums
from monitor.model.target import Target
from monitor.model.transfers import Leg
from monitor.model.window import Coverage, Flow

#: Shared by everything that has nothing to say; nobody changes it.
_NOTHING: Mapping[Any, Any] = {}


# What is made at every poll is a tuple, or `quick`: a frozen dataclass costs twice as much to make, and more.


@dataclass(frozen=True, slots=True)
class Account:
    """One monitored account as configured. `target` is what its provider needs to find it, `origin` whom we ask for it.

    `wallet` is which of its provider's wallets it is; empty where whatever it names stays the same money.
    """

    name: str
    provider: str
    interval: timedelta
    stale_after: timedelta
    assets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    target: object = None
    wallet: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ProviderWatch:
    """The target of the pseudo account that stands for a provider as a whole."""

    provider: str
    interval: timedelta


@dataclass(frozen=True, slots=True)
class MonitorWatch:
    """The target of the pseudo account that stands for the monitor itself."""


@dataclass(frozen=True, slots=True)
class RuleWatch:
    """The target of the pseudo account that stands for a rule over several accounts: its members, by name.

    `everyone` are all accounts there are, for a rule that must know what goes from one to another.
    """

    rule: str
    members: Members
    everyone: Mapping[str, Account] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriceWatch:
    """The target of the pseudo account that stands for a source of prices."""

    feed: str


class Answer(NamedTuple):
    """A successful poll. `events` is None when the provider has no ledger: movements are then inferred from
    differences of `total`. `ledgers` is stream name → how far it has been read; an incomplete walk returns
    the ledgers it was given, and `gap` says why: a later one may still find what is missing. `lost` says what
    no later one will: it was given up, and the ledgers have moved on past it. `explained` is asset → what these
    events moved its `total` by, if that is not their sum; what the ledger does not cover is not in it.
    `imported` are the rows of a baseline, which are history; `corrections` what the ledger says otherwise than before.
    """

    snapshot: Snapshot
    events: tuple[Event, ...] | None = None
    ledgers: Mapping[str, Ledger] = _NOTHING
    gap: str = ""
    restated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: str = ""
    explained: Mapping[str, Decimal] | None = None
    imported: tuple[Event, ...] = ()
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider as a whole is doing, read from the store like a balance.

    `failing_since` is the first failed poll after the last good one; `noted_at` the newest note of any kind.
    """

    at: datetime
    noted_at: datetime | None = None
    good_at: datetime | None = None
    failing_since: datetime | None = None
    refused_at: datetime | None = None
    why: str = ""


class Roundup(NamedTuple):
    """What the accounts of a rule have together, read from the store like a balance.

    `sums` is subject → asset → sum. `events` are the movements since `ledgers` of the record, each with its account;
    `ledgers` is how far they have been read by now. `unknown` is labels of a sum (their values, `asset` aside; see
    `rules.unseen`) → members of which nothing is known. `prices` are what the members' providers report. `accounts` is
    subject → how many it sums up. `cut`: movements may be missing, of anybody.
    """

    at: datetime
    sums: Mapping[str, Sums] = _NOTHING
    events: tuple[Event, ...] = ()
    ledgers: Mapping[str, Ledger] = _NOTHING
    unknown: Mapping[tuple[str, ...], Collection[str]] = _NOTHING
    prices: Quotes = _NOTHING
    accounts: Mapping[str, int] = _NOTHING
    cut: bool = False


Reading = Answer | Outage | Health | Reports | Roundup


@quick
class Record:
    """Everything known of an account. `version` 0 means it was never written.

    `snapshot` is the newest knowledge (a partial answer keeps the older values, `Snapshot.seen`). `alerts` are the
    open ones; `lately` says of those that ended, by fingerprint, when they changed: they may be flapping.
    `provider` and `wallet` are whose snapshot it is (empty: of a release that did not say), and `began_at` when the
    account came there from another one. `doubts` is asset → when a zero was first read that nothing has confirmed yet.
    `valued` is what assets were worth that rules judge in USD, when that was last good: what an alert compares with;
    `reported` are the latest prices of these that the provider itself told. `budgets` are what was used of expected
    transfers.
    """

    account: str
    version: int = 0
    snapshot: Snapshot | None = None
    outage: Outage | None = None
    failing_since: datetime | None = None
    alerts: tuple[Alert, ...] = ()
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    extremes: Mapping[str, Steps] = field(default_factory=dict)
    lately: Mapping[str, Turns] = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    provider: str = ""
    began_at: datetime | None = None
    doubts: Mapping[str, datetime] = field(default_factory=dict)
    valued: Mapping[str, Valued] = field(default_factory=dict)
    reported: Quotes = field(default_factory=dict)
    budgets: Budgets = field(default_factory=dict)
    #: Of the configuration that it was last judged by, as stored; 0 before there were any.
    generation: int = 0
    residuals: Mapping[str, Opens] = field(default_factory=dict)
    #: What may still be matched with its other end, by `FlowSpec.suffix`.
    transfers: Mapping[str, tuple[Leg, ...]] = field(default_factory=dict)
    #: Why movements may be missing that the ledger has and nobody has read yet: `Answer.gap` of the last answer.
    gap: str = ""
    wallet: str = ""
    #: What this process knows of how it was judged last (`engine.calm`); never stored.
    judged: object = field(default=None, compare=False, repr=False)

    def alert(self, name: str) -> Alert | None:
        """The open alert of that id."""
        return next((one for one in self.alerts if one.id == name), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as a notification tells it, complete but for its `sequence`.

    `more` counts events like this one, none worse, that are told nowhere else. `acked` says who has taken care of it.
    """

    id: str
    fingerprint: str
    status: Literal["firing", "resolved", "event"]
    rule: str
    rule_type: str
    severity: Severity
    provider: str
    account: str
    asset: str | None
    measure: str | None
    value: Decimal | None
    previous: Decimal | None
    threshold: Decimal | None
    unit: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    started_at: datetime | None
    observed_at: datetime
    resolved_at: datetime | None = None
    reason: str | None = None
    event: Event | None = None
    more: int = 0
    acked: Acked | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of news owed to some groups. The store numbers rows (version, index) when it commits them.

    `source` says that its alert keeps others quiet from now on, or does so no longer.
    """

    news: News
    entry: Entry
    targets: tuple[Target, ...]
    source: Source | None = None


class Point(NamedTuple):
    """A measure that took a new value."""

    asset: str
    measure: str
    value: Decimal
    at: datetime


class Commit(NamedTuple):
    """All that one poll writes, in one piece or not at all; `untold` is how many alerts its imported events would have
    been. `feed` is what it tells the guard."""

    before: Record
    record: Record
    events: tuple[Event, ...] = ()
    points: tuple[Point, ...] = ()
    rows: tuple[Row, ...] = ()
    untold: int = 0
    feed: Feed | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """`decide` cannot tell without the account's events since then: load them and ask again."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Confirm:
    """`decide` does not believe a reading: read the account once more, and give these doubts with the second reading.

    Asset → since when it is doubted. The second reading is judged, whatever it says.
    """

    doubts: Mapping[str, datetime]
    why: str


#: What the commit function answered.
Committed = Literal["written", "already", "moved", "lost", "outdated"]
#: What it answered that changes a record between two polls.
Amended = Literal["written", "moved"]
