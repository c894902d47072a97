"""What every rule type shares: its settings, and the facts it judges."""

import re
from abc import abstractmethod
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

from jinja2 import Template
from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.fields import Duration, ThresholdField  # as people write them
from monitor.model.alert import SEVERITIES, EventVerdict, Severity, Verdict
from monitor.model.damping import Flap, Renotify
from monitor.model.event import MONEY_KINDS, Event
from monitor.model.extremes import Side, Steps
from monitor.model.labels import Matcher, compile_match
from monitor.model.record import Account, Entry, Health, Need
from monitor.model.report import Reports
from monitor.model.snapshot import Change, Outage, Snapshot
from monitor.model.window import BUCKETS, Coverage, Flow
from monitor.rules.life import FlapLimit, caveat, check_life
from monitor.rules.mistakes import mistake, mistakes
from monitor.rules.samples import SAMPLE_NOW, AnyText, samples
from monitor.rules.sandbox import compiled, filled
from monitor.rules.templates import FAILURES, subject, template_fields

Prices = Mapping[str, Decimal]
#: Labels that every alert has from elsewhere; a rule cannot set them.
RESERVED_LABELS = frozenset({"rule", "rule_type", "severity", "provider", "account", "asset"})
ANNOTATIONS_MAX = 16
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class FlowSpec:
    """The ring a rule reads: movements of these kinds over this window, in so many buckets.

    `kinds` None: money movements. `totals`: the base of percentages is wanted too. `dated`: it matters since when
    an asset has been watched.
    """

    within: timedelta
    kinds: tuple[str, ...] | None
    buckets: int = BUCKETS
    totals: bool = False
    dated: bool = False

    def key(self, asset: str) -> str:
        """The ring's name in the record: rules with equal needs share one."""
        return asset + self.suffix

    @cached_property
    def suffix(self) -> str:
        """What follows the asset in a ring's name: made once, not per asset and poll."""
        kinds = "" if self.kinds is None else ",".join(self.kinds)
        marks = ("" if self.buckets == BUCKETS else f"|{self.buckets}") + ("%" if self.totals else "")
        return f"|{self.within // timedelta(microseconds=1)}|{kinds}{marks}"

    def scope(self, assets: tuple[str, ...]) -> str:
        """The name of what is known of assets without a ring, for a rule on these assets."""
        return f"{self.suffix}|{','.join(assets)}"

    def counts(self, event: Event) -> bool:
        """Whether an event belongs in this ring."""
        return event.kind in (MONEY_KINDS if self.kinds is None else self.kinds)


@dataclass(frozen=True, slots=True)
class ExtremeSpec:
    """The values a rule looks back on: the highest or the lowest of a measure over a window."""

    measure: str
    side: Side
    within: timedelta

    def key(self, asset: str) -> str:
        """The ring's name in the record: rules with equal needs share one."""
        return f"{asset}|{self.measure}|{self.side}|{self.within // timedelta(microseconds=1)}"


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
    ring had no movement for as long as `coverage` (by `FlowSpec.scope`) says.
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


Facts = Sighting | Blindness | Checkup | Reports
Judgement = Verdict | EventVerdict | Need


class RuleBase(BaseModel):
    """Settings that every rule has."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: Each rule type narrows this to its own name.
    type: str
    #: True for a rule that judges a provider as a whole, not its accounts.
    judges_provider: ClassVar[bool] = False
    #: Which values are the worse ones; None where no amount tells how bad it is.
    worse: ClassVar[Literal["lower", "higher"] | None] = None

    alert: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="unique over all files")
    match: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict, description="label → value, list, or glob")
    assets: tuple[str, ...] = Field(default=(), description="default: every asset of the matched accounts")
    severity: Severity = "warning"
    wait: Duration = Field(default=timedelta(0), alias="for", description="how long it must last before it fires")
    keep_firing_for: Duration = timedelta(0)
    renotify_every: ThresholdField | None = Field(
        default=None, description="told again when the value told is worse by this amount, or by this much of it"
    )
    on_no_data: Literal["keep_state", "fire", "resolve"] = Field(
        default="keep_state", description="once the account is stale, or the asset has been missing for as long"
    )
    flap: FlapLimit = Field(default=FlapLimit(), description="more changes than that are held as one firing alert")
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict, max_length=ANNOTATIONS_MAX)

    @abstractmethod
    def judge(self, facts: Facts) -> Iterator[Judgement]:
        """Say breach or clear for every subject that can be judged from these facts.

        A subject that is not named keeps its alert exactly as it is, so one that is clear and is not among
        `alerting` need not be named. Yield Need when the stored events are required to tell.
        """

    @abstractmethod
    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        """One plain sentence about an alert that fires, or an event."""

    def recovered(self, entry: Entry) -> str:
        """One plain sentence about an alert that was judged good again."""
        return f"{subject(entry)} has recovered"

    def about(self) -> Literal["asset", "account", "event"]:
        """What an alert of this rule speaks of, and so which fields it has."""
        return "asset"

    def flow(self) -> FlowSpec | None:
        """The ring this rule reads, if any."""
        return None

    def extreme(self) -> ExtremeSpec | None:
        """The values this rule looks back on, if any."""
        return None

    def measures(self) -> tuple[str, ...]:
        """The measures this rule reads: an account whose provider lacks one of them cannot be judged."""
        return ()

    def event_kinds(self) -> tuple[str, ...]:
        """The kinds of event this rule asks for by name."""
        return ()

    def plain(self, entry: Entry, details: Mapping[str, str]) -> str:
        """The built-in text: said when there is no `summary`, or when a template fails."""
        if entry.status == "firing" and (said := self.caveat(entry, details)):
            return said
        if entry.status != "resolved":
            return self.breached(entry, details)
        if entry.reason == "recovered":
            return self.recovered(entry)
        return f"{subject(entry) or self.alert} is closed: {(entry.reason or 'ended').replace('_', ' ')}"

    def caveat(self, entry: Entry, details: Mapping[str, str]) -> str:
        """What must be known of an alert besides its value: that it flaps, or that nothing was read. Else empty."""
        return caveat(self.flap, entry, details)

    def __hash__(self) -> int:
        # By name, which is unique; pydantic's own hash fails on the mappings.
        return hash((self.type, self.alert))

    def watches(self, asset: str) -> bool:
        """Whether an asset is this rule's business; a bare name selects all networks of it."""
        wanted = self.assets
        return not wanted or asset in wanted or asset.partition("@")[0] in wanted

    @cached_property
    def matches(self) -> Matcher:
        """Whether this rule is for an account with these labels (its own, `account`, `provider`)."""
        return compile_match(self.match)

    @cached_property
    def damping(self) -> Flap:
        """How many changes are flapping."""
        return Flap(self.flap.max, self.flap.within)

    @cached_property
    def renotify(self) -> Renotify | None:
        """How much worse is told again."""
        step = self.renotify_every
        return None if step is None else Renotify(step.value, step.percent, low=self.worse == "lower")

    @cached_property
    def mildest(self) -> Severity:
        """The lowest level this rule can tell."""
        levels: Mapping[Severity, object] | None = getattr(self, "levels", None)
        return min(levels, key=SEVERITIES.index) if levels else self.severity

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        """The annotations, compiled."""
        return {name: compiled(source) for name, source in self.annotations.items()}

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        for label, wanted in self.match.items():
            if not wanted and not isinstance(wanted, str):
                raise mistake("an empty list matches nothing", "match", label)
        if self.assets and self.about() == "account":
            raise mistake(f"{self.type} judges accounts as a whole, not assets", "assets")
        check_life(self)
        return self

    @model_validator(mode="after")
    def _labels_are_its_own(self) -> Self:
        for name in self.labels:
            if name in RESERVED_LABELS:
                raise mistake(f"every alert has its own label `{name}`, a rule cannot set it", "labels", name)
            if not _LABEL.fullmatch(name):
                raise mistake("a label is letters, digits, `_`, `.` and `-`, a letter first", "labels", name)
        return self

    @model_validator(mode="after")
    def _templates_render(self) -> Self:
        wrong: list[tuple[str, tuple[str, ...]]] = []
        for name, source in self.annotations.items():
            try:
                template = compiled(source)
                for entry in self._samples():
                    fields = template_fields(entry, AnyText(), SAMPLE_NOW)
                    # A copy would forget that any label will do.
                    labels = AnyText({**entry.labels, **fields["labels"]})  # type: ignore[dict-item]
                    filled(template, {**fields, "labels": labels})
            except FAILURES as error:
                wrong.append((str(error), ("annotations", name)))
        if wrong:
            raise mistakes(wrong)
        return self

    def _samples(self) -> Iterator[Entry]:
        measure = next(iter(self.measures()), None)
        return samples(self.alert, self.type, self.severity, dict(self.labels), about=self.about(), measure=measure)
