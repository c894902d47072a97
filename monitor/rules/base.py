"""What every rule type shares: its settings, and the facts it judges."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from monitor.fields import Duration  # durations as people write them
from monitor.model.alert import EventVerdict, Severity, Verdict
from monitor.model.event import MONEY_KINDS, Event
from monitor.model.record import Account, Health, Need
from monitor.model.snapshot import Change, Outage, Snapshot
from monitor.model.window import Flow

Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """The ring a rule reads: movements of these kinds over this window. `kinds` None means money movements."""

    within: timedelta
    kinds: tuple[str, ...] | None

    def key(self, asset: str) -> str:
        """The ring's name in the record: rules with equal needs share one."""
        kinds = "" if self.kinds is None else ",".join(self.kinds)
        return f"{asset}|{self.within // timedelta(microseconds=1)}|{kinds}"

    def counts(self, event: Event) -> bool:
        """Whether an event belongs in this ring."""
        return event.kind in (MONEY_KINDS if self.kinds is None else self.kinds)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A good poll. `snapshot` holds only what this answer really said; `changes` compare it with `previous`.

    `events` are those new in this poll (inferred ones included), `flows` the rings after they were counted,
    `recorded` the stored events of the largest window, loaded only after a rule answered Need.
    """

    now: datetime
    account: Account
    snapshot: Snapshot
    previous: Snapshot | None = None
    changes: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    flows: Mapping[str, Flow] = field(default_factory=dict)
    recorded: tuple[Event, ...] | None = None
    prices: Prices = field(default_factory=dict)


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


Facts = Sighting | Blindness | Checkup
Judgement = Verdict | EventVerdict | Need


class RuleBase(BaseModel):
    """Settings that every rule has (contract section 4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: Each rule type narrows this to its own name.
    type: str
    #: True for a rule that judges a provider as a whole, not its accounts.
    judges_provider: ClassVar[bool] = False

    alert: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="the rule's name, unique over all files")
    match: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict, description="label → value, list, or glob")
    assets: tuple[str, ...] = Field(default=(), description="default: every asset of the matched accounts")
    severity: Severity = "warning"
    wait: Duration = Field(default=timedelta(0), alias="for", description="how long it must last before it fires")
    keep_firing_for: Duration = timedelta(0)
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)

    @abstractmethod
    def judge(self, facts: Facts) -> Iterator[Judgement]:
        """Say breach or clear for every subject that can be judged from these facts.

        A subject that is not named keeps its alert exactly as it is. Yield Need when the stored events
        are required to tell.
        """

    def flow(self) -> FlowSpec | None:
        """The ring this rule reads, if any."""
        return None

    def watches(self, asset: str) -> bool:
        """Whether an asset is this rule's business; a bare name selects all networks of it."""
        return not self.assets or asset in self.assets or asset.partition("@")[0] in self.assets
