"""Everything the API refuses to do, as RFC 9457 problem details."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from monitor.errors import MonitorError


class Kind(NamedTuple):
    """What a problem's name stands for: its status, and its meaning for the documents."""

    status: int
    meaning: str


#: Every problem that the API knows, by the name that is its `type`.
PROBLEMS: Mapping[str, Kind] = {
    "invalid-request": Kind(400, "The request cannot be understood; `detail` says which part and how to write it."),
    "amount-precision": Kind(400, "An amount has more than 18 decimals: it is never rounded."),
    "unauthorized": Kind(401, "There is no token, or none that is known."),
    "signature-invalid": Kind(401, "What must be signed is not, or its signature is not that of what arrived."),
    "timestamp-outside-window": Kind(401, "It was signed too long ago, or by a clock that is ahead."),
    "forbidden": Kind(403, "The token has not the scope."),
    "host-refused": Kind(403, "Without tokens only this machine is answered."),
    "key-not-allowed": Kind(403, "The key that signed is not configured, or no longer."),
    "not-found": Kind(404, "There is nothing at this path."),
    "account-unknown": Kind(404, "No such account is watched."),
    "alert-unknown": Kind(404, "Nothing is known of such an alert, or no longer."),
    "channel-unknown": Kind(404, "No such channel is configured."),
    "delivery-unknown": Kind(404, "There is no such delivery."),
    "hold-unknown": Kind(404, "Nothing is held under this id."),
    "silence-unknown": Kind(404, "There is no such silence."),
    "wallet-unknown": Kind(404, "The account has no such asset, or was not read yet."),
    "method-not-allowed": Kind(405, "The path takes other methods; `Allow` names them."),
    "account-configured": Kind(409, "The account stands in the configuration file: change it there."),
    "alert-event": Kind(409, "The alert is an event: there is nothing to acknowledge."),
    "alert-pending": Kind(409, "The alert does not fire yet: nobody was told of it."),
    "alert-resolved": Kind(409, "The alert has resolved: there is nothing to acknowledge any more."),
    "delivery-not-dead": Kind(409, "The delivery arrived, or is tried again already."),
    "hold-already-committed": Kind(409, "The bet stands already: with another amount, or it cannot be rolled back."),
    "hold-already-released": Kind(409, "The hold was rolled back."),
    "locks-full": Kind(409, "As many sources lock this wallet as are kept."),
    "silence-configured": Kind(409, "The silence stands in the configuration file: remove it there."),
    "silences-full": Kind(409, "There are as many silences as are kept."),
    "wallet-watched": Kind(
        409, "Another account stands for this wallet, or did and its bets may count yet: `detail` names it."
    ),
    "watches-full": Kind(409, "There are as many watches as there may be: end some first."),
    "hold-expired": Kind(410, "The hold's time is over, which is final: the money is free again."),
    "request-too-large": Kind(413, "No request needs a body of this size."),
    "commit-exceeds-hold": Kind(422, "More is to be committed than is held."),
    "hold-id-reused": Kind(422, "Another bet has this id already. Nothing happened."),
    "rate-limited": Kind(429, "The token's rate is spent."),
    "refresh-budget-exhausted": Kind(429, "The provider's quota has no room for one more refresh now."),
    "internal-error": Kind(500, "A bug; the log says more."),
    "not-ready": Kind(503, "The process cannot do its work now; `checks` says why."),
    "deadline-exceeded": Kind(503, "There was no answer in time."),
    "overloaded": Kind(503, "Too many requests at once."),
    "provider-unavailable": Kind(503, "The provider fails and is left alone for now."),
    "store-unavailable": Kind(503, "The store does not answer."),
}


class Problem(MonitorError):
    """Raised by a handler to answer with an error: `name` (of PROBLEMS) becomes its `type`, `detail` is for the caller.

    `more` are further members of the answer.
    """

    def __init__(self, name: str, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = PROBLEMS[name].status, name, detail
        self.headers, self.more = dict(headers or {}), more


def invalid(detail: str) -> Problem:
    """The request cannot be understood; `detail` says which part and how to write it."""
    return Problem("invalid-request", detail)


def unknown_account(name: str) -> Problem:
    """No such account is configured."""
    return Problem("account-unknown", f"there is no account {name[:128]!r}")


def later(name: str, detail: str, wait: timedelta, **more: object) -> Problem:
    """Try again after `wait`, rounded up to whole seconds as Retry-After wants it."""
    seconds = max(1, -(-wait // timedelta(seconds=1)))
    return Problem(name, detail, {"Retry-After": str(seconds)}, **more)


def too_large() -> Problem:
    """No request needs a body of this size."""
    return Problem("request-too-large", "a request body may have 64 kB at most")
