"""Every endpoint of the API."""

from functools import cache
from typing import Any

import msgspec

from monitor.api import accounts, alerts, callbacks, guard_routes, health, ledger, openapi, silences, watches
from monitor.api import shapes as shape
from monitor.api.context import ApiContext
from monitor.api.replies import Answer, document
from monitor.api.request import Request
from monitor.api.route import DEADLINE, Route
from monitor.engine.silence_words import NewSilence, SilenceShown


async def described(_api: ApiContext, _request: Request) -> Answer:
    """This document."""
    return document(_document(), "application/json")


@cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES))


#: `guard` may poll, as it may refresh a wallet: both spend the provider's quota and change nothing.
ROUTES = (
    Route("GET", "/healthz", health.alive, (), answers={200: shape.Well}),
    Route("GET", "/readyz", health.ready, (), answers={200: shape.Ready}, problems=("not-ready",)),
    Route("GET", "/metrics", health.metrics, answers={200: ("text/plain", "application/openmetrics-text")}),
    Route("GET", "/openapi.json", described, (), answers={200: dict[str, Any]}),
    Route(
        "GET", "/v1/accounts", accounts.index, answers={200: shape.Page[shape.AccountShown]}, query=accounts.INDEX
    ),
    Route("GET", "/v1/accounts/{id}", accounts.show, answers={200: shape.AccountShown}, problems=("account-unknown",)),
    Route(
        "PUT", "/v1/accounts/{id}", watches.put, ("guard",), signed=True,
        answers={200: shape.AccountShown, 201: shape.AccountShown}, takes=watches.NewWatch,
        problems=("account-configured", "account-unknown", "wallet-watched", "watches-full"),
    ),
    Route(
        "DELETE", "/v1/accounts/{id}", watches.delete, ("guard",), signed=True,
        answers={200: shape.Removed}, problems=("account-configured", "account-unknown"),
    ),
    Route(
        "GET", "/v1/accounts/{id}/history", accounts.history,
        answers={200: shape.Page[shape.PointShown]}, query=accounts.HISTORY, problems=("account-unknown",),
    ),
    Route(
        "GET", "/v1/accounts/{id}/events", accounts.events,
        answers={200: shape.Page[shape.EventShown]}, query=accounts.EVENTS, problems=("account-unknown",),
    ),
    Route(
        "POST", "/v1/accounts/{id}/poll", accounts.poll, ("guard", "admin"), DEADLINE + accounts.WAIT_MAX, signed=True,
        answers={200: shape.AccountShown, 202: shape.Scheduled}, query=(accounts.WAIT,), problems=("account-unknown",),
    ),
    Route(
        "POST", "/v1/callbacks/{provider}", callbacks.happened, (), answers={202: shape.Scheduled},
        takes=callbacks.Happened,
        problems=(
            "not-found", "signature-invalid", "timestamp-outside-window", "account-unknown", "refresh-budget-exhausted",
        ),
    ),
    Route(
        "GET", "/v1/alerts", alerts.index,
        answers={200: shape.Page[shape.AlertShown]}, query=alerts.INDEX, problems=("account-unknown",),
    ),
    Route("GET", "/v1/alerts/{id}", ledger.why, answers={200: shape.StoryShown}, problems=("alert-unknown",)),
    Route(
        "POST", "/v1/alerts/{id}/ack", alerts.ack, ("admin",),
        answers={200: shape.AlertShown}, takes=alerts.Acknowledgement,
        problems=("alert-unknown", "alert-event", "alert-pending", "alert-resolved"),
    ),
    Route(
        "GET", "/v1/deliveries", ledger.deliveries,
        answers={200: shape.Page[shape.DeliveryShown]}, query=ledger.DELIVERIES, problems=("channel-unknown",),
    ),
    Route(
        "POST", "/v1/deliveries/{id}/replay", ledger.replay, ("admin",),
        answers={202: shape.Replayed}, problems=("delivery-unknown", "delivery-not-dead"),
    ),
    Route("GET", "/v1/silences", silences.index, answers={200: shape.Page[SilenceShown]}, query=(silences.STATE,)),
    Route(
        "POST", "/v1/silences", silences.create, ("admin",),
        answers={201: silences.SilenceMade}, takes=NewSilence, problems=("silences-full",),
    ),
    Route(
        "DELETE", "/v1/silences/{id}", silences.expire, ("admin",),
        answers={200: SilenceShown}, problems=("silence-unknown", "silence-configured"),
    ),
    *guard_routes.ROUTES,
)  # fmt: skip
