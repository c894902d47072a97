import pytest

from monitor.api.route import Route
from monitor.api.router import Router
from monitor.api.routes import ROUTES


async def nothing(_api, _request):
    raise AssertionError("only the paths matter here")


def routes(*paths):
    return [Route(method, path, nothing) for method, path in paths]


WALLET = "/v1/wallets/{account}/{asset}"
SOME = Router(routes(("GET", "/"), ("GET", "/v1/holds"), ("PUT", "/v1/holds/{id}"), ("GET", "/v1/holds/{id}"),
                     ("POST", "/v1/holds/{id}/commit"), ("GET", "/v1/holds/all"), ("GET", WALLET)))  # fmt: skip


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        pytest.param("/", "/", {}, id="the root"),
        pytest.param("/v1/holds", "/v1/holds", {}, id="as it is written"),
        pytest.param("/v1/holds/bet-42", "/v1/holds/{id}", {"id": "bet-42"}, id="with a value"),
        pytest.param("/v1/holds/bet-42/commit", "/v1/holds/{id}/commit", {"id": "bet-42"}, id="behind a value"),
        pytest.param("/v1/holds/commit", "/v1/holds/{id}", {"id": "commit"}, id="a value like a word of another"),
        pytest.param("/v1/wallets/p/USDT", WALLET, {"account": "p", "asset": "USDT"}, id="with two"),
        pytest.param("/v1/holds/all", "/v1/holds/all", {}, id="what is written goes before what may be any"),
        pytest.param("/v1/holds/a%2Fb", "/v1/holds/{id}", {"id": "a/b"}, id="an escaped slash separates nothing"),
        pytest.param("/v1/holds/a%252Fb", "/v1/holds/{id}", {"id": "a%2Fb"}, id="escaped once, decoded once"),
        pytest.param("/v1/holds/%D0%B8", "/v1/holds/{id}", {"id": "и"}, id="UTF-8"),
        pytest.param("/v1/%68olds/x", "/v1/holds/{id}", {"id": "x"}, id="a word in another spelling"),
        pytest.param("/v1/holds/{id}", "/v1/holds/{id}", {"id": "{id}"}, id="braces"),
        pytest.param("/v1/holds/a+b", "/v1/holds/{id}", {"id": "a+b"}, id="a plus is no blank"),
    ],
)
def test_a_path_leads_to_its_route(path, route, values):
    routes, found = SOME.find(path)

    assert (routes["GET" if "GET" in routes else "POST"].path, found) == (route, values)


@pytest.mark.parametrize(
    "path",
    ["", "v1", "v1/holds", "/v1", "/v1/holds/", "/v1/holds//commit", "/v1//holds", "//v1/holds", "/v1/holds/x/commit/",
     "*", "/v1/holds/%FF", "/V1/holds", "/v1%2Fholds", "/v1/wallets/p", "/v1/holds/x/other"],
)  # fmt: skip
def test_another_path_leads_nowhere(path):
    assert SOME.find(path) is None


def test_a_path_has_its_methods_and_head_goes_with_get():
    assert set(SOME.find("/v1/holds/x")[0]) == {"PUT", "GET", "HEAD"}
    assert set(SOME.find("/v1/holds/x/commit")[0]) == {"POST"}


@pytest.mark.parametrize(
    "both",
    [
        pytest.param((("GET", "/a/{x}"), ("GET", "/a/{x}")), id="twice the same"),
        pytest.param((("GET", "/a/{x}"), ("PUT", "/a/{y}")), id="two names for one place"),
    ],
)
def test_routes_that_contradict_each_other_are_refused(both):
    with pytest.raises(AssertionError, match=r"twice|two names"):
        Router(routes(*both))


def test_every_route_of_ours_is_found_under_its_own_path():
    router = Router(ROUTES)

    for route in ROUTES:
        assert router.find(route.path)[0][route.method] is route
