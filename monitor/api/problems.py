"""Everything the API refuses to do, as RFC 9457 problem details."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from aiohttp import web

from monitor.errors import MonitorError


class Problem(MonitorError):
    """Raised by a handler to answer with an error: `name` becomes its `type`, `detail` is for the caller."""

    def __init__(
        self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail
        self.headers, self.more = dict(headers or {}), more


def invalid(detail: str) -> Problem:
    """The request cannot be understood; `detail` says which part and how to write it."""
    return Problem(400, "invalid-request", detail)


def unknown_account(name: str) -> Problem:
    """No such account is configured."""
    return Problem(404, "account-unknown", f"there is no account {name[:128]!r}")


def later(status: int, name: str, detail: str, wait: timedelta) -> Problem:
    """Try again after `wait`, rounded up to whole seconds as Retry-After wants it."""
    seconds = max(1, -(-wait // timedelta(seconds=1)))
    return Problem(status, name, detail, {"Retry-After": str(seconds)})


def from_http(error: web.HTTPException) -> Problem:
    """What aiohttp itself refuses: unknown paths, wrong methods, bodies too large."""
    match error:
        case web.HTTPNotFound():
            return Problem(404, "not-found", "there is nothing at this path")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(405, "method-not-allowed", f"use {allowed}", {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return too_large()
    return Problem(error.status, "invalid-request", HTTPStatus(error.status).description)


def too_large() -> Problem:
    """No request needs a body of this size."""
    return Problem(413, "request-too-large", "a request body may have 64 kB at most")
