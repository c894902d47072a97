"""Whatever callers do at once, each wallet's answers are those of one call after the other."""

import asyncio
import os
import time
from collections import Counter, defaultdict
from itertools import chain
from random import Random

import aiohttp
import pytest
import redis

from tests.guard.calls import Call
from tests.guard.histories import Facts, unexplained
from tests.ports import free_port

#: How far the provider's reads trail its writes.
LAG = 150_000
GUARD = f"guard: {{posting_delay: never, read_lag: {LAG // 1000}ms, max_holds: 1000, deadline: 10s, audit: off}}\n"
#: `GUARD_TURNS=2000` plays for longer.
CLIENTS, TURNS, WALLETS = 5, int(os.environ.get("GUARD_TURNS", "100")), ("red", "blue", "green")
#: Times to live, in milliseconds.
TTLS = (100, 300, 60_000, 60_000, 60_000)
KINDS = {"bet": 34, "again": 12, "early": 4, "commit": 16, "settled": 8, "release": 8, "find": 8, "check": 10}


def now():
    return time.time_ns() // 1_000


class Books(dict):
    """The provider's: what is read was true at most LAG ago. `shown` is all it ever told, with when it did."""

    def __init__(self, rnd):
        super().__init__(dict.fromkeys(WALLETS, 150))
        self.rnd, self.shown = rnd, []
        self.past = {wallet: [(0, 150)] for wallet in WALLETS}

    def get(self, wallet, default=None):
        seen = now() - self.rnd.randrange(LAG * 9 // 10)
        amount = next(amount for at, amount in reversed(self.past[wallet]) if at <= seen)
        self.shown.append((wallet, now(), amount))
        return amount

    def add(self, wallet, amount):
        self[wallet] = max(0, self[wallet] + amount)
        self.past[wallet].append((now(), self[wallet]))


class Caller:
    """Does to bets whatever callers do, in any order, also to those of others; each call through any daemon."""

    def __init__(self, seed, books, ports, history):
        self.rnd, self.books, self.ports, self.history = Random(seed), books, ports, history
        self.name = str(seed)

    async def play(self, bets):
        async with aiohttp.ClientSession() as self.session:
            for turn in range(TURNS):
                wallet = self.rnd.choice(WALLETS)
                await self.act(wallet, bets[wallet], f"{self.name}-{turn}")
                if self.rnd.random() < 0.15:
                    self.books.add(wallet, self.rnd.randint(1, 60))

    async def act(self, wallet, known, name):
        rnd = self.rnd
        [kind] = rnd.choices(list(KINDS), KINDS.values())
        bet = name, rnd.randint(1, 60), rnd.choice(TTLS)
        if kind in ("bet", "early"):
            known.append(bet)
        elif kind == "check":
            bet = "", bet[1], 0
        elif known:
            bet = rnd.choice(known[-6:] if rnd.random() < 0.7 else known)
        if kind == "again" and rnd.random() < 0.1:
            bet = bet[0], bet[1] + 1, bet[2]
        if kind == "early":
            await asyncio.gather(self.call("release", wallet, *bet), self.call("hold", wallet, *bet))
        elif kind == "commit":
            final = rnd.choice([bet[1], max(1, bet[1] // 2), bet[1] + 5])
            if await self.call("commit", wallet, bet[0], final, 0) == 200:
                self.books.add(wallet, -final)
        else:
            await self.call({"bet": "hold", "again": "hold"}.get(kind, kind), wallet, *bet)

    async def call(self, what, wallet, name, amount, ttl, haste=0.08):
        """One call, recorded; of some the caller does not wait for the answer."""
        began, patience = now(), 10 if self.rnd.random() > haste else self.rnd.uniform(0, 0.002)
        status, answer = await self.ask(what, wallet, name, amount, ttl, patience)
        call = Call(what, name, amount, ttl * 1_000, began)
        if status not in (0, 503):
            call = call._replace(ended=now(), status=status, answer=answer)
        self.history[wallet].append(call)
        if what == "hold" and status == 503:
            self.history[wallet].append(call._replace(what="undo"))
        return status

    async def ask(self, what, wallet, name, amount, ttl, patience):
        bet = {"account": wallet, "asset": "USDT", "amount": str(amount)}
        method, path, body = {
            "hold": ("PUT", f"/v1/holds/{name}", {**bet, "ttl": f"{ttl}ms"}),
            "check": ("POST", "/v1/checks", bet),
            "find": ("GET", f"/v1/holds/{name}", None),
            "commit": ("POST", f"/v1/holds/{name}/commit", {"amount": str(amount)}),
        }.get(what, ("POST", f"/v1/holds/{name}/{what}", None))
        url = f"http://127.0.0.1:{self.rnd.choice(self.ports)}{path}"
        try:
            async with asyncio.timeout(patience), self.session.request(method, url, json=body) as answer:
                return answer.status, await answer.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError):
            return 0, {}


async def played(seed, bank, ports):
    """The history of each wallet, with what became of every bet in the end."""
    history, bets = defaultdict(list), {wallet: [] for wallet in WALLETS}
    callers = [Caller(seed * 100 + number, bank.held, ports, history) for number in range(CLIENTS)]
    await asyncio.gather(*(caller.play(bets) for caller in callers))
    async with aiohttp.ClientSession() as callers[0].session:
        for wallet in WALLETS:
            for bet in bets[wallet]:
                await callers[0].call("find", wallet, *bet, haste=0)
    return history


def judge(history, books):
    """Every answer is explained, and every balance was the provider's no longer ago than it may be."""
    for wallet, calls in history.items():
        assert unexplained(calls, LAG) is None, wallet
        shown = [(at, amount) for name, at, amount in books.shown if name == wallet]
        for began, amount in Facts(calls, LAG).seen.items():
            assert any(at >= began and told == amount for at, told in shown), f"{wallet} never had {amount}"


@pytest.fixture
def books(bank):
    bank.held = Books(Random(1))
    return bank.held


async def start(place, **changes):
    place.write(wallets=WALLETS, **changes)
    config = place.path / "config.yaml"
    config.write_text(config.read_text() + GUARD)
    return await place.start()


async def seen(until, port):
    """All wallets have been read."""
    url, bet = f"http://127.0.0.1:{port}/v1/checks", {"asset": "USDT", "amount": "1"}
    async with aiohttp.ClientSession() as session:

        async def known():
            answers = [await session.post(url, json={**bet, "account": wallet}) for wallet in WALLETS]
            return {(await answer.json())["reason"] for answer in answers} == {"OK"}

        await until(known, "all wallets are known")


@pytest.mark.parametrize("daemons", [1, 2])
async def test_what_callers_are_told_at_once_is_what_one_after_the_other_could_be(
    place, bank, books, until, redis_server, daemons
):
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("appendonly", "yes")
    running = []
    for _ in range(daemons):
        place.port = free_port()
        running.append(await start(place, store=redis_server.url))
    await seen(until, place.port)

    history = await played(daemons, bank, [daemon.port for daemon in running])

    judge(history, books)
    told = Counter(str(call.answer.get("reason", call.status)) for call in chain(*history.values()))
    # Else it was too quiet a history to show anything.
    assert min(told[each] for each in ("OK", "INSUFFICIENT_FUNDS", "HOLD_TOMBSTONED", "409", "0")) > 5, told
    for daemon in running:
        assert await daemon.stop() == 0
