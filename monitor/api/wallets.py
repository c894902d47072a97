"""`/v1/wallets`: all there is to know of one wallet, reading it anew, and locks that others push."""

from datetime import timedelta

import msgspec

from monitor.api import guard_models as models
from monitor.api import guard_read as read
from monitor.api.context import ApiContext
from monitor.api.guard_views import wallet_view
from monitor.api.problems import Problem, invalid, later, unknown_account
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.api.views import stamp
from monitor.guard.errors import SeveralNetworks
from monitor.guard.freshness import freshness
from monitor.guard.hold import Lock

_LOCK = msgspec.json.Decoder(models.LockRequest)
_NOTHING = msgspec.json.Decoder(models.Nothing)
_SOON = timedelta(seconds=1)


async def show(api: ApiContext, request: Request) -> Answer:
    """The whole view."""
    read.nothing_asked(request)
    return answer(await _view(api, request))


async def refresh(api: ApiContext, request: Request) -> Answer:
    """Read it anew: 200 with what was read, 202 when that is still in flight."""
    account = read.path(request, "account")
    read.path(request, "asset")
    await read.body(request, _NOTHING, models.Nothing())
    match await api.guard.refresh(account):
        case None:
            raise unknown_account(account)
        case "read":
            return answer(await _view(api, request))
        case "late":
            return answer(models.RefreshScheduled(), 202)
        case "spent":
            raise later("refresh-budget-exhausted", "the provider's quota has no room for a refresh now", _SOON)
        case "failing":
            raise later("provider-unavailable", "its provider fails and is left alone for now", _SOON)


async def lock(api: ApiContext, request: Request) -> Answer:
    """Nothing new is held for it, until then or until its source takes it back. The source's last word counts."""
    account, asset, source = _named(request)
    said = await read.body(request, _LOCK, models.LockRequest())
    until = read.ahead(said.until, api.clock())
    if not await api.guard.lock(account, asset, Lock(source, until)):
        raise Problem("locks-full", "so many sources lock this wallet already that no more are kept")
    return answer(models.LockAnswer(account, asset, source, locked=True, until=stamp(until)))


async def unlock(api: ApiContext, request: Request) -> Answer:
    """Take a lock back; one that is not there is no mistake."""
    account, asset, source = _named(request)
    await read.body(request, _NOTHING, models.Nothing())
    await api.guard.unlock(account, asset, source)
    return answer(models.LockAnswer(account, asset, source, locked=False))


def _named(request: Request) -> tuple[str, str, str]:
    return read.path(request, "account"), read.path(request, "asset"), read.path(request, "source")


async def _view(api: ApiContext, request: Request) -> models.Wallet:
    account, asset, policy = read.path(request, "account"), read.path(request, "asset"), api.guard.policy
    try:
        wallet = await api.guard.wallet(account, asset)
    except SeveralNetworks as error:
        raise invalid(str(error)) from None
    if wallet is None:
        raise Problem("wallet-unknown", f"the account {account!r} has no {asset!r}, or was not read yet")
    as_of = wallet.balance.as_of
    age = None if as_of is None else wallet.now - as_of
    known = freshness(age, policy.soft_age, policy.max_age)
    whose = None if request.sees_all else request.caller
    return wallet_view(account, wallet, known, policy.terms.read_lag, whose)
