"""Sums over many accounts: the first look, one a second later at what changed, and what a poll pays for being summed.

Records are put into the store as polls would have left them. A look is what the daemon does once a second: it asks who
changed, reads those, adds up, judges. Between two looks 500 accounts are polled, one in twenty with another balance.
"""

import asyncio
import resource
import statistics
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import redis.asyncio

from monitor.engine.decide import decide
from monitor.engine.policy import Policy
from monitor.engine.route import compile_route
from monitor.engine.sumreader import SumReader
from monitor.engine.watch import aggregates
from monitor.model.record import Account, Commit, Record
from monitor.model.snapshot import Snapshot
from monitor.model.window import micros
from monitor.process import calm_collector
from monitor.store import codec
from monitor.store.redis import RedisStore
from tests.bench.common import Result, provider, store_server
from tests.bench.pipeline import SET, answer, made, whole

SIZES = 10_000, 100_000
#: Polled between two looks, and how many of them have another balance.
POLLED, CHANGED = 500, 25
LOOKS = 20
ROUNDS = 3
_CHUNK = 1_000
#: One sum over everybody that is well, and one that fires: then it says who it is made of.
LOW = {"type": "low_balance", "assets": ["USDT"], "aggregate": {"by": ["asset"]}, "alert": "Low"}
RULES = {"well": {**LOW, "below": 1}, "firing": {**LOW, "below": "1_000_000_000_000"}}


@dataclass(slots=True)
class Stalls:
    """How long nothing else could run, at most, while something was done."""

    worst: float = 0
    ran: float = 0
    _task: asyncio.Task[None] | None = field(default=None)

    async def _watch(self) -> None:
        while True:
            begun, thread = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            late = time.perf_counter() - begun - 0.002
            if late > self.worst:
                self.worst, self.ran = late, time.thread_time() - thread

    async def during(self, work: Coroutine[Any, Any, Any]) -> Any:
        self.worst = self.ran = 0
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0.01)
        try:
            return await work
        finally:
            await asyncio.sleep(0.01)
            self._task.cancel()


def _snapshot(value: Decimal, at: datetime) -> Snapshot:
    amounts = {
        asset: {"available": value, "pending": Decimal(0), "total": value} for asset in ("USDT@TRX", "BTC", "ETH")
    }
    return Snapshot(at, amounts)


async def _write(store: RedisStore, url: str, members: Iterable[Account], value: Decimal) -> None:
    """What polls would have written of these."""
    client = redis.asyncio.Redis(unix_socket_path=url.removeprefix("unix://"))
    now, names = datetime.now(UTC), list(members)
    for start in range(0, len(names), _CHUNK):
        async with client.pipeline(transaction=False) as pipe:
            for member in names[start : start + _CHUNK]:
                name, where = member.name, store.partition(member.name)
                reading, *_ = codec.changed(Record(name), Record(name, 1, _snapshot(value, now), provider="bench"))
                pipe.hset(where.record(name), mapping={"v": micros(now), "s": reading})
                pipe.zadd(where.changed, {name: micros(now)})
                pipe.set(where.seq, micros(now))
                pipe.zadd(where.seen, {name: micros(now + member.stale_after)})
            await pipe.execute()
    await client.aclose()


@dataclass(slots=True)
class Look:
    """One rule over everybody, judged as the daemon does."""

    store: RedisStore
    account: Account
    rules: tuple[Any, ...]
    reader: SumReader
    record: Record
    policy: Policy = field(default_factory=lambda: Policy(compile_route(None, ("ops",)), timedelta(hours=1)))

    async def take(self) -> Commit:
        now = datetime.now(UTC)
        reading = await self.reader.poll(self.account, self.record, None, now)
        commit = decide(self.record, reading, self.account, self.rules, self.policy, now)
        assert isinstance(commit, Commit)
        self.record = commit.record
        return commit


def _rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _measured(url: str, size: int, kind: str) -> Result:
    store = await RedisStore.connect(url)
    members = {
        f"m{n}": Account(f"m{n}", "bench", timedelta(seconds=200), timedelta(minutes=30), labels={"tier": f"t{n % 10}"})
        for n in range(size)
    }
    await _write(store, url, members.values(), Decimal("1000.50"))
    rules = made([RULES[kind]])
    [account] = aggregates(rules, members).values()
    look = Look(store, account, rules, SumReader(store, {"Low": rules[0]}), Record(account.name))
    stalls, before = Stalls(), _rss()
    begun, cpu = time.perf_counter(), time.process_time()
    calm_collector()
    await stalls.during(look.take())
    figures: dict[str, float | int | str] = {
        "members": size,
        "first_look_s": round(time.perf_counter() - begun, 2),
        "first_look_cpu_s": round(time.process_time() - cpu, 2),
        "first_stall_ms": round(stalls.worst * 1e3, 1),
        "first_stall_running_ms": round(stalls.ran * 1e3, 1),
        "bytes_per_member": round((_rss() - before) / size),
    }
    walls, cpus, worst = [], [], []
    for turn in range(LOOKS):
        chosen = [members[f"m{(turn * CHANGED + n) % size}"] for n in range(CHANGED)]
        await _write(store, url, chosen, Decimal("1000.75"))
        begun, cpu = time.perf_counter(), time.process_time()
        await stalls.during(look.take())
        walls.append(time.perf_counter() - begun - 0.02)
        cpus.append(time.process_time() - cpu)
        worst.append(stalls.ran)
    await store.close()
    spent = statistics.median(cpus)
    return Result(
        f"sums.{kind}",
        figures
        | {
            "look_ms": round(statistics.median(walls) * 1e3, 1),
            "look_cpu_ms": round(spent * 1e3, 1),
            "look_stall_running_ms": round(max(worst) * 1e3, 1),
            "look_cpu_us_per_poll": round(spent / POLLED * 1e6, 1),
        },
    )


async def _paid(requests: int) -> Result:
    """What being summed costs each poll, without looks: interleaved rounds, as for the pipeline."""
    found: dict[tuple[str, bool], list[float]] = {}
    over = {**LOW, "below": 1}
    async with store_server() as url:
        same, moving = answer("1000.50"), answer("1000.75")
        async with provider(same) as still, provider(same, moving, same) as alive:
            for _ in range(ROUNDS):
                for name, origin in (("unchanged", still), ("changed", alive)):
                    for summed in (False, True):
                        store = await RedisStore.connect(url)
                        _, cpu = await whole(origin, store, requests, [*SET, over] if summed else SET)
                        await store.close()
                        found.setdefault((name, summed), []).append(cpu)
    figures: dict[str, float | int | str] = {}
    for name in ("unchanged", "changed"):
        alone, summed = (statistics.median(found[name, each]) * 1e6 for each in (False, True))
        figures |= {f"{name}_us": round(alone, 1), f"{name}_summed_us": round(summed, 1)}
    return Result("sums.poll", figures)


async def run(requests: int) -> list[Result]:
    """Sizes from small to large: memory is what the process has grown to."""
    results = []
    for size in SIZES:
        for kind in RULES:
            async with store_server() as url:
                results.append(await _measured(url, size, kind))
    return [*results, await _paid(requests)]
