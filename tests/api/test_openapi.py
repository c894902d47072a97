"""The OpenAPI document says what there is, and the API answers what it says (tests/api/conftest.py looks at each)."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from monitor.api.problems import PROBLEMS
from monitor.api.routes import ROUTES
from tests.api.conformance import DOCUMENT, check, operation

every_route = pytest.mark.parametrize("route", [pytest.param(one, id=f"{one.method} {one.path}") for one in ROUTES])


def documented(route):
    return DOCUMENT["paths"][route.path][route.method.lower()]


def types_of(answer):
    return answer["content"]["application/problem+json"]["schema"]["properties"]["type"]["enum"]


def test_the_document_is_valid_in_the_eyes_of_an_independent_validator():
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


async def test_the_document_is_served_to_whoever_asks(context, start):
    from monitor.api.auth import Token

    client, _ = await start(context(tokens=(Token.of("ops", "4dm1n", ["admin"]),)))

    async with client.get("/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == DOCUMENT


@every_route
def test_every_route_says_what_it_is_for_and_what_it_answers(route):
    assert route.answers, "what does it answer when all is well?"
    assert len(documented(route)["summary"]) > 8, "its docstring is its summary"
    assert set(route.problems) <= set(PROBLEMS)


@every_route
def test_every_parameter_of_a_route_is_explained(route):
    said = documented(route)
    explained = [one["description"] for one in said.get("parameters", ())]

    assert all(explained)
    assert {one["name"] for one in said.get("parameters", ()) if one["in"] == "path"} == {
        part.strip("{}") for part in route.path.split("/") if part.startswith("{")
    }


@every_route
def test_every_route_says_who_may_ask(route):
    said = documented(route)

    asked = [list(one["bearer"]) for one in said["security"] if "bearer" in one]
    assert asked == [list(route.scopes)] * len(asked)
    assert bool(asked) == bool(route.scopes)
    assert ("401" in said["responses"]) == bool(route.scopes or "signature-invalid" in route.problems)
    assert any("guardSignature" in one for one in said["security"]) == route.signed


def test_an_id_that_a_proxy_takes_out_of_the_path_is_none():
    parameters = DOCUMENT["paths"]["/v1/holds/{hold_id}"]["put"]["parameters"]
    [pattern] = [one["schema"]["pattern"] for one in parameters if one["name"] == "hold_id"]

    named = (".", "..", "...", ".a", "bet-1")
    assert [name for name in named if re.search(pattern, name)] == ["...", ".a", "bet-1"]


def test_every_operation_has_a_name_of_its_own():
    names = [documented(route)["operationId"] for route in ROUTES]

    assert sorted(names) == sorted(set(names))


def test_every_problem_is_in_the_document_with_its_status():
    found = {
        (int(status), name)
        for path in DOCUMENT["paths"].values()
        for said in path.values()
        for status, answer in said["responses"].items()
        if int(status) >= 400
        for name in types_of(answer)
    }
    # The path itself has another method: no operation is asked.
    everywhere = {(405, "method-not-allowed")}

    assert found | everywhere == {(kind.status, name) for name, kind in PROBLEMS.items()}


JSON, REPLAYED = "application/json", '{"id": "x", "state": "waiting", "channel": "ops"}'


@pytest.mark.parametrize(
    ("body", "status", "media"),
    [
        pytest.param(REPLAYED.replace(', "channel": "ops"', ""), 202, JSON, id="a key that is missing"),
        pytest.param(REPLAYED.replace("}", ', "more": 1}'), 202, JSON, id="more"),
        pytest.param(REPLAYED.replace("waiting", "sent"), 202, JSON, id="another value"),
        pytest.param(REPLAYED.replace('"x"', "7"), 202, JSON, id="another type"),
        pytest.param(REPLAYED, 200, JSON, id="another status"),
        pytest.param(REPLAYED, 202, "text/plain", id="another medium"),
        pytest.param(
            '{"type": "hold-unknown", "title": "x", "status": 404, "detail": "x"}', 404, "application/problem+json",
            id="a problem of another endpoint",
        ),
        pytest.param(
            '{"type": "delivery-unknown", "title": "x", "status": 404, "detail": "x", "secret": "y"}', 404,
            "application/problem+json", id="a problem that says more",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_the_document_does_not_allow_is_found(body, status, media):
    check("POST", "/v1/deliveries/ntf_1/replay", 202, JSON, REPLAYED.encode())

    with pytest.raises(AssertionError):
        check("POST", "/v1/deliveries/ntf_1/replay", status, media, body.encode())


def test_a_request_that_is_not_in_the_document_is_not_judged():
    assert operation("PATCH", "/v1/alerts") is None
    assert operation("GET", "/v1/nothing") is None
