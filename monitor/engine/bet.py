"""A bet as somebody asks for it, and as they are told of it."""

from datetime import timedelta
from typing import NamedTuple

from monitor.guard.freshness import Freshness
from monitor.guard.hold import Ask, Verdict
from monitor.guard.policy import OnStale
from monitor.model.asset import selects
from monitor.model.feed import whose
from monitor.model.record import Account


class Wish(NamedTuple):
    """What a caller asks, read and found sound. Amounts in units; `exposure` is the most that the bet can win.

    `ttl` is at most the longest that the policy allows. None: as the policy says.
    """

    account: str
    asset: str
    amount: int
    decimals: int
    ttl: timedelta | None = None
    max_age: timedelta | None = None
    on_stale: OnStale | None = None
    exposure: tuple[int, int] | None = None


class Decided(NamedTuple):
    """A decision as the caller is told it. `decision` is its id: of a replay that of the first time.

    `missing` is by how much the wallet was too poor, where that was the reason.
    """

    verdict: Verdict
    decision: str
    age: timedelta | None
    freshness: Freshness
    missing: int | None = None


def missing(ask: Ask, verdict: Verdict) -> int | None:
    """By how much the wallet is too poor for it; None where that is not the reason."""
    balance = verdict.balance
    if verdict.reason != "INSUFFICIENT_FUNDS" or balance is None or balance.last_seen is None:
        return None
    short = ask.amount + balance.held + balance.unsettled + balance.locked - balance.last_seen
    # Of a replay it may be there by now, and the refusal stands.
    return short if short > 0 else None


def declares(account: Account, asset: str) -> bool:
    """Whether the configuration names this asset for the account, with or without its network."""
    # Most declare none.
    return bool(account.assets) and any(selects(asset, one) for one in account.assets)


def owner(account: Account | None) -> str:
    """Whose money an account stands for: only what was read of that counts. Empty where there is no account."""
    return "" if account is None else whose(account.provider, account.target, account.origin)
