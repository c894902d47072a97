"""Who may ask what: every route, every scope."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.api.auth import Rate, Token
from monitor.api.routes import ROUTES
from monitor.api.signing import Signers

TOKENS = {scope: Token.of(scope, f"{scope}-s3cret", [scope]) for scope in ("read", "guard", "admin")}
OPEN = {"GET /healthz", "GET /readyz", "GET /openapi.json", "POST /v1/callbacks/{provider}"}
#: Routes that a `guard` token opens, besides all below these.
GUARD = {"POST /v1/accounts/{id}/poll", "PUT /v1/accounts/{id}", "DELETE /v1/accounts/{id}", "GET /v1/guard/closed"}
GUARDED = ("/v1/checks", "/v1/holds", "/v1/wallets")
#: Routes that a `read` token does not open, besides all that change something.
NOT_READ = ("/v1/holds", "/v1/wallets")
#: What has to be signed besides those, where signing is set.
SIGNED = {"PUT /v1/accounts/{id}", "DELETE /v1/accounts/{id}", "POST /v1/accounts/{id}/poll"}

every_route = pytest.mark.parametrize("route", [pytest.param(one, id=f"{one.method} {one.path}") for one in ROUTES])


def name(route):
    return f"{route.method} {route.path}"


def path(route):
    """A path of it, with something in each place."""
    places = {"{id}": "nobody", "{hold_id}": "bet-1", "{account}": "nobody", "{asset}": "USDT", "{source}": "aml"}
    return "/".join({**places, "{provider}": "nobody"}.get(part, part) for part in route.path.split("/"))


def may(route):
    """The scopes that open a route, as this page has it."""
    if name(route) in OPEN:
        return {"read", "guard", "admin", None}
    opened = {"admin"}
    if name(route) in GUARD or route.path.startswith(GUARDED):
        opened.add("guard")
    if route.method == "GET" and not route.path.startswith(NOT_READ):
        opened.add("read")
    return opened


async def ask(client, route, token=None):
    """(status, type of the problem)"""
    headers = {"Authorization": f"Bearer {token}-s3cret"} if token else {}
    async with client.request(route.method, path(route), headers=headers) as answer:
        told = await answer.json(content_type=None) if "problem" in answer.content_type else {}
        return answer.status, told.get("type")


@every_route
async def test_a_route_is_open_to_its_scopes_and_to_no_other(context, start, route):
    client, _ = await start(context(tokens=tuple(TOKENS.values())))

    refused = {scope: (await ask(client, route, scope))[1] for scope in (None, "read", "guard", "admin")}

    assert {scope for scope, problem in refused.items() if problem not in ("unauthorized", "forbidden")} == may(route)
    assert {problem for scope, problem in refused.items() if scope not in may(route)} <= {"unauthorized", "forbidden"}


@every_route
async def test_a_tokens_rate_holds_on_every_route_that_needs_one(context, start, route):
    slow = tuple(replace(token, rate=Rate(1, timedelta(hours=1))) for token in TOKENS.values())
    client, _ = await start(context(tokens=slow))

    _, (status, problem) = await ask(client, route, "admin"), await ask(client, route, "admin")

    assert ((status, problem) == (429, "rate-limited")) == (name(route) not in OPEN)


@every_route
async def test_whatever_a_token_of_the_guard_opens_must_be_signed(context, start, route):
    client, _ = await start(context(signers=Signers({"op-7": (b"s3cret",)}, timedelta(seconds=30))))

    status, problem = await ask(client, route)

    concerned = name(route) in SIGNED or route.path.startswith((*GUARDED, "/v1/guard"))
    assert ((status, problem) == (401, "signature-invalid")) == concerned
