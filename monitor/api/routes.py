"""Every endpoint of the API, with who may ask it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from monitor.api import accounts, alerts, health, ledger, silences
from monitor.api.auth import Scope
from monitor.api.context import ApiContext
from monitor.api.request import Request

#: An ordinary request is answered within this, whatever the store does.
DEADLINE = timedelta(seconds=10)

Endpoint = Callable[[ApiContext, Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. Without `scopes` it is open to everyone who can connect; else one of them is needed.

    `signed`: where `guard.signing` is set, a request without its signature is refused.
    """

    method: str
    path: str
    endpoint: Endpoint
    scopes: tuple[Scope, ...] = ("read",)
    deadline: timedelta = DEADLINE
    signed: bool = False


#: `guard` may poll, as it may refresh a wallet: both spend the provider's quota and change nothing.
ROUTES = (
    Route("GET", "/healthz", health.alive, ()),
    Route("GET", "/readyz", health.ready, ()),
    Route("GET", "/metrics", health.metrics),
    Route("GET", "/v1/accounts", accounts.index),
    Route("GET", "/v1/accounts/{id}", accounts.show),
    Route("GET", "/v1/accounts/{id}/history", accounts.history),
    Route("GET", "/v1/accounts/{id}/events", accounts.events),
    Route("POST", "/v1/accounts/{id}/poll", accounts.poll, ("guard", "admin"), DEADLINE + accounts.WAIT_MAX),
    Route("GET", "/v1/alerts", alerts.index),
    Route("GET", "/v1/alerts/{id}", ledger.why),
    Route("GET", "/v1/deliveries", ledger.deliveries),
    Route("POST", "/v1/deliveries/{id}/replay", ledger.replay, ("admin",)),
    Route("POST", "/v1/alerts/{id}/ack", alerts.ack, ("admin",)),
    Route("GET", "/v1/silences", silences.index),
    Route("POST", "/v1/silences", silences.create, ("admin",)),
    Route("DELETE", "/v1/silences/{id}", silences.expire, ("admin",)),
)
