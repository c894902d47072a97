"""The order of reasons is a promise: the same facts always give the same reason."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.guard.reasons import RANK, REASONS, first

#: As the contract of the API has it, in that order.
PROMISED = """
HOLD_TOMBSTONED ACCOUNT_UNKNOWN ASSET_UNKNOWN GUARD_CLOSED ACCOUNT_LOCKED SESSION_EXPIRED AMOUNT_BELOW_MIN
AMOUNT_ABOVE_MAX TOO_MANY_HOLDS BALANCE_NEVER_SEEN STATE_QUARANTINED BALANCE_STALE INSUFFICIENT_FUNDS
BANKROLL_INSUFFICIENT OK
"""

reasons = st.sampled_from(REASONS)


def test_the_reasons_and_their_order_are_those_promised():
    assert list(REASONS) == PROMISED.split()
    assert [RANK[reason] for reason in REASONS] == list(range(1, 16))


@pytest.mark.parametrize(("sooner", "later"), list(pairwise(REASONS)))
def test_of_two_reasons_the_earlier_one_is_told_whichever_was_found_first(sooner, later):
    assert first(sooner, later) == first(later, sooner) == sooner


@given(st.lists(reasons | st.none()))
def test_holes_do_not_count_and_no_reason_is_none(found):
    known = [one for one in found if one is not None]

    assert first(*found) == (min(known, key=REASONS.index) if known else None)
