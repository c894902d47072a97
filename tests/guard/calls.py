"""What the guard may answer when one call on a wallet follows the other, and how its answers are recorded.

Times are microseconds since 1970, by the clock of the one machine that all run on. Amounts are whole numbers.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

MS = 1_000
NEVER = 2**60


def micros(text: str) -> int:
    """A stamp of the API, which is cut off at milliseconds: it was then, or less than one later."""
    return int(datetime.fromisoformat(text).timestamp() * 1_000) * MS


class Call(NamedTuple):
    """One call and its answer; `ended` is NEVER and `status` 0 where that was lost. `what` is `undo` where a deadline
    passed: then the guard itself takes back what it may have held."""

    what: str
    id: str
    amount: int
    ttl: int
    began: int
    ended: int = NEVER
    status: int = 0
    answer: Mapping[str, Any] = {}

    @property
    def phantom(self) -> bool:
        """Whether it may have held something for a moment that it then gave back: its id was released before."""
        return self.what == "hold" and (not self.status or not self.answer.get("balance"))


class Record(NamedTuple):
    """What became of an id: `held`, `committed`, `settled`, `late` (settled after its time), `released`, `denied` or
    `tombstone`."""

    status: str
    amount: int = 0
    final: int = 0


class Move(NamedTuple):
    """What a call may be told, and what is known of its id after it. `time`: it must be `open` or `over` for that."""

    said: tuple[object, ...]
    after: Record | None
    time: str = ""


_ENDED = {"tombstone": "hold-already-released", "released": "hold-already-released", "denied": "hold-unknown"}


def moves(call: Call, record: Record | None) -> Iterator[Move]:
    """The specification: each thing that a call may do, one after the other."""
    status = record.status if record else "nothing"
    match call.what:
        case "check":
            yield from (Move(("OK",), record), Move(("INSUFFICIENT_FUNDS",), record))
        case "find":
            yield from _found(status, record)
        case "undo":
            yield Move((), Record("tombstone") if record is None else record)
            if status == "held" and record:
                yield Move((), record._replace(status="released"))
        case "hold":
            yield from _held(call, status, record)
        case "release":
            yield from _released(status, record)
        case "commit" | "settled":
            yield from _resolved(call, status, record)


def _found(status: str, record: Record | None) -> Iterator[Move]:
    if record is None:
        yield Move((404, "hold-unknown"), None)
    elif status == "held":
        yield from (
            Move((200, "held", record.amount), record, "open"),
            Move((200, "expired", record.amount), record, "over"),
        )
    elif status == "settled":
        yield from (Move((200, word, record.final), record, word) for word in ("settled", "covered"))
    else:
        amount = {"committed": record.final, "tombstone": None}.get(status, record.amount)
        yield Move((200, "expired" if status == "late" else status, amount), record)


def _held(call: Call, status: str, record: Record | None) -> Iterator[Move]:
    if record is None:
        yield Move((201, "OK", False), Record("held", call.amount))
        yield Move((200, "INSUFFICIENT_FUNDS", False), Record("denied", call.amount))
    elif status == "tombstone":
        yield Move((200, "HOLD_TOMBSTONED", False), record)
    elif record.amount != call.amount:
        yield Move((422, "hold-id-reused"), record)
    elif status == "denied":
        yield Move((200, "INSUFFICIENT_FUNDS", True), record)
    else:
        if status in ("held", "committed", "settled"):
            yield Move((200, "OK", True), record, "open" if status == "held" else "")
        if status in ("held", "released", "late"):
            yield Move((200, "HOLD_TOMBSTONED", True), record, "over" if status == "held" else "")


def _released(status: str, record: Record | None) -> Iterator[Move]:
    if record is None:
        yield Move((200, "tombstone"), Record("tombstone"))
    elif status == "held":
        yield Move((200, "released"), record._replace(status="released"), "open")
        yield Move((200, "expired"), record, "over")
    elif status in ("committed", "settled"):
        yield Move((409, "hold-already-committed"), record)
    else:
        yield Move((200, "expired" if status == "late" else status), record)


def _resolved(call: Call, status: str, record: Record | None) -> Iterator[Move]:
    final = call.amount if call.what == "commit" else record.amount if record else 0
    if record is None or status in _ENDED:
        said = _ENDED.get(status, "hold-unknown")
        yield Move((404 if said == "hold-unknown" else 409, said), record)
    elif status == "held":
        late = Record("late", record.amount, record.amount) if call.what == "settled" else record
        yield Move((410, "hold-expired"), late, "over")
        if final > record.amount:
            yield Move((422, "commit-exceeds-hold"), record, "open")
        else:
            word = "committed" if call.what == "commit" else "settled"
            yield Move((200, word, final), Record(word, record.amount, final), "open")
    elif status == "late":
        yield Move((410, "hold-expired"), record)
    elif call.what == "commit" and final != record.final:
        yield Move((409, "hold-already-committed"), record)
    else:
        booked = record if call.what == "commit" else record._replace(status="settled")
        yield Move((200, booked.status, record.final), booked)


def said(call: Call) -> tuple[object, ...]:
    """The answer of a call as the specification words it; `covered` is a settled debit to all but `find`."""
    answer = call.answer
    if call.status >= 400:
        return call.status, answer["type"]
    if "reason" in answer:
        replayed = () if call.what == "check" else (call.status, answer["reason"], answer["replayed"])
        return replayed or (answer["reason"],)
    hold = answer["hold"]
    state = "settled" if hold["state"] == "covered" and call.what != "find" else hold["state"]
    amount = None if hold["amount"] is None else int(hold["amount"])
    return (call.status, state) if call.what == "release" else (call.status, state, amount)
