"""Transfers between accounts that are watched: which way out belongs to which way in, and what is still under way.

What went and came under one transaction id belongs together, whichever accounts it was. What is left over is matched
by amount: one way out with one way in of the same bare asset at another account, not more than went out, less by a fee
at most, and not further apart in time than transfers take to settle: those that were only noticed from one reading to
the next, as close as they may have been. The pair with the smallest fee goes first, then the one closest in time. Two
ids on one network are two transfers, never one.

All movements are matched anew each time: in which order they were read does not matter, and what goes together can be
left out together without a change for the others.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from monitor.model.asset import bare
from monitor.model.event import Direction
from monitor.model.money import ZERO, add, multiply, subtract, total

#: The most of what went out that may have been spent on the way.
FEE_SHARE = Decimal("0.01")


class Leg(NamedTuple):
    """One end of what may be a transfer. `at` and `overdue` are microseconds since 1970.

    `unexpected` is the part of the amount that nobody announced (None: all). `overdue` is when it began to count as
    not arrived; 0 until then. `since` is set where `at` is only when it was noticed: it happened between the two.
    `found` is set where it was found when its time was up already: its other end may be found as late.
    """

    # Stored in this order: new fields go to the end and have a default.
    at: int
    account: str
    id: str
    asset: str
    kind: str
    direction: Direction
    amount: Decimal
    reference: str = ""
    unexpected: Decimal | None = None
    overdue: int = 0
    since: int = 0
    found: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What no other leg has."""
        return self.account, self.id

    @property
    def vague(self) -> int:
        """How much earlier than `at` it may have been."""
        return max(self.at - self.since, 0) if self.since else 0


class Fate(NamedTuple):
    """What became of a leg: how much of it was spent on the way, and how much has no other end.

    Legs of one `group` depend on each other: they are forgotten together.
    """

    leg: Leg
    fee: Decimal
    missing: Decimal
    group: int


def match(legs: Iterable[Leg], apart: int) -> tuple[Fate, ...]:
    """The fate of every leg, by time; pairs by amount are at most `apart` microseconds from each other."""
    matching = _Matching(tuple(sorted(legs)), apart)
    matching.by_reference()
    matching.by_amount()
    return matching.fates()


@dataclass(slots=True)
class _Matching:
    """Legs by their place, what is left of each, and who belongs to whom."""

    legs: tuple[Leg, ...]
    apart: int
    left: list[Decimal] = field(init=False)
    fees: dict[int, Decimal] = field(default_factory=dict)
    parents: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.left = [leg.amount for leg in self.legs]
        self.parents = list(range(len(self.legs)))

    def fates(self) -> tuple[Fate, ...]:
        return tuple(
            Fate(leg, self.fees.get(place, ZERO), self.left[place], self._group(place))
            for place, leg in enumerate(self.legs)
        )

    def by_reference(self) -> None:
        """Everything of one transaction: first what an account gave itself (its change), then the others."""
        told: dict[tuple[str, str], list[int]] = {}
        for place, leg in enumerate(self.legs):
            if leg.reference:
                told.setdefault((leg.reference, bare(leg.asset)), []).append(place)
        for places in told.values():
            outs, ins = self._sides(places)
            if not outs or not ins:
                continue
            self._join(places)
            for own in (True, False):
                for out in outs:
                    for came in ins:
                        if not own or self.legs[out].account == self.legs[came].account:
                            self._net(out, came)
            rest, sent = total(self.left[out] for out in outs), total(self.legs[out].amount for out in outs)
            if rest <= multiply(sent, FEE_SHARE):
                for out in outs:
                    self._spend(out)

    def by_amount(self) -> None:
        """One way out with one way in: the smallest fee first, then the shortest time."""
        assets: dict[str, list[int]] = {}
        for place, leg in enumerate(self.legs):
            if self.left[place]:
                # A bridge leads from one network to another.
                assets.setdefault(bare(leg.asset), []).append(place)
        for places in assets.values():
            outs, ins = self._sides(places)
            if outs and ins:
                self._pair(outs, ins)

    def _pair(self, outs: Sequence[int], ins: Sequence[int]) -> None:
        shelf = _Shelf(self.legs)
        for came in ins:
            shelf.put(self.left[came], came)
        best = [found for out in outs if (found := self._best(out, shelf))]
        heapify(best)
        while best:
            *_, out, came = heappop(best)
            if not self.left[came]:
                # Another way out was closer to it: look for the next best.
                if found := self._best(out, shelf):
                    heappush(best, found)
                continue
            shelf.take(self.left[came], came)
            self._net(out, came)
            self._spend(out)
            self._join((out, came))

    def _best(self, out: int, shelf: "_Shelf") -> tuple[Decimal, int, int, int, int] | None:
        found = shelf.nearest(self.legs[out], self.left[out], self.apart)
        return None if found is None else (found[0], found[1], found[2], out, found[3])

    def _sides(self, places: Iterable[int]) -> tuple[list[int], list[int]]:
        outs, ins = list[int](), list[int]()
        for place in places:
            (outs if self.legs[place].direction == "out" else ins).append(place)
        return outs, ins

    def _net(self, out: int, came: int) -> None:
        same = min(self.left[out], self.left[came])
        if same:
            self.left[out], self.left[came] = subtract(self.left[out], same), subtract(self.left[came], same)

    def _spend(self, out: int) -> None:
        """Whatever is left of a way out did not get lost: it is the fee."""
        self.fees[out], self.left[out] = add(self.fees.get(out, ZERO), self.left[out]), ZERO

    def _join(self, places: Sequence[int]) -> None:
        for place in places[1:]:
            self.parents[self._group(place)] = self._group(places[0])

    def _group(self, place: int) -> int:
        while self.parents[place] != place:
            self.parents[place] = self.parents[self.parents[place]]
            place = self.parents[place]
        return place


@dataclass(slots=True)
class _Shelf:
    """Ways in of one asset, by their place among all legs, to be found by amount, account and time."""

    legs: tuple[Leg, ...]
    amounts: list[Decimal] = field(default_factory=list)
    places: dict[Decimal, dict[str, list[int]]] = field(default_factory=dict)
    vaguest: int = 0

    def put(self, amount: Decimal, place: int) -> None:
        if amount not in self.places:
            insort(self.amounts, amount)
        # Places are in the order of time.
        insort(self.places.setdefault(amount, {}).setdefault(self.legs[place].account, []), place)
        self.vaguest = max(self.vaguest, self.legs[place].vague)

    def take(self, amount: Decimal, place: int) -> None:
        accounts, account = self.places[amount], self.legs[place].account
        accounts[account].remove(place)
        if not accounts[account]:
            del accounts[account]
        if not accounts:
            del self.places[amount]
            del self.amounts[bisect_left(self.amounts, amount)]

    def nearest(self, out: Leg, amount: Decimal, apart: int) -> tuple[Decimal, int, int, int] | None:
        """The fee, the least and the noticed time between, and the place of what goes best with so much of a leg."""
        least = subtract(amount, multiply(amount, FEE_SHARE))
        for index in range(bisect_right(self.amounts, amount) - 1, -1, -1):
            came = self.amounts[index]
            if came < least:
                break
            others = (places for account, places in self.places[came].items() if account != out.account)
            if closest := [found for places in others if (found := self._closest(out, places, apart))]:
                return subtract(amount, came), *min(closest)
        return None

    def _closest(self, out: Leg, places: Sequence[int], apart: int) -> tuple[int, int, int] | None:
        """Of these the one closest to a leg that may be its other end; of two the earlier."""
        best: tuple[int, int, int] | None = None
        for noticed, place in self._outwards(out.at, places):
            # However vague, no later one can be closer.
            if noticed - self.vaguest - out.vague > (apart if best is None else best[0]) or (best and not best[0]):
                break
            other = self.legs[place]
            distance = _between(out, other)
            if distance <= apart and (best is None or distance < best[0]) and not _two_transfers(out, other):
                best = distance, noticed, place
        return best

    def _outwards(self, at: int, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        """How far each was noticed from a moment, the nearest first, of two the earlier."""
        after = bisect_left(places, at, key=lambda place: self.legs[place].at)
        before = after - 1
        while before >= 0 or after < len(places):
            past = at - self.legs[places[before]].at if before >= 0 else None
            ahead = self.legs[places[after]].at - at if after < len(places) else None
            if past is not None and (ahead is None or past <= ahead):
                yield past, places[before]
                before -= 1
            else:
                assert ahead is not None
                yield ahead, places[after]
                after += 1


def _two_transfers(a: Leg, b: Leg) -> bool:
    """Whether both tell a transaction, on one network, and it is not the same."""
    return bool(a.reference and b.reference) and a.asset == b.asset


def _between(a: Leg, b: Leg) -> int:
    """The least time that can have been between two movements."""
    return max(a.at - a.vague - b.at, b.at - b.vague - a.at, 0)
