"""What a process remembers of its own holds is bounded, whatever becomes of them."""

from monitor.store.recollection import HOLDS_MAX, Own, Recollection


def made(recollection, number, *, at, lasts):
    recollection.made(Own("casino", f"bet-{number}", "player-7", 0, at + lasts, ""), at)


def test_holds_that_nobody_ends_are_forgotten_once_they_are_over():
    recollection = Recollection()
    for number in range(1_000):
        made(recollection, number, at=number, lasts=10)

    assert recollection.open(999) == 10
    assert [one.id for one in recollection.own(0, 0)] == [f"bet-{number}" for number in range(990, 1_000)]


def test_an_open_hold_is_remembered_while_those_after_it_end():
    recollection = Recollection()
    made(recollection, "long", at=0, lasts=10_000)
    for number in range(100):
        made(recollection, number, at=number, lasts=10)

    assert recollection.mine("casino", "bet-long") is not None
    assert recollection.open(99) == 11


def test_of_more_open_holds_than_fit_the_oldest_are_forgotten():
    recollection = Recollection()
    for number in range(HOLDS_MAX + 3):
        made(recollection, number, at=number, lasts=10**9)

    assert recollection.open(0) == HOLDS_MAX
    assert recollection.mine("casino", "bet-2") is None
