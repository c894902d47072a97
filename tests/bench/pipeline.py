"""Polls per second and CPU per poll of the whole pipeline, against a bare aiohttp GET loop of the same run."""

import asyncio
import statistics
import time
from datetime import timedelta

import aiohttp

from monitor.app import FollowedClock
from monitor.engine.decide import Policy
from monitor.engine.poll import Polling
from monitor.engine.poller import Poller
from monitor.engine.route import compile_route
from monitor.engine.watch import Watch
from monitor.model.record import Account
from monitor.providers.cryptofuse import Cryptofuse, CryptofuseAccount
from monitor.providers.http import Http, new_session
from monitor.rules import RULES
from monitor.store.redis import RedisStore
from tests.bench.common import Result, provider, store_server

#: As many requests in flight as design.md measured the bare loop with.
IN_FLIGHT = 100
ACCOUNTS = 2_000
ROUNDS = 5

_ROW = '{{"currency":"{code}","amount":"{amount}","pendingAmount":"0.00"}}'
_CODES = ("usdttrc20", "btc", "eth")
SET = [
    {"alert": "FloatLow", "type": "low_balance", "assets": ["USDT"], "below": 100, "resolve_above": 200},
    {"alert": "BtcLow", "type": "low_balance", "assets": ["BTC"], "below": "0.001"},
    {"alert": "TooMuch", "type": "high_balance", "above": 900_000_000},
    {"alert": "Outflow", "type": "large_outflow", "above": 1_000_000},
    {"alert": "Stale", "type": "stale", "after": "10m"},
]


def answer(amount: str) -> str:
    """Three assets of one wallet, nine amounts, in CryptoFuse's shape B (a GET)."""
    rows = ",".join(_ROW.format(code=code, amount=amount) for code in _CODES)
    return f'{{"result":{{"id":"u","name":"n","balances":[{rows}]}}}}'


async def bare(url: str, count: int) -> tuple[float, float]:
    """(requests a second, CPU seconds a request) of a loop that only fetches."""
    left = count
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.get(url) as reply:
                    await reply.read()

        return await timed(lambda: asyncio.gather(*(worker() for _ in range(IN_FLIGHT))), count)


async def timed(work, count: int) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count


async def whole(origin: str, store: RedisStore, count: int) -> tuple[float, float]:
    """The same of the product: the real poller, adapter, rules and store, every account always due."""
    clock = FollowedClock()
    settings = Cryptofuse.model_validate(
        {"type": "cryptofuse", "base_url": origin, "api": "B", "auth": {"api_key": "bench"}, "accounts": {}}
    )
    accounts = {
        name: Account(name, "bench", timedelta(seconds=1), timedelta(minutes=5), target=target)
        for name, target in ((f"a{n}", _target(n)) for n in range(ACCOUNTS))
    }
    rules = tuple(RULES[rule["type"]].model_validate(rule) for rule in SET)
    watch = Watch(Policy(compile_route(None, ()), timedelta(hours=1)), rules, lambda _account, now: now)
    await store.enrol("bench", dict.fromkeys(accounts, clock()))
    async with new_session() as session:
        adapter = settings.connect(Http(session, settings.origin()))
        polling = Polling("bench", adapter, timedelta(seconds=10), store, watch, clock)
        done, enough = 0, asyncio.Event()

        def observe(_account, _claim, polled) -> None:
            nonlocal done
            assert polled.result == "written", polled
            done += 1
            if done >= count:
                enough.set()

        poller = Poller(polling, accounts, IN_FLIGHT, (), 1, observe, lambda: None, clock.follow)

        async def work() -> None:
            task = asyncio.create_task(poller.run())
            await enough.wait()
            poller.stop()
            await task

        return await timed(work, count)


def _target(number: int) -> object:
    return CryptofuseAccount(wallet_id=f"w{number}").target()


async def run(requests: int) -> list[Result]:
    """Interleaved rounds, so that a machine whose speed drifts drifts for both."""
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "unchanged": [], "changed": []}
    async with store_server() as url:
        same, moving = answer("1000.50"), answer("1000.75")
        async with provider(same) as still, provider(same, moving, same) as alive:
            await bare(f"{still}/wallets/balances?wallet_id=w1", requests // 4)
            for _ in range(ROUNDS):
                found["bare"].append(await bare(f"{still}/wallets/balances?wallet_id=w1", requests))
                for name, origin in (("unchanged", still), ("changed", alive)):
                    store = await RedisStore.connect(url)
                    found[name].append(await whole(origin, store, requests))
                    await store.close()
    return list(_results(found))


def _results(found):
    base_cpu = statistics.median(cpu for _, cpu in found["bare"])
    for name, rounds in found.items():
        rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [rate / base for (rate, _), (base, _) in zip(rounds, found["bare"], strict=True)]
        yield Result(
            f"pipeline.{name}",
            {
                "polls_per_second": round(rate),
                "cpu_us_per_poll": round(cpu * 1e6, 1),
                "ratio_to_bare": round(statistics.median(ratios), 3),
                "ratio_min": round(min(ratios), 3),
                "ratio_max": round(max(ratios), 3),
                "cpu_ratio": round(base_cpu / cpu, 3),
            },
        )
