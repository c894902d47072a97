"""What every rule type shares: its settings, and what they mean together."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import ClassVar, Literal, Self

from jinja2 import Template
from pydantic import Field, model_validator

from monitor.fields import Duration, Section, ThresholdField  # as people write them
from monitor.model.alert import SEVERITIES, Severity
from monitor.model.asset import bare
from monitor.model.damping import Flap, Renotify
from monitor.model.labels import Matcher, compile_match
from monitor.model.record import Entry
from monitor.rules.facts import ExtremeSpec, Facts, FlowSpec, Judgement, ResidualSpec
from monitor.rules.life import FlapLimit, caveat, check_life
from monitor.rules.mistakes import mistake, mistakes
from monitor.rules.samples import SAMPLE_NOW, AnyText, samples
from monitor.rules.sandbox import compiled, filled
from monitor.rules.templates import FAILURES, amount_of, subject, template_fields

#: Labels that every alert has from elsewhere; a rule cannot set them.
RESERVED_LABELS = frozenset({"rule", "rule_type", "severity", "provider", "account", "asset"})
ANNOTATIONS_MAX = 16
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


class RuleBase(Section):
    """Settings that every rule has."""

    #: Each rule type narrows this to its own name.
    type: str
    #: True for a rule that judges a provider as a whole, not its accounts.
    judges_provider: ClassVar[bool] = False
    #: True for a rule on polls that failed: history, which holds changes, knows nothing of those.
    judges_outages: ClassVar[bool] = False
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

    @property
    def spans(self) -> bool:
        """Whether it judges several accounts together, in a record of its own."""
        return False

    @property
    def summed_by(self) -> tuple[str, ...]:
        """The labels that tell the sums of such a rule apart."""
        return ()

    @property
    def steady(self) -> bool:
        """Whether it judges by the amounts read and what has moved, and by nothing else: no time, no price."""
        return False

    @property
    def dated(self) -> bool:
        """Whether it judges nothing of a reading but of when the provider says that it is."""
        return False

    def flow(self) -> FlowSpec | None:
        """The ring this rule reads, if any."""
        return None

    def extreme(self) -> ExtremeSpec | None:
        """The values this rule looks back on, if any."""
        return None

    def residual(self) -> ResidualSpec | None:
        """What this rule asks of the ledger, if anything."""
        return None

    def watched_for(self) -> timedelta:
        """How long an asset must have been watched before this rule says anything of it."""
        return timedelta(0)

    def recoveries(self) -> Mapping[Severity, Decimal]:
        """Severity → beyond which value it is good again, where that is not the threshold itself."""
        return {}

    def measures(self) -> tuple[str, ...]:
        """The measures this rule reads: an account whose provider lacks one of them cannot be judged."""
        return ()

    def event_kinds(self) -> tuple[str, ...]:
        """The kinds of event this rule asks for by name."""
        return ()

    def plain(self, entry: Entry, details: Mapping[str, str]) -> str:
        """The built-in text: said when there is no `summary`, or when a template fails."""
        if entry.status != "resolved" and (said := self.caveat(entry, details)):
            return said
        if "read_again" in details and entry.reason in (None, "recovered"):
            value = "" if entry.value is None else f", as {amount_of(entry.value, entry.unit, entry.asset)}"
            return f"{subject(entry)} is being read again, for the first time since {details['read_again']}{value}"
        if entry.status != "resolved":
            return self.breached(entry, details)
        if entry.reason == "recovered":
            return self.recovered(entry)
        if entry.reason == "superseded":
            return f"{self.alert} no longer judges {subject(entry) or 'what it did'}"
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
        return not wanted or asset in wanted or bare(asset) in wanted

    @cached_property
    def in_usd(self) -> bool:
        """Whether it compares worths, and so needs prices."""
        summed = getattr(self, "aggregate", None)
        return "usd" in (getattr(self, "unit", None), getattr(summed, "unit", None))

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
        if self.assets and self.about() == "account" and getattr(self, "aggregate", None) is None:
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
                for entry in self.made_up():
                    fields = template_fields(entry, AnyText(), SAMPLE_NOW)
                    # A copy would forget that any label will do.
                    labels = AnyText({**entry.labels, **fields["labels"]})  # type: ignore[dict-item]
                    filled(template, {**fields, "labels": labels})
            except FAILURES as error:
                wrong.append((str(error), ("annotations", name)))
        if wrong:
            raise mistakes(wrong)
        return self

    def made_up(self) -> Iterator[Entry]:
        """Alerts as this rule would send them, on made-up facts: what its templates are tried on."""
        measure = next(iter(self.measures()), None)
        return samples(self.alert, self.type, self.severity, dict(self.labels), about=self.about(), measure=measure)
