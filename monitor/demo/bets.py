"""A rush of bets: what the daemon's pre-bet guard is for."""

import asyncio
from collections import Counter
from decimal import Decimal
from http import HTTPStatus

import aiohttp

from monitor.demo.world import PLAYER_WALLET, World

PLAYER = "player-7"
BETS, STAKE = 50, Decimal(100)
#: How often a casino asks for a player's reading before it gives up.
_TRIES = 20


async def rush(api: str) -> Counter[str]:
    """Have a player watched, and place more bets at once than the wallet can pay: how often which reason was given.

    A problem instead of a decision is counted by its type.
    """
    async with aiohttp.ClientSession(api) as casino:
        watch = {"provider": "casino", "wallet_id": PLAYER_WALLET, "expires_in": "1h"}
        async with casino.put(f"/v1/accounts/{PLAYER}", json=watch) as answer:
            answer.raise_for_status()
        for _ in range(_TRIES):
            async with casino.post(f"/v1/accounts/{PLAYER}/poll?wait=2s") as answer:
                if answer.status == HTTPStatus.OK:
                    break
        return Counter(await asyncio.gather(*(_bet(casino, number) for number in range(BETS))))


async def _bet(casino: aiohttp.ClientSession, number: int) -> str:
    bet = {"account": PLAYER, "asset": "USDT", "amount": str(STAKE)}
    async with casino.put(f"/v1/holds/rush-{number}", json=bet) as answer:
        said = await answer.json(content_type=None)
    return str(said.get("reason") or said.get("type"))


def expected(world: World) -> Counter[str]:
    """What must be answered: as many are allowed as there is money for."""
    paid = int(world.player // STAKE)
    return Counter({"OK": paid, "INSUFFICIENT_FUNDS": BETS - paid})


def words(world: World, reasons: Counter[str]) -> str:
    """For people: `50 bets of 100 USDT at once on a player's 150: 1 OK, 49 INSUFFICIENT_FUNDS`."""
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: one[1]))
    return f"{BETS} bets of {STAKE} USDT at once on a player's {world.player}: {told}"
