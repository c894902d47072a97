"""Whether what the callers of one wallet were told can be explained by one call after the other.

The idea is that of Porcupine (https://github.com/anishathalye/porcupine): of everything that may have been done so far,
each order that explains all answers is kept as a state; where none is left, the history has no explanation. A call
whose answer was lost may have been done at any time since, or never: since it is idempotent, also again and again.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.guard.calls import MS, NEVER, Call, Record, micros, moves, said

#: How long after its time a hold may still count that nobody is left to give back.
_LATE = 2_000_000
_BOOKED = ("settled", "late")


class State(NamedTuple):
    """One explanation so far. Nothing happens before `clock`, and no reading is older than `fence`; `done` are calls
    that have been done and not been answered."""

    records: frozenset[tuple[str, Record]] = frozenset()
    fence: int = 0
    clock: int = 0
    done: frozenset[int] = frozenset()


def reachable(base: int, maybe: Iterable[int]) -> set[int]:
    """All sums that there may be."""
    sums = {base}
    for amount in maybe:
        sums |= {each + amount for each in sums}
    return sums


class Facts:
    """What the answers of a history tell of times: when holds end, when debits were booked, what readings showed."""

    def __init__(self, calls: Iterable[Call], lag: int) -> None:
        self.lag = lag
        self.ends: dict[str, int] = {}
        self.booked: dict[str, int] = {}
        self.seen: dict[int, int] = {}
        self.phantoms: list[Call] = []
        for call in calls:
            self._learn(call)
            if call.phantom:
                self.phantoms.append(call)

    def _learn(self, call: Call) -> None:
        hold, balance = call.answer.get("hold") or {}, call.answer.get("balance")
        if hold.get("expires_at"):
            ends = micros(hold["expires_at"])
            assert self.ends.setdefault(call.id, ends) == ends, f"two ends of {call.id}"
        if hold.get("posted_at"):
            booked = micros(hold["posted_at"])
            assert self.booked.setdefault(call.id, booked) == booked, f"{call.id} was booked twice"
        if balance:
            fence, amount = micros(balance["as_of"]), int(balance["last_seen"])
            assert self.seen.setdefault(fence, amount) == amount, f"one reading, two balances: {balance}"

    def times(self, call: Call, state: State) -> tuple[int, int]:
        """Between when it was done; a decision tells the very millisecond."""
        first, last = max(call.began, state.clock), call.ended
        balance = call.answer.get("balance")
        if balance:
            told = micros(balance["as_of"]) + balance["age_ms"] * MS
            first, last = max(first, told), min(last, told + 2 * MS)
        if call.status == 201:
            made = self.ends[call.id] - call.ttl
            first, last = max(first, made), min(last, made + MS)
        return first, last

    def after(self, state: State, call: Call) -> Iterator[State]:
        """The states that a call may leave behind, where that is what was said."""
        records = dict(state.records)
        first, last = self.times(call, state)
        for move in moves(call, records.get(call.id)):
            if call.status and move.said != said(call):
                continue
            at, end, fence = first, last, state.fence
            if move.time == "open":
                end = min(end, self.ends.get(call.id, NEVER) + MS)
            if move.time == "over":
                at = max(at, self.ends.get(call.id, 0))
            if move.time == "covered":
                fence = max(fence, self.booked[call.id] + self.lag)
            if move.time == "settled" and self.booked.get(call.id, NEVER) + self.lag + MS < fence:
                continue
            if at > end:
                continue
            now = dict(records) if move.after is None else records | {call.id: move.after}
            if call.answer.get("balance"):
                fence = micros(call.answer["balance"]["as_of"])
                if fence < state.fence - MS or not self.adds_up(call, records, now, fence, at, end):
                    continue
            yield State(frozenset(now.items()), max(fence, state.fence), at, state.done)

    def adds_up(
        self, call: Call, before: dict[str, Record], after: dict[str, Record], fence: int, first: int, last: int
    ) -> bool:
        """Whether the figures of a decision are those of the records, and the decision that of its figures."""
        balance = call.answer["balance"]
        held, unsettled = int(balance["held"]), int(balance["unsettled"])
        sure, maybe = self.held(after, first, last)
        booked, perhaps = self.unsettled(after, fence)
        if call.answer["replayed"]:
            # What is over or covered is given back by the next that asks for something new.
            return held >= sure and unsettled >= booked
        if held not in reachable(sure, maybe) or unsettled not in reachable(booked, perhaps):
            return False
        new = call.what == "hold" and before != after and call.answer["reason"] == "OK"
        fits = held + unsettled + (0 if new else call.amount) <= self.seen[fence]
        return fits is (call.answer["reason"] == "OK")

    def held(self, records: dict[str, Record], first: int, last: int) -> tuple[int, list[int]]:
        """What is held for sure, and what may be besides: its time ends just then, or it is to be given back."""
        sure, maybe = 0, []
        for name, record in records.items():
            ends = self.ends.get(name)
            if record.status != "held" or (ends is not None and ends + MS <= first):
                continue
            if ends is not None and ends > last:
                sure += record.amount
            else:
                maybe.append(record.amount)
        here = {
            call.id: call.amount
            for call in self.phantoms
            if call.began <= last and first <= min(call.ended, call.began + call.ttl + _LATE)
            and records.get(call.id) == Record("tombstone")
        }  # fmt: skip
        return sure, [*maybe, *here.values()]

    def unsettled(self, records: dict[str, Record], fence: int) -> tuple[int, list[int]]:
        """What no reading contains for sure, and what may be besides."""
        sure, maybe = 0, []
        for name, record in records.items():
            covered_from = self.booked.get(name, fence - self.lag) + self.lag
            if record.status == "committed" or (record.status in _BOOKED and covered_from >= fence + MS):
                sure += record.final
            elif record.status in _BOOKED and covered_from + MS > fence:
                maybe.append(record.final)
        return sure, maybe


def unexplained(calls: list[Call], lag: int) -> Call | None:
    """The first call whose answer no order explains; None where the whole history has an explanation."""
    facts = Facts(calls, lag)
    moments = sorted(
        [(call.began, 0, number) for number, call in enumerate(calls)]
        + [(call.ended, 1, number) for number, call in enumerate(calls) if call.status]
    )
    states, pending = {State()}, set[int]()
    for _, ends, number in moments:
        if not ends:
            pending.add(number)
            continue
        states = _ended(facts, calls, states, pending, number)
        pending.discard(number)
        if not states:
            return calls[number]
    return None


def _ended(facts: Facts, calls: list[Call], states: set[State], pending: set[int], number: int) -> set[State]:
    """All states in which this call has been done, with whatever else may have been before it."""
    todo, met, found = list(states), set(states), set[State]()
    while todo:
        state = todo.pop()
        if number in state.done:
            found.add(state._replace(done=state.done - {number}))
            continue
        for other in pending - state.done:
            answered = calls[other].status > 0
            for step in facts.after(state, calls[other]):
                after = step._replace(done=state.done | {other}) if answered else step
                if after not in met and (answered or after.records != state.records):
                    met.add(after)
                    todo.append(after)
    return _earliest(found)


def _earliest(states: set[State]) -> set[State]:
    """What can be explained from a later time can be from an earlier one."""
    best: dict[State, int] = {}
    for state in states:
        timeless = state._replace(clock=0)
        best[timeless] = min(best.get(timeless, NEVER), state.clock)
    return {state._replace(clock=clock) for state, clock in best.items()}
