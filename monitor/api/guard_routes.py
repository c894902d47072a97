"""The endpoints of the pre-bet guard."""

from datetime import timedelta

from monitor.api import guard_models as models
from monitor.api import guard_switch, holds, wallets
from monitor.api.auth import Scope
from monitor.api.route import DEADLINE, Endpoint, Route

_HOLD, _WALLET = "/v1/holds/{hold_id}", "/v1/wallets/{account}/{asset}"
_LOCK = f"{_WALLET}/locks/{{source}}"
#: Beyond the longest `guard.deadline` and `guard.refresh_wait`: those know what to do when the time is over.
_PATIENT = timedelta(seconds=45)
_OVER = ("hold-already-released", "hold-expired", "hold-unknown")


def _route(
    method: str,
    path: str,
    endpoint: Endpoint,
    *answers: type | None,
    takes: type | None = None,
    problems: tuple[str, ...] = (),
    scopes: tuple[Scope, ...] = ("guard",),
    deadline: timedelta = DEADLINE,
    ends: bool = False,
) -> Route:
    """Every guard request must be signed where signing is set, and is limited by `guard.deadline`. `answers` are those
    to 200, 201 and 202."""
    given = {status: kind for status, kind in zip((200, 201, 202), answers, strict=False) if kind is not None}
    return Route(
        method, path, endpoint, scopes, deadline, signed=True, answers=given, takes=takes, problems=problems, ends=ends,
        in_time=True,
    )  # fmt: skip


ROUTES = (
    _route("POST", "/v1/checks", holds.check, models.CheckDecision, deadline=_PATIENT,
           takes=models.CheckRequest, problems=("amount-precision",)),
    _route("PUT", _HOLD, holds.put, models.Decision, models.Decision, deadline=_PATIENT,
           takes=models.HoldRequest, problems=("amount-precision", "hold-id-reused")),
    _route("GET", _HOLD, holds.show, models.HoldAnswer, problems=("hold-unknown",)),
    _route("POST", f"{_HOLD}/commit", holds.commit, models.HoldAnswer, ends=True, takes=models.CommitRequest,
           problems=(*_OVER, "amount-precision", "hold-already-committed", "commit-exceeds-hold")),
    _route("POST", f"{_HOLD}/settled", holds.settled, models.HoldAnswer, ends=True,
           takes=models.Nothing, problems=_OVER),
    _route("POST", f"{_HOLD}/release", holds.release, models.HoldAnswer, ends=True,
           takes=models.Nothing, problems=("hold-already-committed",)),
    _route("GET", _WALLET, wallets.show, models.Wallet, problems=("wallet-unknown",)),
    _route("POST", f"{_WALLET}/refresh", wallets.refresh, models.Wallet, None, models.RefreshScheduled,
           takes=models.Nothing, deadline=_PATIENT,
           problems=("account-unknown", "wallet-unknown", "refresh-budget-exhausted", "provider-unavailable")),
    _route("PUT", _LOCK, wallets.lock, models.LockAnswer, takes=models.LockRequest, problems=("locks-full",)),
    _route("DELETE", _LOCK, wallets.unlock, models.LockAnswer, takes=models.Nothing),
    _route("GET", "/v1/guard/closed", guard_switch.show, models.Closed, scopes=("guard", "read")),
    _route("PUT", "/v1/guard/closed", guard_switch.close, models.Closed, takes=models.CloseRequest, scopes=("admin",)),
    _route("DELETE", "/v1/guard/closed", guard_switch.reopen, models.Closed, takes=models.Nothing, scopes=("admin",)),
)  # fmt: skip
