"""Why a bet may be placed or not. First hit wins, so the same facts always give the same reason."""

from typing import Literal, get_args

Reason = Literal[
    "HOLD_TOMBSTONED",
    "ACCOUNT_UNKNOWN",
    "ASSET_UNKNOWN",
    "GUARD_CLOSED",
    "ACCOUNT_LOCKED",
    "SESSION_EXPIRED",
    "AMOUNT_BELOW_MIN",
    "AMOUNT_ABOVE_MAX",
    "TOO_MANY_HOLDS",
    "BALANCE_NEVER_SEEN",
    "STATE_QUARANTINED",
    "BALANCE_STALE",
    "INSUFFICIENT_FUNDS",
    "BANKROLL_INSUFFICIENT",
    "OK",
]

#: In the order in which they are looked for.
REASONS: tuple[Reason, ...] = get_args(Reason)
