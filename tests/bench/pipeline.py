"""Polls per second and CPU per poll of the whole pipeline, against a bare aiohttp GET loop of that run."""

import asyncio
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import aiohttp

from monitor import __version__
from monitor.clock import FollowedClock
from monitor.concerns import Concerns
from monitor.engine.policy import Policy
from monitor.engine.poll import Polled, Polling
from monitor.engine.poller import Poller
from monitor.engine.ports import Claim
from monitor.engine.route import compile_route
from monitor.engine.watch import Watch
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.model.record import Account
from monitor.process import calm_collector
from monitor.providers.cryptofuse import Cryptofuse, CryptofuseAccount
from monitor.providers.http import Http, new_session
from monitor.rules import RULES
from monitor.rules.base import RuleBase
from monitor.schedule import Every, next_due
from monitor.store.redis import RedisStore
from tests.bench.common import Result, provider, store_server

#: Requests in flight of the bare loop, and polls at once of the product.
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
    """(requests a second, CPU seconds a request) of a loop that only fetches, on open connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def fetch(share: int) -> None:
            for _ in range(share):
                async with session.get(url) as reply:
                    await reply.read()

        async def fetch_all(share: int) -> None:
            await asyncio.gather(*(fetch(share) for _ in range(IN_FLIGHT)))

        await fetch_all(1)
        return await timed(lambda: fetch_all(count // IN_FLIGHT), count)


async def timed(work, count: int) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count


class Counting:
    """The product's own observer of polls, and a count of them."""

    def __init__(self, accounts: Iterable[Account], clock: FollowedClock) -> None:
        self.gauges = Gauges(Metrics(__version__), clock, Concerns.here(clock))
        self.gauges.expect(accounts)
        self.left, self.done = 0, asyncio.Event()

    def polled(self, account: Account, claim: Claim, polled: Polled) -> None:
        assert polled.result == "written", polled
        self.gauges.polled(account, claim, polled)
        self.left -= 1
        if self.left == 0:
            self.done.set()

    async def wait_for(self, count: int) -> None:
        self.left = count
        self.done.clear()
        await self.done.wait()


async def whole(
    origin: str, store: RedisStore, count: int, rules: Sequence[Mapping[str, object]] = SET, groups: int = 1
) -> tuple[float, float]:
    """The same of the product: real poller, adapter, rules, store and metrics, every account always due.

    `groups` is how many values the accounts' label `group` has.

    As in a daemon's second minute: connections are open and every account has been polled before.
    """
    clock = FollowedClock()
    settings = Cryptofuse.model_validate(
        {"type": "cryptofuse", "base_url": origin, "api": "B", "auth": {"api_key": "bench"}, "accounts": {}}
    )
    accounts = {
        f"a{n}": Account(
            f"a{n}", "bench", timedelta(seconds=1), timedelta(minutes=5),
            labels={"group": f"g{n % groups}"}, target=_target(n),
        )
        for n in range(ACCOUNTS)
    }  # fmt: skip
    watch = Watch(Policy(compile_route(None, ()), timedelta(hours=1)), made(rules), _next_due)
    counting = Counting(accounts.values(), clock)
    await store.enrol("bench", dict.fromkeys(accounts, clock()))
    async with new_session() as session:
        adapter = settings.connect(Http(session, settings.origin()))
        polling = Polling("bench", adapter, timedelta(seconds=10), store, watch, clock)
        poller = Poller(polling, accounts, IN_FLIGHT, (), 1, counting.polled, lambda: None, clock.follow)
        running = asyncio.create_task(poller.run())
        await counting.wait_for(ACCOUNTS + IN_FLIGHT)
        calm_collector()
        found = await timed(lambda: counting.wait_for(count), count)
        poller.stop()
        await running
        return found


def made(rules: Sequence[Mapping[str, object]]) -> tuple[RuleBase, ...]:
    """Rules as a file would give them."""
    return tuple(RULES[rule["type"]].model_validate(rule) for rule in rules)


def _next_due(account: Account, now: datetime) -> datetime:
    """At once, worked out as for any interval."""
    return next_due(Every(timedelta(microseconds=1)), account.name, now)


def _target(number: int) -> object:
    return CryptofuseAccount(wallet_id=f"w{number}").target()


async def run(requests: int) -> list[Result]:
    """Interleaved rounds, so that a machine whose speed drifts drifts for both."""
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "unchanged": [], "changed": []}
    async with store_server() as url:
        same, moving = answer("1000.50"), answer("1000.75")
        async with provider(same) as still, provider(same, moving, same) as alive:
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
