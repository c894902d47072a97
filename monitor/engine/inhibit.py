"""Alerts that say less than another one that fires: with its provider down, that an account is stale is no news.

As in Alertmanager: an alert that matches the `target` of an inhibition is not told while one fires that matches its
`source`, if both have the same values in all labels that `equal` names (one that both lack counts as the same). What
matches both sides is not inhibited by what does so too, hence never by itself. Nor is what would be kept quiet by
something that it keeps quiet itself, over any number of steps: else nobody would hear of any of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from monitor.fields import Section
from monitor.model.labels import Labels, Matcher, compile_match
from monitor.model.record import Entry
from monitor.model.source import Source
from monitor.rules.self_alert import EVERYWHERE
from monitor.rules.templates import labels_of

#: How long the end of a source keeps its targets quiet: what depends on it takes a while to recover.
LINGER = timedelta(minutes=1)

_Match = Mapping[str, str | tuple[str, ...]]


class Inhibit(Section):
    """`{source: {rule_type: provider_down}, target: {rule_type: stale}, equal: [provider]}`"""

    source: _Match = Field(min_length=1, description="alerts that keep others quiet: label → value, list, or glob")
    target: _Match = Field(min_length=1, description="alerts that are kept quiet while a source fires")
    equal: tuple[str, ...] = Field(default=(), description="labels in which source and target must be the same")


#: Unless `inhibit` says otherwise.
BY_DEFAULT = (Inhibit(source={"rule_type": "provider_down"}, target={"rule_type": "stale"}, equal=("provider",)),)
#: Always: with our own network down, that providers do not answer is our doing; unless another process has a network.
ALWAYS = (
    Inhibit(
        source={"rule_type": "self", "rule": "SelfOffline", EVERYWHERE: "true"},
        target={"rule_type": ("provider_down", "stale")},
    ),
)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One that is ready to be asked."""

    source: Matcher
    target: Matcher
    equal: tuple[str, ...]

    def place(self, labels: Labels) -> tuple[str, ...]:
        """What source and target must have in common."""
        return tuple(labels.get(label, "") for label in self.equal)

    def inhibits(self, source: Labels, target: Labels) -> bool:
        """Whether one alert that fires keeps another one quiet."""
        return self.source(source) and self.target(target) and self.place(source) == self.place(target)


def compile_inhibit(inhibit: Sequence[Inhibit] | None) -> tuple[Inhibition, ...]:
    """The inhibitions of a configuration (None: it says nothing of them), and those that always hold."""
    wanted = (*(BY_DEFAULT if inhibit is None else inhibit), *ALWAYS)
    return tuple(Inhibition(compile_match(one.source), compile_match(one.target), one.equal) for one in wanted)


def is_source(labels: Labels, rules: Iterable[Inhibition]) -> bool:
    """Whether an alert keeps others quiet while it fires."""
    return any(rule.source(labels) for rule in rules)


def source_of(entry: Entry, account: str, now: datetime, *, was: bool, inhibits: bool) -> Source | None:
    """What is to be known of an alert, in the record of that account, that did or does keep others quiet."""
    if not (was or inhibits):
        return None
    since, ended_at = entry.started_at or entry.observed_at, None if inhibits else now
    return Source(entry.fingerprint, account, labels_of(entry), since, ended_at)


@dataclass(frozen=True, slots=True)
class Inhibitors:
    """The sources there are, looked up by what their targets have in common with them."""

    rules: tuple[Inhibition, ...]
    _places: tuple[Mapping[tuple[str, ...], Sequence[Source]], ...]

    @classmethod
    def of(cls, sources: Iterable[Source], rules: tuple[Inhibition, ...]) -> "Inhibitors":
        """What these sources inhibit by these rules."""
        places: tuple[dict[tuple[str, ...], list[Source]], ...] = tuple({} for _ in rules)
        for source in sources:
            for rule, place in zip(rules, places, strict=True):
                if rule.source(source.labels):
                    place.setdefault(rule.place(source.labels), []).append(source)
        return cls(rules, places)

    def inhibited(self, labels: Labels, now: datetime) -> Source | None:
        """What keeps an alert quiet; of several sources one that fires, or the one that ended last."""
        found = [source for source in self._above(labels, now) if not self._in_a_ring(labels, source, now)]
        return max(found, key=lambda one: (one.ended_at is None, one.ended_at or one.since), default=None)

    def _above(self, labels: Labels, now: datetime) -> Iterator[Source]:
        """The sources that these labels are a target of."""
        for rule, place in zip(self.rules, self._places, strict=True):
            if place and rule.target(labels):
                yield from (source for source in place.get(rule.place(labels), ()) if _counts(source, now))

    def _in_a_ring(self, labels: Labels, source: Source, now: datetime) -> bool:
        """Whether a source would in the end be kept quiet by its own target."""
        seen, waiting = {source.fingerprint}, [source]
        while waiting:
            one = waiting.pop()
            if any(rule.inhibits(labels, one.labels) for rule in self.rules):
                return True
            for above in self._above(one.labels, now):
                if above.fingerprint not in seen:
                    seen.add(above.fingerprint)
                    waiting.append(above)
        return False


def _counts(source: Source, now: datetime) -> bool:
    return source.ended_at is None or now < source.ended_at + LINGER
