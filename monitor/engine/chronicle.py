"""What rules tell of movements: each once, under an id that comes from it, and again when it is taken back. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from operator import itemgetter

from monitor.engine.notice import entry_of_event
from monitor.engine.route import Router
from monitor.model.alert import SEVERITIES, EventVerdict, fingerprint
from monitor.model.event import Event, Telling
from monitor.model.record import Account, Entry, Row
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Sighting
from monitor.rules.templates import labels_of

#: Of what one rule finds after a gap so many movements are told, the worst; the others are counted.
LATE_MAX = 20


@dataclass(slots=True)
class Chronicle:
    """What one decision tells of movements, and what is stored of them."""

    account: Account
    route: Router
    now: datetime
    heard: dict[str, tuple[RuleBase, list[EventVerdict]]] = field(default_factory=dict)

    def hear(self, rule: RuleBase, verdict: EventVerdict) -> None:
        """A rule wants this told."""
        self.heard.setdefault(rule.alert, (rule, []))[1].append(verdict)

    def rows(self, facts: Facts, rules: Iterable[RuleBase]) -> Iterator[Row]:
        """What is owed: new movements, then those that are taken back or stand again."""
        for rule, verdicts in self.heard.values():
            chosen, counted = _worst_late(verdicts)
            worst = _worst_of_those(chosen, counted)
            for verdict in chosen:
                entry = self._entry(rule, verdict)
                yield self._row(_with_more(entry, len(counted)) if verdict is worst else entry)
        if isinstance(facts, Sighting) and facts.corrected:
            yield from self._corrections(facts.corrected, {rule.alert: rule for rule in rules})

    def stored(self, facts: Facts) -> tuple[Event, ...]:
        """What the ledger keeps: each movement with who told of it, and the last word on corrected ones."""
        if not isinstance(facts, Sighting):
            return ()
        told: dict[str, tuple[Telling, ...]] = {}
        for rule, verdicts in self.heard.values():
            for one in _worst_late(verdicts)[0]:
                telling = Telling(rule.alert, one.severity, one.value, one.threshold, one.unit)
                told[one.event.id] = (*told.get(one.event.id, ()), telling)
        new = facts.events
        if told:
            new = tuple(replace(event, told=told[event.id]) if event.id in told else event for event in new)
        return (*facts.imported, *new, *facts.corrected)

    def _corrections(self, corrected: Iterable[Event], rules: Mapping[str, RuleBase]) -> Iterator[Row]:
        """To those who were told of a movement: that it is gone, or stands after all."""
        for event in corrected:
            for telling in event.told:
                if (rule := rules.get(telling.rule)) is None:
                    # Its alerts are over with it.
                    continue
                verdict = EventVerdict(event, telling.severity, telling.value, telling.threshold, unit=telling.unit)
                reason = "event_reverted" if event.reverted else "event_restored"
                yield self._row(self._entry(rule, verdict, reason))

    def _entry(self, rule: RuleBase, verdict: EventVerdict, reason: str | None = None) -> Entry:
        name = fingerprint(rule.alert, self.account.name, verdict.event.asset)
        return entry_of_event(rule, self.account, verdict, name, self.now, reason)

    def _row(self, entry: Entry) -> Row:
        # It is told once and is over: there is nothing to answer.
        targets = tuple(target for target in self.route(labels_of(entry)) if target.after is None)
        return Row(news="event", entry=entry, targets=targets)


def would_tell(facts: Facts, rules: Iterable[RuleBase]) -> int:
    """How many alerts the movements before the first look would have been."""
    if not isinstance(facts, Sighting) or not facts.imported:
        return 0
    then = facts._replace(events=facts.imported)
    judged = (verdict for rule in rules if rule.about() == "event" for verdict in rule.judge(then))
    return sum(isinstance(verdict, EventVerdict) for verdict in judged)


def _worst_late(verdicts: list[EventVerdict]) -> tuple[list[EventVerdict], list[EventVerdict]]:
    """What is told, in its order, and what was found late and is only counted."""
    late = sorted((verdict for verdict in verdicts if verdict.event.late), key=_rank, reverse=True)
    if len(late) <= LATE_MAX:
        return verdicts, []
    # Amounts in two units compare with nothing: the worst in each goes before the second worst in any.
    seen = Counter[tuple[str, str | None]]()
    places: list[tuple[int, int]] = []
    for verdict in late:
        places.append((-SEVERITIES.index(verdict.severity), seen[verdict.severity, verdict.unit]))
        seen[verdict.severity, verdict.unit] += 1
    ranked = [verdict for _, verdict in sorted(zip(places, late, strict=True), key=itemgetter(0))]
    counted = {verdict.event.id for verdict in ranked[LATE_MAX:]}
    return [verdict for verdict in verdicts if verdict.event.id not in counted], ranked[LATE_MAX:]


def _worst_of_those(chosen: list[EventVerdict], counted: list[EventVerdict]) -> EventVerdict | None:
    """The one to name what was only counted: the worst that is told in the unit of the worst of these."""
    if not counted:
        return None
    alike = [verdict for verdict in chosen if verdict.unit == counted[0].unit and verdict.event.late]
    return max(alike or chosen, key=_rank)


def _rank(verdict: EventVerdict) -> tuple[int, Decimal]:
    return SEVERITIES.index(verdict.severity), verdict.value


def _with_more(entry: Entry, more: int) -> Entry:
    link = f"/v1/accounts/{entry.account}/events"
    caveat = f"{more} more movements that {entry.rule} tells of were found late, none worse: see {link}"
    return replace(entry, more=more, annotations={**entry.annotations, "caveat": caveat})
