"""`net_internal`: transfers between configured accounts do not count; what does not arrive in time does."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

from monitor.fields import duration_text
from monitor.model.event import Direction, Event
from monitor.model.money import text, total
from monitor.model.record import RuleWatch
from monitor.model.settlement import Piece
from monitor.model.window import micros
from monitor.rules.aggregate import subject_of_account
from monitor.rules.facts import FlowSpec, Overview
from monitor.rules.mistakes import mistake

#: What tells the alerts of such a rule apart unless its `aggregate` says otherwise: as without `net_internal`.
BY_ACCOUNT = ("provider", "account", "asset")
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=7)
#: What has not arrived begins to count by itself, and is looked for every 15 seconds.
_WINDOW_MIN = timedelta(minutes=1)
_ASSETS_MAX = 10


class Netting(Protocol):
    """What this page needs of a rule."""

    @property
    def direction(self) -> Direction: ...

    @property
    def summed_by(self) -> tuple[str, ...]: ...

    def watches(self, asset: str) -> bool: ...

    def exactly(self, events: Iterable[Event], spec: FlowSpec, now: Any) -> Decimal: ...


def check_settling(rule: Any) -> None:
    """A mistake for transfers that cannot be settled; `rule` has `net_internal`, `settle_within`, `within`, …"""
    if not rule.net_internal:
        if "settle_within" in rule.model_fields_set:
            raise mistake("it is how long transfers may take with `net_internal: true`", "settle_within")
        return
    if rule.within is None:
        raise mistake("one movement alone cannot be matched with another: add `within`", "net_internal")
    if rule.within < _WINDOW_MIN:
        raise mistake("with `net_internal` it is at least 1m", "within")
    if not _SHORTEST <= rule.settle_within <= _LONGEST:
        raise mistake("it is at least 1s and at most 7d", "settle_within")
    if rule.on_no_data != "keep_state":
        raise mistake("with `net_internal` an alert is always held while its account is not known", "on_no_data")


def netted(rule: Netting, facts: Overview, spec: FlowSpec) -> Mapping[str, Mapping[str, Decimal]]:
    """Subject → asset → what went over the window, transfers that arrived left out."""
    return {
        subject: {asset: rule.exactly(events, spec, facts.now) for asset, events in assets.items()}
        for subject, assets in counting(rule, facts, spec).items()
    }


def judged(rule: Netting, facts: Overview, spec: FlowSpec) -> Iterator[tuple[str, Piece]]:
    """What counts, or may yet, of the accounts and assets that a rule is about; with the subject it belongs to."""
    watch = facts.account.target
    assert isinstance(watch, RuleWatch)
    for piece in facts.pieces:
        member = watch.members.get(piece.leg.account)
        if member is not None and rule.watches(piece.leg.asset) and spec.counts(piece.as_event()):
            yield subject_of_account(rule.summed_by, member, piece.leg.asset), piece


def found_late(rule: Netting, facts: Overview, spec: FlowSpec) -> dict[str, list[Event]]:
    """Subject → what has just been found not to have arrived, long after it should have."""
    found: dict[str, list[Event]] = {}
    for subject, piece in judged(rule, facts, spec):
        if piece.why == "late" and piece.leg.direction == rule.direction:
            found.setdefault(subject, []).append(piece.as_event())
    return found


def counting(rule: Netting, facts: Overview, spec: FlowSpec) -> dict[str, dict[str, list[Event]]]:
    """Subject → asset → what counts of transfers, in windows that are over too."""
    found: dict[str, dict[str, list[Event]]] = {}
    for subject, piece in judged(rule, facts, spec):
        # What is in transit does not count, but it is to be told with what does.
        events = found.setdefault(subject, {}).setdefault(piece.leg.asset, [])
        if piece.why != "transit":
            events.append(piece.as_event())
    return found


def tell_transfers(rule: Netting, facts: Overview, spec: FlowSpec, subject: str) -> dict[str, str]:
    """What an alert says of transfers: those under way, and those that did not arrive in time."""
    ours = [piece for of, piece in judged(rule, facts, spec) if of == subject and piece.leg.direction == rule.direction]
    start, told = micros(facts.now - spec.within), dict[str, str]()
    missing = [piece for piece in ours if piece.why in ("missing", "late") and piece.at > start]
    if missing:
        assert spec.settle is not None
        told["stuck"] = _stuck(missing, rule.direction, duration_text(spec.settle))
    if transit := [piece for piece in ours if piece.why == "transit"]:
        told["in_transit"] = f"{_counted(len(transit), 'transfer')} in transit ({_amounts(transit)})"
    return told


def said_of_transfers(details: Mapping[str, str]) -> str:
    """The same behind a sentence."""
    said = [details[name] for name in ("stuck", "in_transit") if name in details]
    return f"; {', '.join(said)}" if said else ""


def _stuck(pieces: list[Piece], direction: Direction, limit: str) -> str:
    accounts = sorted({piece.leg.account for piece in pieces})
    rest = f" and {len(accounts) - _ASSETS_MAX} more" if len(accounts) > _ASSETS_MAX else ""
    who = ", ".join(accounts[:_ASSETS_MAX]) + rest
    one = len(pieces) == 1
    what = f"a transfer of {_amounts(pieces)}" if one else f"{len(pieces)} transfers of {_amounts(pieces)} in all"
    if direction == "in":
        return f"{what} to {who} {'has' if one else 'have'} not been seen leaving another account within {limit}"
    return f"{what} from {who} {'has' if one else 'have'} not arrived within {limit}"


def _amounts(pieces: Iterable[Piece]) -> str:
    """`120000 USDT, 3 BTC`"""
    assets: dict[str, list[Decimal]] = {}
    for piece in pieces:
        assets.setdefault(piece.leg.asset, []).append(piece.amount)
    named = [f"{text(total(amounts))} {asset}" for asset, amounts in sorted(assets.items())]
    rest = f" and {len(named) - _ASSETS_MAX} more" if len(named) > _ASSETS_MAX else ""
    return ", ".join(named[:_ASSETS_MAX]) + rest


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
