"""Fetched prices in the daemon as people run it."""

import json
from dataclasses import dataclass, field

import pytest
from aiohttp import web

RULES = """\
rules:
  - {alert: Worth, type: low_balance, assets: [USDT], unit: usd, below: 50, severity: critical}
"""
PRICES = """\
prices:
  - {{type: http_json, name: market, url: "{url}/prices?in=usd", path: "[].{{asset: symbol, price: usd}}",
     interval: 1s, max_age: 10m, headers: {{X-Key: {{env: BANK_KEY}}}}}}
"""


@dataclass
class Market:
    url: str = ""
    price: object = "1"
    asked: list = field(default_factory=list)

    async def answer(self, request):
        self.asked.append((request.query_string, request.headers.get("X-Key")))
        if self.price is None:
            return web.json_response({"error": "busy"}, status=503)
        return web.json_response([{"symbol": "usdt", "usd": self.price}])


@pytest.fixture
async def market():
    it, app = Market(), web.Application()
    app.router.add_get("/prices", it.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    it.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield it
    await runner.cleanup()


async def test_case_24_a_price_that_falls_is_told_as_such_and_outlives_its_source(place, chat, market, until, canaries):
    place.write(timeout="10s")
    (place.path / "rules.yaml").write_text(RULES)
    config = place.path / "config.yaml"
    config.write_text(config.read_text() + PRICES.format(url=market.url))
    daemon = await place.start()

    async def priced():
        return 'balance_monitor_prices_timestamp_seconds{source="market"}' in (await daemon.get("/metrics"))[1]

    await until(priced, "the prices are known")
    market.price = 0.4
    await until(lambda: chat.heard, "the breach is told")

    [alert] = json.loads(chat.posts[0][1])["data"]["alerts"]
    assert (alert["value"], alert["previous"], alert["unit"]) == ("40.0", "100", "USD")
    assert "by price -60 USD, by quantity 0 USD" in alert["annotations"]["summary"]
    assert set(market.asked) == {("in=usd", canaries[0])}

    market.price = None
    await until(lambda: daemon.said("account.failing"), "the log says that nobody answers")
    asked = len(market.asked)
    await until(lambda: len(market.asked) > asked + 1, "it is asked again")
    assert len(chat.posts) == 1
    market.price = "2"
    await until(lambda: len(chat.heard) == 2, "the end is told")

    assert await daemon.stop() == 0
    assert [line["account"] for line in daemon.said("account.failing")] == ["prices:market"]
    assert [canary for canary in canaries if canary in daemon.log.read_text()] == []
    _, out, _ = await place.command("status", "--json")
    assert [one["id"] for one in json.loads(out)["accounts"]] == ["hot"]
