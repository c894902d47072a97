"""The order of reasons is a promise: the same facts always give the same reason."""

from monitor.guard.reasons import REASONS

#: As the contract of the API has it, in that order.
PROMISED = """
HOLD_TOMBSTONED ACCOUNT_UNKNOWN ASSET_UNKNOWN GUARD_CLOSED ACCOUNT_LOCKED SESSION_EXPIRED AMOUNT_BELOW_MIN
AMOUNT_ABOVE_MAX TOO_MANY_HOLDS BALANCE_NEVER_SEEN STATE_QUARANTINED BALANCE_STALE INSUFFICIENT_FUNDS
BANKROLL_INSUFFICIENT OK
"""


def test_the_reasons_and_their_order_are_those_promised():
    assert list(REASONS) == PROMISED.split()
