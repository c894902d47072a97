"""Which way out belongs to which way in: a table of what matches, and what must hold of any movements."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.event import Event
from monitor.model.settlement import Settled, Terms, settle
from monitor.model.transfers import Leg, match
from monitor.model.window import exact_flow, flow, flow_bounds, moment, record_flow

MINUTE = 60_000_000
SETTLE = 10 * MINUTE


def leg(said, *, at=0, reference="", asset="USDT", name=None, **changes):
    """`hot-100` is 100 out of hot, `cold+99.5` is 99.5 into cold; `at` in minutes."""
    sign = "+" if "+" in said else "-"
    account, amount = said.split(sign)
    direction = "in" if sign == "+" else "out"
    return Leg(
        round(at * MINUTE), account, name or said, asset, "transfer", direction, Decimal(amount), reference, **changes
    )


def fates(*legs):
    """(who, fee, missing) of every leg, in the order given."""
    known = {fate.leg: fate for fate in match(legs, SETTLE)}
    return [(one.id, known[one].fee, known[one].missing) for one in legs]


MATCHES = [
    pytest.param([leg("hot-100"), leg("cold+100", at=5)], ["0", "0"], id="the same amount a little later"),
    pytest.param([leg("cold+100"), leg("hot-100", at=5)], ["0", "0"], id="seen at its destination first"),
    pytest.param([leg("hot-100"), leg("cold+99", at=5)], ["0", "0"], id="a fee of one percent"),
    pytest.param([leg("hot-100"), leg("cold+98.99", at=5)], ["100", "98.99"], id="more than that is no fee"),
    pytest.param([leg("hot-100"), leg("cold+100.01", at=5)], ["100", "100.01"], id="more came than went"),
    pytest.param([leg("hot-100"), leg("cold+100", at=10)], ["0", "0"], id="just in time"),
    pytest.param([leg("hot-100"), leg("cold+100", at=10.01)], ["100", "100"], id="too late"),
    pytest.param([leg("hot-100"), leg("hot+100", at=5)], ["100", "100"], id="the same account"),
    pytest.param([leg("hot-100"), leg("cold-100", at=5)], ["100", "100"], id="both went out"),
    pytest.param([leg("hot-100"), leg("cold+100", asset="USDC")], ["100", "100"], id="another asset"),
    pytest.param(
        [leg("hot-100", asset="USDT@TRX"), leg("cold+99.5", asset="USDT@ETH", at=5)], ["0", "0"], id="over a bridge"
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("cold+60", reference="r", at=90)],
        ["40", "0"],
        id="a transaction that paid somebody else too: what is not here is on its way",
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("cold+60", reference="r"), leg("warm+39.5", reference="r")],
        ["0", "0", "0"],
        id="a transaction with two receivers",
    ),
    pytest.param(
        [leg("hot-50", reference="r"), leg("warm-50", reference="r"), leg("cold+99.9", reference="r")],
        ["0", "0", "0"],
        id="a transaction with two senders",
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("hot+70", reference="r")], ["30", "0"], id="change is not what was paid"
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("cold+100", reference="s")],
        ["100", "100"],
        id="two transactions on one network are two transfers",
    ),
    pytest.param(
        [leg("hot-100", reference="r", asset="USDT@TRX"), leg("cold+100", reference="s", asset="USDT@ETH")],
        ["0", "0"],
        id="a bridge makes two transactions",
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("cold+100")], ["0", "0"], id="one side does not tell its transaction"
    ),
    pytest.param(
        [leg("hot-100", reference="r"), leg("cold+60", reference="r"), leg("bank+40", at=3)],
        ["0", "0", "0"],
        id="the rest of a transaction arrives where no transaction is told",
    ),
    pytest.param(
        [leg("hot-100", at=1), leg("cold+100", at=40, since=2 * MINUTE)], ["0", "0"], id="noticed after an outage"
    ),
    pytest.param(
        [leg("hot-100", at=40, since=2 * MINUTE), leg("cold+100", at=1)], ["0", "0"], id="its departure was, too"
    ),
    pytest.param(
        [leg("hot-100", at=1), leg("cold+100", at=40, since=12 * MINUTE)],
        ["100", "100"],
        id="not even that was in time",
    ),
    pytest.param(
        [leg("hot-100", at=5), leg("cold+100", at=6), leg("warm+100", at=40, since=4 * MINUTE)],
        ["0", "100", "0"],
        id="at the same time for all we know is closest",
    ),
    pytest.param(
        [leg("hot-100"), leg("cold+99.5", at=1), leg("warm+100", at=9)],
        ["0", "99.5", "0"],
        id="the nearest amount wins",
    ),
    pytest.param(
        [leg("hot-100"), leg("warm-100", at=8), leg("cold+100", at=9)],
        ["100", "0", "0"],
        id="then the nearest in time",
    ),
    pytest.param(
        [leg("hot-100"), leg("warm-100", at=1), leg("cold+100", at=2)],
        ["100", "0", "0"],
        id="one way in is the end of one way out only",
    ),
]


@pytest.mark.parametrize(("legs", "missing"), MATCHES)
def test_what_belongs_together(legs, missing):
    expected = {one.id: Decimal(left) for one, left in zip(legs, missing, strict=True)}
    for order in permutations(legs):
        assert {name: left for name, _, left in fates(*order)} == expected


def test_the_difference_is_the_fee_of_the_way_out():
    [(_, fee, missing), (_, no_fee, _)] = fates(leg("hot-100"), leg("cold+99.5"))

    assert (fee, missing, no_fee) == (Decimal("0.5"), 0, 0)


HOUR = Terms(SETTLE, 60 * MINUTE, 60 * MINUTE)


@dataclass
class Rule:
    """What a rule remembers, with movements read bit by bit."""

    terms: Terms = HOUR
    legs: tuple = ()
    folded: tuple = ()

    def at(self, minutes, *new) -> Settled:
        result = settle(self.legs, new, self.terms, round(minutes * MINUTE))
        self.legs, self.folded = result.legs, self.folded + result.folded
        return result

    def counts(self, minutes, *new, direction="out"):
        """What went out over the window, and what is on its way."""
        now = round(minutes * MINUTE)
        result = self.at(minutes, *new)
        pieces = [*self.folded, *result.pieces]
        counted = [piece.as_event() for piece in pieces if piece.why != "transit"]
        went = exact_flow(counted, direction, moment(self.terms.within) - moment(0), moment(now))
        transit = sum(p.amount for p in pieces if p.why == "transit" and p.leg.direction == direction)
        return f"{went.normalize():f}", f"{transit.normalize():f}" if transit else "0"


def test_what_has_no_other_end_counts_once_its_time_is_up_for_the_length_of_the_window():
    rule = Rule()

    assert rule.counts(0, leg("hot-100")) == ("0", "100")
    assert rule.counts(9.99) == ("0", "100")
    assert rule.counts(10) == ("100", "0")
    assert rule.counts(69.99) == ("100", "0")
    assert rule.counts(70) == ("0", "0")


def test_a_window_shorter_than_the_limit_sees_it_too():
    rule = Rule(Terms(SETTLE, MINUTE, 60 * MINUTE))

    assert rule.counts(0, leg("hot-100")) == ("0", "100")
    assert rule.counts(10.5) == ("100", "0")
    assert rule.counts(11) == ("0", "0")


def test_what_nobody_looked_at_in_time_counts_from_when_somebody_does():
    rule = Rule(Terms(SETTLE, MINUTE, 60 * MINUTE))
    rule.at(5, leg("hot-100"))

    assert rule.counts(50) == ("100", "0")
    assert rule.counts(50.9) == ("100", "0")
    assert rule.counts(51) == ("0", "0")


def test_what_is_found_long_after_it_happened_is_history():
    rule = Rule(Terms(SETTLE, MINUTE, 60 * MINUTE))

    assert rule.counts(50, leg("hot-100")) == ("0", "0")


def test_an_end_that_is_found_late_takes_back_what_counted():
    rule = Rule()
    rule.at(0, leg("hot-100"))
    assert rule.counts(11) == ("100", "0")

    assert rule.counts(12, leg("cold+99.5", at=8)) == ("0.5", "0")


def test_a_transfer_that_took_too_long_is_taken_back_only_for_its_transaction():
    by_id, by_amount = Rule(), Rule()
    by_id.at(0, leg("hot-100", reference="r"))
    by_amount.at(0, leg("hot-100"))

    assert by_id.counts(30, leg("cold+100", at=30, reference="r")) == ("0", "0")
    assert by_amount.counts(30, leg("cold+100", at=30)) == ("100", "0")


def test_what_was_expected_does_not_count_when_it_does_not_arrive():
    rule = Rule()

    assert rule.counts(11, leg("hot-100", unexpected=Decimal(30))) == ("30", "0")


def test_a_movement_that_is_read_twice_counts_once():
    rule = Rule()
    rule.at(0, leg("hot-100"))

    assert rule.counts(11, leg("hot-100")) == ("100", "0")


def test_without_room_the_oldest_that_are_settled_stand_as_they_are_and_nothing_is_lost():
    rule = Rule(Terms(SETTLE, 60 * MINUTE, 60 * MINUTE, most=4))
    rule.at(0, leg("hot-100"), leg("cold+99.5", at=1), leg("hot-7", at=2))

    assert rule.counts(20, *(leg(f"hot-{amount}", at=15, name=f"x{amount}") for amount in (20, 21, 22))) == (
        "7.5",
        "63",
    )
    assert len(rule.legs) == 4
    # Now one in transit has to count before its time.
    assert rule.counts(21, leg("hot-30", at=20), leg("hot-31", at=20)) == ("27.5", "104")


AMOUNTS = st.sampled_from([Decimal(each) for each in ("100", "99.5", "99", "100.0", "50", "49.9", "1")])
LEGS = st.lists(
    st.builds(
        lambda at, account, asset, way, amount, reference, vague: Leg(
            at * MINUTE, account, "", asset, "transfer", way, amount, reference, since=(at - vague) * MINUTE
        ),
        st.integers(0, 40),
        st.sampled_from(["hot", "cold", "warm"]),
        st.sampled_from(["USDT@TRX", "USDT@ETH"]),
        st.sampled_from(["in", "out"]),
        AMOUNTS,
        st.sampled_from(["", "", "r", "s"]),
        st.sampled_from([0, 0, 1, 7]),
    ),
    max_size=14,
).map(lambda legs: [one._replace(id=f"e{place}") for place, one in enumerate(legs)])


@given(LEGS, st.randoms())
def test_the_order_in_which_movements_are_known_changes_nothing(legs, random):
    shuffled = list(legs)
    random.shuffle(shuffled)

    assert match(shuffled, SETTLE) == match(legs, SETTLE)


@given(LEGS)
def test_netted_outflow_is_what_really_left_and_the_fees(legs):
    """Out less in is the same before and after; nothing is matched twice, nothing made up."""
    result = match(legs, SETTLE)

    def net(amounts):
        return sum(amount if one.direction == "out" else -amount for one, amount in amounts)

    assert net((one, one.amount) for one in legs) == net((f.leg, f.fee + f.missing) for f in result)
    for fate in result:
        assert 0 <= fate.fee + fate.missing <= fate.leg.amount
        assert not fate.fee or fate.leg.direction == "out"


@given(LEGS)
def test_what_belongs_together_can_be_left_out_without_a_change_for_the_others(legs):
    whole = match(legs, SETTLE)
    for group in {fate.group for fate in whole}:
        rest = match([fate.leg for fate in whole if fate.group != group], SETTLE)

        assert [fate[:3] for fate in rest] == [fate[:3] for fate in whole if fate.group != group]


@settings(max_examples=200)
@given(LEGS, st.lists(st.integers(0, 25), min_size=14, max_size=14), st.integers(60, 130))
def test_bit_by_bit_or_all_at_once_it_comes_to_the_same(legs, delays, end):
    """Movements found late, in any order, by a rule that looks every five minutes."""
    found_at = {one.id: one.at // MINUTE + delay for one, delay in zip(legs, delays, strict=False)}
    rule, known = Rule(), []
    for minute in range(0, end, 5):
        new = [one for one in legs if minute - 5 < found_at[one.id] <= minute]
        known += new
        told = rule.counts(minute, *new), rule.counts(minute, direction="in")

        whole = Rule()
        assert told == (whole.counts(minute, *known), whole.counts(minute, direction="in"))
    assert all(isinstance(piece.as_event(), Event) for piece in rule.at(end).pieces)


@settings(max_examples=200)
@given(LEGS, st.lists(st.integers(0, 25), min_size=14, max_size=14), st.integers(60, 130))
def test_with_little_room_a_ring_of_what_was_put_aside_bounds_what_it_came_to(legs, delays, end):
    """What counts one by one, and between the bounds of a ring the rest: nothing is lost or counted twice."""
    found_at = {one.id: one.at // MINUTE + delay for one, delay in zip(legs, delays, strict=False)}
    window = moment(HOUR.within) - moment(0)
    rule, ring = Rule(HOUR._replace(most=3)), flow(window)
    for minute in range(0, end, 5):
        now = moment(minute * MINUTE)
        result = rule.at(minute, *(one for one in legs if minute - 5 < found_at[one.id] <= minute))
        ring = record_flow(ring, [piece.as_event() for piece in result.folded], now)

        assert len(rule.legs) <= HOUR._replace(most=3).most
        for way in ("out", "in"):
            live = [piece.as_event() for piece in result.pieces if piece.why != "transit"]
            exact = exact_flow([piece.as_event() for piece in rule.folded], way, window, now)
            low, high = flow_bounds(ring, way, window, now)
            assert low <= exact <= high
            assert exact_flow(live, way, window, now) >= 0


@settings(max_examples=200)
@given(LEGS, st.lists(st.integers(0, 25), min_size=14, max_size=14), st.integers(1, 20))
def test_with_little_room_nothing_is_lost_or_made_up(legs, delays, most):
    found_at = {one.id: one.at // MINUTE + delay for one, delay in zip(legs, delays, strict=False)}
    rule, known = Rule(Terms(SETTLE, 999 * MINUTE, 60 * MINUTE, most)), []
    for minute in range(0, 70, 5):
        new = [one for one in legs if minute - 5 < found_at[one.id] <= minute]
        known += new
        result = rule.at(minute, *new)

        def signed(direction, amount):
            return amount if direction == "out" else -amount

        counted = [signed(each.leg.direction, each.amount) for each in (*rule.folded, *result.pieces)]
        assert sum(counted) == sum(signed(one.direction, one.amount) for one in known)
