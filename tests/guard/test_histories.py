"""The checker of histories finds an explanation where there is one, and none where there is not."""

from datetime import UTC, datetime

import pytest

from tests.guard.calls import MS, Call
from tests.guard.histories import unexplained

#: How far the provider's reads trail its writes.
LAG = 100
START = 1_795_000_000_000
#: When the request began that the one reading is of.
READ = -1_000


def stamp(ms):
    return datetime.fromtimestamp((START + ms) / 1_000, UTC).isoformat("T", "milliseconds")


def call(what, name, amount, began, ended, status, answer):
    return Call(what, name, amount, 60_000 * MS, (START + began) * MS, (START + ended) * MS, status, answer)


def decided(
    began, ended, reason, *, hold="bet", amount=60, at=None, held=0, unsettled=0, replayed=False, seen=100, read=READ
):
    """A hold and its answer; `at` is when it was decided."""
    at = began if at is None else at
    made = reason == "OK" and not replayed
    balance = {
        "last_seen": str(seen), "held": str(held), "unsettled": str(unsettled), "as_of": stamp(read),
        "age_ms": at - read,
    }  # fmt: skip
    until = stamp(at + 60_000) if made else None
    answer = {"reason": reason, "replayed": replayed, "balance": balance, "hold": {"expires_at": until}}
    return call("hold", hold, amount, began, ended, 201 if made else 200, answer)


def resolved(what, began, ended, state, *, hold="bet", amount=60, status=200, posted=None):
    told = {"state": state, "amount": str(amount), "expires_at": None, "posted_at": posted and stamp(posted)}
    return call(what, hold, amount, began, ended, status, {"hold": told})


def lost(what, began, *, hold="bet", amount=60):
    return Call(what, hold, amount, 60_000 * MS, (START + began) * MS)


A, B = "a", "b"
#: Histories with an explanation, by what they are about.
RIGHT = {
    "the first of two at once": [
        decided(0, 10, "OK", hold=A, at=4, held=60),
        decided(1, 9, "INSUFFICIENT_FUNDS", hold=B, at=6, held=60),
    ],
    "the second of two at once": [
        decided(0, 10, "INSUFFICIENT_FUNDS", hold=A, at=6, held=60),
        decided(1, 9, "OK", hold=B, at=4, held=60),
    ],
    "a bet whose answer was lost, and counts": [
        lost("hold", 0, hold=A),
        decided(20, 30, "INSUFFICIENT_FUNDS", hold=B, held=60),
    ],
    "a bet that never arrived": [
        lost("hold", 0, hold=A),
        decided(20, 30, "OK", hold=B, held=60),
    ],
    "a lost release that came after the next bet": [
        decided(0, 5, "OK", hold=A, held=60),
        lost("release", 6, hold=A),
        decided(20, 30, "INSUFFICIENT_FUNDS", hold=B, held=60),
        resolved("find", 40, 50, "released", hold=A),
        decided(60, 70, "OK", hold="c", held=60),
    ],
    "a time-out that was taken back": [
        lost("hold", 0, hold=A),
        lost("undo", 0, hold=A),
        decided(20, 30, "INSUFFICIENT_FUNDS", hold=B, held=60),
        decided(60, 70, "OK", hold="c", held=60),
        resolved("find", 80, 90, "released", hold=A),
    ],
    "a debit that a reading contains": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("settled", 10, 20, "settled", hold=A),
        decided(300, 310, "OK", hold=B, seen=60, read=200, held=60),
        resolved("find", 320, 330, "covered", hold=A, posted=15),
    ],
}  # fmt: skip
#: Histories without one.
WRONG = {
    "two bets on the money of one": [
        decided(0, 10, "OK", hold=A, at=4, held=60),
        decided(1, 9, "OK", hold=B, at=6, held=60),
    ],
    "a refusal for a bet that had not been made yet": [
        decided(0, 5, "INSUFFICIENT_FUNDS", hold=A, held=60),
        decided(6, 9, "OK", hold=B, held=60),
    ],
    "a hold that is forgotten": [
        decided(0, 5, "OK", hold=A, held=60),
        decided(20, 30, "OK", hold=B, held=60),
    ],
    "a hold that is over too early": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("find", 20, 30, "expired", hold=A),
    ],
    "an allow after the release": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("release", 6, 9, "released", hold=A),
        decided(20, 30, "OK", hold=A, held=0, replayed=True),
    ],
    "an id that is refused and then allowed": [
        decided(0, 5, "OK", hold=B, held=60),
        decided(6, 7, "INSUFFICIENT_FUNDS", hold=A, held=60),
        resolved("release", 8, 9, "released", hold=B),
        decided(20, 30, "OK", hold=A, held=60),
    ],
    "money that comes back twice": [
        decided(0, 5, "OK", hold=A, amount=30, held=30),
        decided(6, 7, "OK", hold=B, amount=30, held=60),
        resolved("release", 8, 9, "released", hold=A, amount=30),
        resolved("release", 10, 11, "released", hold=A, amount=30),
        decided(20, 30, "OK", hold="c", amount=90, held=90),
    ],
    "a debit that the reading cannot contain": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("settled", 10, 20, "settled", hold=A),
        decided(300, 310, "OK", hold=B, seen=100, read=100, held=60),
        resolved("find", 320, 330, "settled", hold=A, posted=15),
    ],
    "a reading that is older than the last one": [
        decided(0, 5, "OK", hold=A, held=60, read=-100),
        decided(6, 9, "INSUFFICIENT_FUNDS", hold=B, held=60, seen=90, read=-200),
    ],
    "a committed bet that is rolled back": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("commit", 6, 7, "committed", hold=A),
        resolved("release", 8, 9, "released", hold=A),
    ],
    "a late release that frees what a later answer still counts": [
        decided(0, 5, "OK", hold=A, held=60),
        resolved("release", 6, 7, "released", hold=A),
        decided(20, 30, "INSUFFICIENT_FUNDS", hold=B, held=60),
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT.keys())
def test_what_can_be_explained_is(history):
    assert unexplained(history, LAG * MS) is None


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_explained_is_found(history):
    assert unexplained(history, LAG * MS) in history
