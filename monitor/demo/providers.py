"""Four small servers that speak the documented formats of CryptoFuse, KUNA Core, Kaiko and Pacifica."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from monitor.demo.world import KAIKO_PAGE_MAX, PLAYER_WALLET, World

#: What the daemon must present; the servers refuse anything else.
KEYS = {"fuse": "demo-fuse-key", "kuna": "demo-kuna-key", "kaiko": "demo-kaiko-key"}
_HISTORY_PAGE_MAX = 2
#: Decimals become JSON numbers digit by digit, as the vendors write them.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def build(world: World) -> web.Application:
    """One application with the four providers under /fuse, /kuna, /kaiko and /pacifica/api/v1."""
    servers = Servers(world)
    app = web.Application(middlewares=[servers.count])
    app.router.add_post("/fuse/wallets/balance", servers.fuse)
    app.router.add_post("/fuse/wallets/balance/", servers.fuse)
    app.router.add_post("/kuna/v2/balance", servers.kuna)
    app.router.add_get("/kaiko/v2/data/wallet.v1/audit", servers.kaiko)
    app.router.add_get("/pacifica/api/v1/account", servers.account)
    app.router.add_get("/pacifica/api/v1/account/balance/history", servers.balance_history)
    return app


class Servers:
    """The handlers, each a documented answer computed from the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count who was asked: the show begins when everybody was."""
        self.world.asked[request.path.split("/")[1]] += 1
        return await handler(request)

    async def fuse(self, request: web.Request) -> web.Response:
        """Shape A: an object keyed by lower-case code, numbers; a drained asset simply disappears."""
        if request.headers.get("X-API-Key") != KEYS["fuse"]:
            return _json({"error": "authentication_failed"}, 401)
        wallet = (await request.json()).get("wallet_id")
        player = {"usdt": (self.world.player, Decimal(0))}
        balances = {
            code: {"available": total - pending, "pending": pending, "total": total, "blockchain": "ETH"}
            for code, (total, pending) in (player if wallet == PLAYER_WALLET else self.world.fuse).items()
        }
        return _json({"wallet_id": wallet, "wallet_name": "A wallet", "balances": balances})

    async def kuna(self, request: web.Request) -> web.Response:
        """All assets of a wallet in one list, amounts as strings."""
        if self.world.kuna_down:
            return web.Response(status=503, text="<html>Service Unavailable</html>", content_type="text/html")
        if request.headers.get("Api-Key") != KEYS["kuna"]:
            return _json({"statusCode": 401, "message": "Unauthorized"}, 401)
        rows = [
            {"asset": asset, **{name: str(value) for name, value in buckets.items()}, "referralBalance": "0"}
            for asset, buckets in self.world.kuna.items()
        ]
        return _json({"data": rows})

    async def kaiko(self, request: web.Request) -> web.Response:
        """Ledger rows of one address in pages, block times in nanoseconds."""
        if request.headers.get("X-Api-Key") != KEYS["kaiko"]:
            return _json({"result": "error", "message": "Unauthorized"}, 401)
        query = dict(request.query)
        if token := query.get("continuation_token"):
            query = json.loads(bytes.fromhex(token))
        rows = self._rows(query)
        start, size = int(query.get("offset", 0)), min(int(query.get("page_size", 100)), KAIKO_PAGE_MAX)
        page, rest = rows[start : start + size], rows[start + size :]
        answer: dict[str, Any] = {
            "query": {name: query[name] for name in ("start_time", "end_time") if name in query},
            "access": {"access_range": _ALL_OF_HISTORY, "data_range": _ALL_OF_HISTORY},
            "data": page,
        }
        if rest:
            token = json.dumps({**query, "offset": start + size}).encode().hex()
            answer["continuation_token"] = token
            answer["next_url"] = str(request.url.with_query(continuation_token=token))
        return _json(answer)

    def _rows(self, query: dict[str, str]) -> list[dict[str, Any]]:
        def within(row: dict[str, Any]) -> bool:
            at = row["timestamp"]
            return bool(_nanos(query.get("start_time"), 0) <= at <= _nanos(query.get("end_time"), 1 << 63))

        rows = [row for row in self.world.chain if within(row)]
        return rows[::-1] if query.get("sort") == "desc" else rows

    async def account(self, _request: web.Request) -> web.Response:
        """The perps account's measures."""
        if self.world.perps_throttled:
            self.world.perps_throttled -= 1
            headers = {"ratelimit": '"credits";r=0;t=1', "ratelimit-policy": '"credits";q=1000;w=60'}
            return _json({"success": False, "error": "Too Many Requests", "code": 429}, 429, headers)
        balance = self.world.perps[0]["balance"]
        stamp = self.world.perps[0]["created_at"]
        measures = ("balance", "account_equity", "available_to_spend", "available_to_withdraw")
        data = {
            **dict.fromkeys(measures, balance),
            "pending_balance": "0.000000",
            "total_margin_used": "0.000000",
            "positions_count": 1,
            "updated_at": stamp,
        }
        return _json({"success": True, "data": data, "error": None, "code": None})

    async def balance_history(self, request: web.Request) -> web.Response:
        """Newest first in pages, without ids; trades and liquidations only when asked for."""
        rows = [
            row
            for row in self.world.perps
            if request.query.get("include_trades") == "true" or row["event_type"] in ("deposit", "withdraw")
        ]
        start = int(request.query.get("cursor", "0"))
        page, rest = rows[start : start + _HISTORY_PAGE_MAX], rows[start + _HISTORY_PAGE_MAX :]
        cursor = str(start + _HISTORY_PAGE_MAX) if rest else None
        return _json({"success": True, "data": page, "next_cursor": cursor, "has_more": bool(rest)})


_ALL_OF_HISTORY = {"start_timestamp": "None", "end_timestamp": "None"}


def _nanos(text: str | None, default: int) -> int:
    """An ISO time as nanoseconds; `default` when there is none."""
    if text is None:
        return default
    return int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=_encode(body), status=status, headers=headers, content_type="application/json")
