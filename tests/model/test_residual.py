"""What a total moved by and its ledger does not explain: halves settle each other, and no sum is lost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.money import add, subtract, total
from monitor.model.residual import OPEN_MAX, Open, alive, merged, settle, unexplained
from monitor.model.window import micros
from tests.builders import NOON, minutes, seconds

HOUR = minutes(60)


def after(*polls):
    """The open amounts after polls a minute apart, each (moved, explained)."""
    opens = ()
    for place, (moved, explained) in enumerate(polls):
        opens = settle(opens, Decimal(moved), Decimal(explained), NOON + minutes(place))
    return [(each.amount, each.moved, (each.at - micros(NOON)) // 60_000_000) for each in opens]


@pytest.mark.parametrize(
    ("polls", "left"),
    [
        pytest.param([("-3", "-3")], [], id="explained at once"),
        pytest.param([("-3.2", "-0.2")], [(-3, Decimal("-3.2"), 0)], id="explained in part"),
        pytest.param([("-3", "0"), ("0", "-3")], [], id="the row comes a poll later"),
        pytest.param([("0", "-3"), ("-3", "0")], [], id="the row comes a poll earlier"),
        pytest.param([("-3", "0"), ("0", "-1")], [(-2, -3, 0)], id="a part of the row comes later"),
        pytest.param([("-3", "0"), ("0", "-5")], [(2, -3, 1)], id="more comes than was open"),
        pytest.param([("-3", "0"), ("-4", "0"), ("0", "-5")], [(-2, -7, 1)], id="the oldest is settled first"),
        pytest.param([("-3", "0"), ("-4", "0"), ("0", "-7")], [], id="one row explains two"),
        pytest.param([("-3", "0"), ("5", "5")], [(-3, -3, 0)], id="what is explained settles nothing"),
        pytest.param([("-3", "0"), ("3", "0")], [], id="it came back"),
    ],
)
def test_open_amounts_are_settled_by_the_opposite(polls, left):
    assert after(*polls) == left


def test_an_amount_expires_when_it_has_been_open_for_so_long():
    opens = settle(settle((), Decimal(1), Decimal(0), NOON), Decimal(2), Decimal(0), NOON + minutes(30))

    assert alive(opens, HOUR, NOON + minutes(60) - seconds(0.000001)) is opens
    assert [each.amount for each in alive(opens, HOUR, NOON + minutes(60))] == [2]
    assert alive(opens, HOUR, NOON + minutes(90)) == ()


def test_a_clock_that_was_ahead_keeps_nothing_for_longer():
    opens = settle((), Decimal(1), Decimal(0), NOON + minutes(600))

    back = alive(opens, HOUR, NOON)

    assert alive(back, HOUR, NOON + minutes(61)) == ()


def test_the_oldest_are_added_up_and_last_as_long_as_the_younger():
    opens = tuple(Open(Decimal(n), Decimal(n), n) for n in range(1, 6))

    assert merged(opens, 3) == (Open(Decimal(6), Decimal(6), 3), *opens[3:])
    assert merged(opens, 1) == (Open(Decimal(15), Decimal(15), 5),)
    assert merged(opens, 5) is opens


def test_many_open_amounts_stay_few():
    opens = ()
    for second in range(100):
        opens = settle(opens, Decimal(1), Decimal(0), NOON + seconds(second))

    assert (len(opens), unexplained(opens)) == (OPEN_MAX, 100)
    assert opens[0].at == micros(NOON + seconds(100 - OPEN_MAX))


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e20", max_value="1e20", places=18)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS | st.none(), st.integers(0, 4000)), max_size=60))
def test_what_moved_is_explained_open_or_expired_exactly(polls):
    """Sum of changes = explained + unexplained, to the last digit; None explains all of a change."""
    opens, now = (), NOON
    moved = explained = expired = Decimal(0)
    for change, row, wait in polls:
        now += seconds(wait)
        told = change if row is None else row
        before = settle(opens, change, told, now)
        opens = alive(before, HOUR, now)
        expired = add(expired, subtract(unexplained(before), unexplained(opens)))
        moved, explained = add(moved, change), add(explained, told)

        assert moved == total((explained, unexplained(opens), expired))
        assert len({each.amount > 0 for each in opens}) <= 1
        assert len(opens) <= OPEN_MAX
        assert all(each.amount for each in opens)
