"""How decisions, holds and wallets look from outside. Pure."""

from datetime import timedelta
from typing import TypeVar

from msgspec import UNSET

from monitor.api import guard_models as models
from monitor.api.views import stamp
from monitor.engine.bet import Decided
from monitor.guard import hold as facts
from monitor.guard.freshness import Freshness
from monitor.guard.units import text

_MILLISECOND = timedelta(milliseconds=1)
#: Where an amount was given for good, and where there was none.
_COMMITTED, _NEVER_HELD = ("committed", "settled", "covered"), ("tombstone", "denied")

D = TypeVar("D", bound=models.Decision)


def decision_view(kind: type[D], decided: Decided) -> D:
    """What a check or a hold is answered."""
    verdict, missing = decided.verdict, decided.missing
    hold, balance = verdict.hold, verdict.balance
    decimals = 0 if balance is None else balance.decimals
    return kind(
        "allow" if verdict.reason == "OK" else "deny",
        verdict.reason,
        None if hold is None else hold_view(hold),
        None if balance is None else balance_view(balance, decided.age, decided.freshness),
        verdict.replayed,
        decided.decision,
        UNSET if missing is None else text(missing, decimals),
    )


def hold_view(hold: facts.Hold) -> models.Hold:
    """A hold as a decision or a resolution shows it."""
    state = hold.state
    final = hold.committed if state in _COMMITTED else None
    returned = None if final is None else text(hold.amount - final, hold.decimals)
    expires_at = None if state in _NEVER_HELD else stamp(hold.expires_at)
    if state == "tombstone":
        return models.Hold(hold.id, state, None, None)
    return models.Hold(
        hold.id,
        state,
        text(hold.amount if final is None else final, hold.decimals),
        expires_at,
        UNSET if returned is None else returned,
        UNSET if hold.reason is None else hold.reason,
    )


def found_view(hold: facts.Hold) -> models.Hold:
    """A hold as somebody who asks for it is shown it: with the bet it is for."""
    plain = hold_view(hold)
    if hold.state == "tombstone":
        return plain
    return models.Hold(
        plain.id, plain.state, plain.amount, plain.expires_at, plain.returned, plain.reason,
        hold.account, hold.asset, stamp(hold.posted_at), hold.decision,
    )  # fmt: skip


def balance_view(balance: facts.Balance, age: timedelta | None, freshness: Freshness) -> models.Balance:
    """A wallet in figures. What was never seen is not zero."""
    decimals, seen = balance.decimals, balance.last_seen
    return models.Balance(
        balance.asset,
        None if seen is None else text(seen, decimals),
        text(balance.held, decimals),
        text(balance.unsettled, decimals),
        text(balance.locked, decimals),
        None if seen is None else text(balance.spendable, decimals),
        stamp(balance.as_of),
        None if age is None else age // _MILLISECOND,
        freshness,
    )


def wallet_view(
    account: str, wallet: facts.Wallet, freshness: Freshness, read_lag: timedelta, whose: str | None
) -> models.Wallet:
    """Everything about a wallet, with the ids of this caller's holds; of everybody's for None."""
    balance = wallet.balance
    decimals = balance.decimals
    age = None if balance.as_of is None else max(timedelta(0), wallet.now - balance.as_of)
    return models.Wallet(
        account=account,
        asset=balance.asset,
        balance=balance_view(balance, age, freshness),
        snapshot=models.Snapshot(stamp(balance.as_of), wallet.token),
        holds=[
            models.OpenHold(
                one.id if whose in (None, one.caller) else None,
                one.caller,
                text(one.amount, decimals),
                stamp(one.expires_at),
            )
            for one in wallet.holds
        ],
        debits=[_debit_view(one, decimals, read_lag, whose) for one in wallet.debits],
        locks=[models.Lock(one.source, stamp(one.until)) for one in wallet.locks],
        quarantined_until=stamp(wallet.bound_until),
        version=wallet.version,
        more=wallet.more,
    )


def _debit_view(debit: facts.Debit, decimals: int, read_lag: timedelta, whose: str | None) -> models.Debit:
    posted = debit.posted_at
    return models.Debit(
        debit.hold if whose in (None, debit.caller) else None, debit.caller, text(debit.amount, decimals),
        stamp(debit.committed_at), stamp(posted), None if posted is None else stamp(posted + read_lag),
    )  # fmt: skip


def closed_view(why: str | None, switch: facts.Switch) -> models.Closed:
    """Whether the guard is closed, and by whom."""
    closed = switch.since is not None
    return models.Closed(
        why is not None,
        why,
        stamp(switch.since),
        switch.comment if closed else None,
        switch.author if closed else None,
    )
