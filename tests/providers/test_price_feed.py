"""`http_json` prices: what is found in documents, what is refused, and what is asked of whom on real sockets."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from monitor.errors import ProviderGarbled, ProviderRefused, ProviderThrottled, ProviderUnreachable
from monitor.fields import Context
from monitor.providers.http import Http
from monitor.providers.price_feed import MAX_BODY, HttpJsonPrices, PriceFeed, Selector, parse
from tests.builders import minutes, seconds

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATH = "[].{asset: symbol, price: price_usd}"
KEY = "canary-price-key"


def settings(**over):
    given = {"type": "http_json", "url": "https://prices.example/v1?currency=usd", "path": PATH, "max_age": "15m"}
    context = Context(environment={"KEY": KEY})
    return TypeAdapter(HttpJsonPrices).validate_python(given | over, context=context)


def found(document, path=PATH):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse(body, Selector(path))


# The document


def test_numbers_and_decimal_strings_keep_every_digit():
    body = b"""[{"symbol": "btc", "price_usd": 60000.12345678901234567890123456789},
                {"symbol": "ETH", "price_usd": "0.1"}, {"symbol": "big", "price_usd": 123456789012345},
                {"symbol": "shib", "price_usd": 1.25e-5}]"""

    assert found(body).prices == {
        "BTC": Decimal("60000.12345678901234567890123456789"),
        "ETH": Decimal("0.1"),
        "BIG": Decimal(123456789012345),
        "SHIB": Decimal("0.0000125"),
    }


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param({"data": [{"symbol": "BTC", "price_usd": 2}]}, f"data{PATH}", id="a list further down"),
        pytest.param({"symbol": "BTC", "price_usd": 2}, "{asset: symbol, price: price_usd}", id="a single one"),
        pytest.param({"bitcoin": {"usd": 2}}, "{BTC: bitcoin.usd}", id="a mapping that the path makes"),
        pytest.param({"BTC": "2"}, "@", id="a mapping as it is"),
        pytest.param(
            [{"symbol": "BTC", "price_usd": 2, "vol": 9}, {"symbol": "X", "price_usd": 2, "vol": 0.5}],
            "[?vol > `1`].{asset: symbol, price: price_usd}",
            id="some of a list",
        ),
    ],
)
def test_where_the_path_finds_prices(document, path):
    assert found(document, path).prices == {"BTC": 2}


@pytest.mark.parametrize(
    "value",
    [
        0, -1, "0", "-2", None, True, "", "NaN", "Infinity", "1,000", "12 USD", [], {}, "1e400", "9" * 70,
        "0.0000000000000000000000000001", "1e30",
    ],
)  # fmt: skip
def test_garbage_is_left_out_and_said_and_never_zero(value):
    rows = [{"symbol": "BTC", "price_usd": value}, {"symbol": "ETH", "price_usd": 3}]

    prices, note = found(rows)

    assert prices == {"ETH": 3}
    assert note.startswith("1 prices were left out, the first is BTC at")


@pytest.mark.parametrize("number", [b"1e999999999999999999999", b"-0.0", b"1e-400", b"1" * 300])
def test_a_number_that_cannot_be_money_is_garbage_too(number):
    body = b'[{"symbol": "BTC", "price_usd": ' + number + b'}, {"symbol": "ETH", "price_usd": 3}]'

    assert found(body).prices == {"ETH": 3}


@pytest.mark.parametrize("symbol", [None, "", " ", 7, "x" * 65, "B\nTC"])
def test_what_names_no_asset_is_left_out(symbol):
    assert found([{"symbol": symbol, "price_usd": 2}, {"symbol": "ETH", "price_usd": 3}]).prices == {"ETH": 3}


def test_the_first_of_two_prices_holds():
    assert found([{"symbol": "usdt", "price_usd": 1}, {"symbol": "USDT", "price_usd": 9}]).prices == {"USDT": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b'{"BTC": 2', "the answer is not JSON"),
        (json.dumps({f"A{n}": 1 for n in range(20_001)}).encode(), "the answer has more than 20000 prices"),
    ],
)
def test_what_is_no_list_of_prices_is_garbled(body, said):
    with pytest.raises(ProviderGarbled, match=said):
        found(body, "@")


# The settings


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"path": "[].{asset: symbol"}, "is not JMESPath: Invalid jmespath expression: Incomplete expression"),
        ({"path": "[].{asset symbol}"}, "is not JMESPath: Expecting: colon"),
        ({"path": "[].{asset: symbol, price: to_number(p)}"}, "`to_number()` cannot be used, prices must stay exact"),
        ({"path": "[?sum(p) > `1`]"}, "`sum()` cannot be used"),
        ({"path": "nonsense(@)"}, "`nonsense()` cannot be used"),
        ({"path": ""}, "is not JMESPath"),
        ({"url": "prices.example"}, "write it like https://"),
        ({"url": "https://me:secret@prices.example"}, "secrets belong into `headers`"),
        ({"interval": "20m"}, "fetched every 20m, prices are too old after 15m"),
        ({"max_age": "5s"}, "fetched every 10s, prices are too old after 5s"),
        ({"interval": "100ms"}, "greater than or equal to"),
        ({"headers": {"X Y": "1"}}, "'X Y' is not a header that can be sent"),
        ({"headers": {"X-Y": "a\nb"}}, "'X-Y' is not a header that can be sent"),
        ({"max_age": "0s"}, "greater than 0"),
    ],
)
def test_what_cannot_work_is_a_mistake(over, said):
    with pytest.raises(ValidationError) as caught:
        settings(**over)

    assert said in str(caught.value)


def test_what_is_not_said_is_a_third_of_its_age_and_the_hosts_name():
    plain = settings()

    assert (plain.source, plain.every, plain.origin) == ("prices.example", minutes(5), "https://prices.example")
    assert settings(max_age="12s").every == seconds(10)
    assert settings(name="coins", interval="1m").source == "coins"


def test_headers_that_look_like_secrets_are_secrets_however_they_are_written():
    headers = settings(headers={"X-Api-Key": "plain-canary", "X-Plan": "demo", "X-Other": {"env": "KEY"}}).headers

    assert "canary" not in repr(headers)
    assert headers["X-Plan"] == "demo"


# The network


def feed(session, server, **over):
    spec = settings(url=f"{server.url}/v1?currency=usd", **over)
    return PriceFeed(spec, Http(session, spec.origin, max_body=MAX_BODY))


async def test_it_asks_the_host_with_its_headers(session, server, purse):
    server.say([{"symbol": "BTC", "price_usd": 2.5}])

    fetched = await feed(session, server, headers={"X-Key": {"env": "KEY"}, "X-Plan": "demo"}).fetch(purse, NOON)

    [asked] = server.asked
    assert fetched.prices == {"BTC": Decimal("2.5")}
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1", {"currency": "usd"})
    assert (asked.headers["x-key"], asked.headers["x-plan"]) == (KEY, "demo")
    assert purse.spent == [1]


async def test_a_redirect_is_not_followed_and_the_other_host_hears_nothing(session, server, stranger, purse):
    server.say("{}", status=302, Location=f"{stranger.url}/v1")

    with pytest.raises(ProviderGarbled, match="a redirect, which is never followed"):
        await feed(session, server, headers={"X-Key": {"env": "KEY"}}).fetch(purse, NOON)

    assert stranger.asked == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (429, "{}", ProviderThrottled, "HTTP 429"),
        (503, "{}", ProviderUnreachable, "HTTP 503"),
        (401, json.dumps({"error": f"bad key {KEY}"}), ProviderRefused, "HTTP 401: bad key [redacted]"),
        (404, "{}", ProviderRefused, "HTTP 404"),
        (200, "<html>busy</html>", ProviderGarbled, "a body that is not JSON"),
        (200, "[]", ProviderGarbled, "the path finds no price in the answer"),
        (200, '{"error": "no such plan"}', ProviderRefused, "an error within a success: no such plan"),
        (200, '[{"symbol": "BTC", "price_usd": 0}]', ProviderGarbled, "1 prices were left out, the first is BTC at 0"),
        (200, f"[{' ' * MAX_BODY}]", ProviderGarbled, "the answer is longer than"),
    ],
)
async def test_an_answer_without_prices_is_an_error_not_no_prices(
    session, server, purse, leaks_nothing, status, body, kind, said
):
    server.say(body, status=status, Retry_After="7")

    with pytest.raises(kind) as caught:
        await feed(session, server, headers={"X-Key": {"env": "KEY"}}).fetch(purse, NOON)

    assert said in str(caught.value)
    leaks_nothing(caught.value, KEY)
    if kind is ProviderThrottled:
        assert caught.value.wait == seconds(7)


async def test_one_that_does_not_answer_is_given_up_by_whoever_waits(session, server, purse):
    async def never(_asked):
        await asyncio.sleep(60)
        return web.Response()

    server.route = never
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await feed(session, server).fetch(purse, NOON)
