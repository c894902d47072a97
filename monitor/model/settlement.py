"""What is still under way between accounts, and what counts because it did not arrive.

A transfer whose both ends were seen counts for its fee alone, as part of what went out, from when it went. A movement
without another end is in transit until transfers have had their time to settle; from then on it counts, as if it had
happened at that moment. Should its other end be found later after all, it counts no more.

A movement that was found when that time was up already is in transit for as long again, for its other end may be found
as late: then it counts where it would have, which may be in a window that is over.

A movement is remembered for as long as it counts, or its other end may be found.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from monitor.model.event import Event
from monitor.model.transfers import Fate, Leg, match
from monitor.model.window import moment

#: Movements remembered by one rule. Beyond that the oldest ones that are settled count as they stand, for good; and
#: if that is not enough, the oldest ones in transit count as if they had not arrived.
LEGS_MAX = 1_000

Why = Literal["fee", "missing", "late", "transit"]


class Piece(NamedTuple):
    """What counts of a leg, and from when (µs since 1970); what is in transit counts only then.

    What is `late` is missing, too: its window may be over, and nobody has judged it with it in it yet.
    """

    leg: Leg
    amount: Decimal
    at: int
    why: Why

    def as_event(self) -> Event:
        """As a movement of this amount at the time from which it counts."""
        leg = self.leg
        return Event(leg.id, leg.asset, leg.kind, leg.direction, self.amount, moment(self.at), account=leg.account)


class Terms(NamedTuple):
    """How long transfers may take, over which window they count, how late movements may be found: microseconds."""

    settle: int
    within: int
    lateness: int
    most: int = LEGS_MAX


class Settled(NamedTuple):
    """The legs to remember, what counts of them, and what counts of those that there is no room for."""

    legs: tuple[Leg, ...]
    pieces: tuple[Piece, ...]
    folded: tuple[Piece, ...] = ()


def settle(known: Sequence[Leg], new: Iterable[Leg], terms: Terms, now: int) -> Settled:
    """What all legs come to by now, the new ones included; each leg counts once, however often it is given."""
    # Seen before its time was up: that it is overdue is to be told, also by who was not there at the time.
    seen = frozenset([leg.key for leg in known])
    fresh = sorted({leg.key: leg for leg in new if leg.key not in seen}.values())
    # So many at a time, for what there is no room for costs as much as what there is.
    result, folded = _settle((*known, *fresh[: terms.most]), seen, terms, now), list[Piece]()
    for start in range(terms.most, len(fresh), terms.most):
        folded += result.folded
        result = _settle((*result.legs, *fresh[start : start + terms.most]), seen, terms, now)
    return result._replace(folded=(*folded, *result.folded))


def _settle(legs: Sequence[Leg], seen: frozenset[tuple[str, str]], terms: Terms, now: int) -> Settled:
    groups: dict[int, list[Fate]] = {}
    for fate in match(legs, terms.settle):
        groups.setdefault(fate.group, []).append(_stamped(fate, seen, terms, now))
    told = frozenset([leg.key for leg in legs if leg.overdue])
    live = [
        group
        for group in groups.values()
        if any(_matters(fate.leg, terms, now) or _is_late(fate, told) for fate in group)
    ]
    excess, folded = sum(map(len, live)) - terms.most, list[Piece]()
    if excess > 0:
        live.sort(key=lambda group: (any(_in_transit(fate, terms, now) for fate in group), group[0].leg))
        while excess > 0:
            group = live.pop(0)
            folded += (_final(piece, now) for piece in _pieces(group, told, terms, now))
            excess -= len(group)
    kept = sorted((fate for group in live for fate in group), key=lambda fate: fate.leg)
    return Settled(tuple(fate.leg for fate in kept), tuple(_pieces(kept, told, terms, now)), tuple(folded))


def _final(piece: Piece, now: int) -> Piece:
    """What counts at once, whatever may still come."""
    return piece._replace(at=now, why="missing") if piece.why == "transit" else piece


def _stamped(fate: Fate, seen: frozenset[tuple[str, str]], terms: Terms, now: int) -> Fate:
    """The fate of a leg that knows since when it is overdue: what nobody looked at in time counts from now on."""
    leg, due = fate.leg, fate.leg.at + terms.settle
    if not fate.missing or leg.overdue or _limit(leg, terms) > now:
        return fate
    missed = due <= now - terms.within and leg.key in seen and not leg.found
    return fate._replace(leg=leg._replace(overdue=now if missed else due))


def _limit(leg: Leg, terms: Terms) -> int:
    """Until when its other end may come."""
    return (leg.found or leg.at) + terms.settle


def _in_transit(fate: Fate, terms: Terms, now: int) -> bool:
    return bool(fate.missing) and _limit(fate.leg, terms) > now


def _is_late(fate: Fate, told: Container[tuple[str, str]]) -> bool:
    """Whether it has just become overdue, when it may be too late for the present window; `told` had before."""
    return bool(fate.missing and fate.leg.found and fate.leg.overdue) and fate.leg.key not in told


def _matters(leg: Leg, terms: Terms, now: int) -> bool:
    """Whether a leg still counts, or another may yet be found that goes with it."""
    due = leg.at + terms.settle
    return max((leg.overdue or due) + terms.within, due + terms.lateness, _limit(leg, terms)) > now


def _pieces(fates: Iterable[Fate], told: Container[tuple[str, str]], terms: Terms, now: int) -> Iterator[Piece]:
    for fate in fates:
        leg, most = fate.leg, fate.leg.amount if fate.leg.unexpected is None else fate.leg.unexpected
        if fee := min(fate.fee, most):
            yield Piece(leg, fee, leg.at, "fee")
        if missing := min(fate.missing, most):
            why: Why = "transit" if _in_transit(fate, terms, now) else "late" if _is_late(fate, told) else "missing"
            yield Piece(leg, missing, leg.overdue or leg.at + terms.settle, why)
