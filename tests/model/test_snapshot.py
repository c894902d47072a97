"""What differs between two readings, and what stays known when one of them is partial."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.money import total
from monitor.model.snapshot import Change, Snapshot, carry, diff
from tests.builders import NOON, minutes
from tests.facts import snapshot

_values = st.decimals(min_value=-(10**12), max_value=10**12, places=6)
_measures = st.dictionaries(st.sampled_from(["available", "held", "total"]), _values, max_size=3)
AMOUNTS = st.dictionaries(st.sampled_from(["USDT", "BTC", "ETH"]), _measures, max_size=3)
SNAPSHOTS = st.builds(Snapshot, observed_at=st.just(NOON), amounts=AMOUNTS, absent_is_zero=st.booleans())


def changes(before, after):
    return [(c.asset, c.measure, c.before, c.after) for c in diff(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({"USDT": "1"}, {"USDT": "1.00"}, [], id="the same however it is written"),
        pytest.param(
            {"USDT": {"total": "5"}}, {"USDT": {"total": "3"}}, [("USDT", "total", 5, 3)], id="it fell"
        ),
        pytest.param({"USDT": "5"}, {}, [], id="an asset that is missing has not fallen to zero"),
        pytest.param({}, {"USDT": "5"}, [], id="an asset seen for the first time has not grown from zero"),
        pytest.param(
            {"USDT": {"total": "5"}}, {"USDT": {"held": "5"}}, [], id="measures are not compared with others"
        ),
        pytest.param(
            {"USDC": {"equity": "5"}}, {"USDC": {"equity": "-3"}}, [("USDC", "equity", 5, -3)],
            id="negative equity is legal",
        ),
    ],
)  # fmt: skip
def test_a_change_is_the_same_measure_with_another_value(before, after, expected):
    assert changes(snapshot(before), snapshot(after)) == expected


def test_a_first_observation_is_no_change():
    assert diff(None, snapshot()) == ()


def test_where_zero_rows_are_dropped_a_new_asset_grew_from_zero():
    before = snapshot({"BTC": "1"}, absent_is_zero=True)
    after = snapshot({"BTC": "1", "USDT": {"total": "7"}}, absent_is_zero=True)

    assert changes(before, after) == [("USDT", "total", 0, 7)]


def test_but_not_if_the_older_answer_should_have_had_it():
    before = snapshot({"BTC": "1"}, absent_is_zero=True, missing=("USDT",))
    after = snapshot({"BTC": "1", "USDT": "7"}, absent_is_zero=True)

    assert changes(before, after) == []


@given(SNAPSHOTS)
def test_nothing_differs_from_itself(shot):
    assert diff(shot, shot) == ()


@given(SNAPSHOTS, SNAPSHOTS)
def test_every_change_is_the_exact_difference_of_two_known_values(before, after):
    for change in diff(before, after):
        assert change.after == after.of(change.asset, change.measure)
        assert change.before + change.delta == change.after
        assert change.before != change.after
        known = before.of(change.asset, change.measure)
        assert change.before == (known if change.asset in before.amounts else 0)


@given(SNAPSHOTS, SNAPSHOTS)
def test_a_change_back_undoes_a_change(before, after):
    both = [(c.asset, c.measure) for c in diff(before, after) if c.asset in before.amounts]
    back = {(c.asset, c.measure): c.delta for c in diff(after, before) if c.asset in after.amounts}

    assert back == {(c.asset, c.measure): -c.delta for c in diff(before, after) if (c.asset, c.measure) in both}


@given(st.lists(st.dictionaries(st.just("total"), _values, min_size=1), min_size=2, max_size=8))
def test_changes_add_up_to_the_whole_way(readings):
    shots = [Snapshot(observed_at=NOON, amounts={"USDT": measures}) for measures in readings]

    steps = [c.delta for a, b in pairwise(shots) for c in diff(a, b)]

    assert readings[0]["total"] + total(steps) == readings[-1]["total"]


def test_a_partial_answer_keeps_the_last_good_value_and_its_age():
    before = snapshot({"USDT": "5", "BTC": "1"}, at=NOON, usd={"USDT": Decimal(5)})
    partial = snapshot({"BTC": "2"}, at=NOON + minutes(1), missing=("USDT",), usd={"BTC": Decimal(9)})
    later = snapshot({"BTC": "3"}, at=NOON + minutes(2), missing=("USDT",))

    known = carry(before, partial)
    still = carry(known, later)

    assert (known.of("USDT", "total"), known.of("BTC", "total")) == (5, 2)
    assert known.usd == {"USDT": 5, "BTC": 9}
    assert known.seen == still.seen == {"USDT": NOON}
    assert still.observed_at == NOON + minutes(2)


def test_a_complete_answer_of_a_provider_that_drops_zero_rows_is_all_that_is_known():
    whole = snapshot({"BTC": "1"}, absent_is_zero=True)

    assert carry(snapshot({"USDT": "5"}), whole) == whole
    assert carry(None, snapshot()) == snapshot()


@pytest.mark.parametrize(
    "without",
    [snapshot({"BTC": "1"}, at=NOON + minutes(1)), snapshot({"BTC": "1", "USDT": {"held": "0"}}, at=NOON + minutes(1))],
    ids=["asset", "measure"],
)
def test_case_17_what_left_an_answer_without_a_word_is_compared_with_its_last_value_when_it_is_back(without):
    before = snapshot({"USDT": {"total": "5", "held": "0"}, "BTC": "1"})

    known = carry(before, without)
    back = snapshot({"USDT": {"total": "2", "held": "0"}, "BTC": "1"})

    assert changes(before, without) == []
    assert changes(known, back) == [("USDT", "total", 5, 2)]
    assert known.seen == {"USDT": NOON}


def test_what_is_read_again_is_compared_with_what_was_last_read():
    before = carry(snapshot({"USDT": "5", "BTC": "1"}), snapshot({"BTC": "1"}, missing=("USDT",)))

    assert changes(before, snapshot({"USDT": {"total": "2"}, "BTC": "1"})) == [("USDT", "total", 5, 2)]


@given(SNAPSHOTS, SNAPSHOTS)
def test_carrying_never_changes_what_was_just_read(before, after):
    partial = Snapshot(observed_at=NOON + timedelta(seconds=1), amounts=after.amounts, missing=("X",))

    known = carry(before, partial)

    read = {asset: {m: known.amounts[asset][m] for m in measures} for asset, measures in after.amounts.items()}
    assert read == after.amounts
    assert set(known.amounts) == set(before.amounts) | set(after.amounts)


@pytest.mark.parametrize("value", [1.5, 1, True, "1", Decimal("NaN"), Decimal("1E+99")])
def test_a_snapshot_refuses_what_is_no_exact_amount(value):
    with pytest.raises((TypeError, ValueError)):
        Snapshot(observed_at=NOON, amounts={"USDT": {"total": value}})


def test_an_unknown_amount_is_none():
    shot = snapshot({"USDT": {"total": "5"}})

    assert (shot.of("USDT", "total"), shot.of("USDT", "held"), shot.of("BTC", "total")) == (5, None, None)


def test_a_change_knows_its_size():
    assert Change("USDT", "total", Decimal("0.1"), Decimal("0.3")).delta == Decimal("0.2")
