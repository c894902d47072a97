"""A hundred thousand accounts in one daemon, and ten thousand that are due at the same instant.

Accounts come from `accounts_from`; the provider is in this process and as cheap as it can be. Start-up is from
the start of the process to its first request, and to the moment when the store has a due time for all of them.
Memory per account is what the process holds beyond one with a hundred accounts, each polled at least once.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from monitor.store.keys import PARTITIONS, partition
from tests.bench.common import Result
from tests.bench.daemon import Daemon, daemon
from tests.bench.loopback import Traffic, serve

MANY, FEW, CROWD = 100_000, 100, 10_000
#: 100 000 / 200 s: 500 polls a second.
INTERVAL_S = 200
STEADY_S = 40
#: A crowd meets every so often; two meetings are watched.
MEETING_S = 20
PATIENCE_S = 75
PACED = Path(__file__).parent / "paced.py"
PACED_S = 8

_CONFIG = """\
version: 1
store: {{url: "embedded:./data"}}
http: {{listen: "127.0.0.1:{{port}}"}}
log: {{level: info, format: json}}
providers:
  bank:
    type: cryptofuse
    base_url: {bank}
    api: B
    auth: {{api_key: bench}}
    interval: {interval}s
    jitter: {jitter}%
    max_concurrency: 100
    accounts_from: players.csv
channels:
  chat: {{type: webhook, url: "{bank}/hook"}}
rules: [rules.yaml]
"""
_RULES = """\
rules:
  - {alert: FloatLow, type: low_balance, match: {tier: vip}, assets: [USDT], below: 100, resolve_above: 200}
  - {alert: TooMuch, type: high_balance, above: 900_000_000}
  - {alert: Outflow, type: large_outflow, above: 1_000_000}
  - {alert: Stale, type: stale, after: 30m}
"""
_ROW = '{{"currency":"{code}","amount":"1000.50","pendingAmount":"0.00"}}'
_ROWS = ",".join(_ROW.format(code=code) for code in ("usdttrc20", "btc", "eth"))
_ANSWER = f'{{"result":{{"id":"u","name":"n","balances":[{_ROWS}]}}}}'.encode()
_LATENESS = re.compile(r'poll_lateness_seconds_bucket\{le="([^"]+)",provider="bank"\}')


@dataclass(slots=True)
class Bank:
    """Answers everybody alike, and remembers who asked."""

    first: float | None = None
    seen: set[bytes] = field(default_factory=set)

    def answer(self, head: bytes, _body: bytes, at: float) -> bytes:
        if self.first is None:
            self.first = at
        self.seen.add(head.split(b"\r\n", 1)[0])
        return _ANSWER


@dataclass(frozen=True, slots=True)
class Setting:
    """A running daemon and its provider."""

    process: Daemon
    folder: Path
    origin: str
    bank: Bank
    traffic: Traffic
    accounts: int

    async def enrolled(self) -> float:
        """Seconds from the start of the process until the store has a due time or a lease for every account."""
        address = json.loads((self.folder / "data/server.json").read_text("utf-8"))["socket"]
        names = [getattr(partition(number), kind)("bank") for number in range(PARTITIONS) for kind in ("due", "leased")]
        store = redis.asyncio.Redis(unix_socket_path=address)
        try:
            async with store.pipeline(transaction=False) as pipeline:
                while time.perf_counter() < self.process.begun + PATIENCE_S:
                    for name in names:
                        pipeline.zcard(name)
                    if sum(await pipeline.execute()) >= self.accounts:
                        break
                    await asyncio.sleep(0.1)
        finally:
            await store.aclose()
        return time.perf_counter() - self.process.begun

    async def all_polled(self) -> float:
        """Seconds from the first request until every account was asked for."""
        deadline = time.perf_counter() + PATIENCE_S
        while len(self.bank.seen) < self.accounts and time.perf_counter() < deadline:
            await asyncio.sleep(0.1)
        if len(self.bank.seen) < self.accounts:
            print(f"only {len(self.bank.seen)} of {self.accounts} were polled", self.process.trouble[-3:])
        return time.perf_counter() - (self.bank.first or time.perf_counter())


@asynccontextmanager
async def running(accounts: int, interval: int, jitter: int, *, probe: bool = False) -> AsyncIterator[Setting]:
    """The daemon with so many accounts, started and enrolled."""
    bank = Bank()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules.yaml").write_text(_RULES, "utf-8")
        (folder / "players.csv").write_text("\n".join(_players(accounts)), "utf-8")
        async with serve(bank.answer) as (origin, traffic):
            config = _CONFIG.format(bank=origin, interval=interval, jitter=jitter)
            async with daemon(folder, config, probe=folder / "lag" if probe else None) as process:
                await process.ready(PATIENCE_S)
                yield Setting(process, folder, origin, bank, traffic, accounts)


def _players(count: int) -> Iterable[str]:
    yield "id,wallet_id,label.tier"
    for number in range(count):
        tier = "vip" if number % 10 == 0 else "regular"
        yield f"player-{number},550e8400-e29b-41d4-a716-{number:012d},{tier}"


async def run(_requests: int) -> list[Result]:
    """Few, many, a crowd: three daemons, one after the other."""
    async with running(FEW, 1, 10) as few:
        await few.all_polled()
        await asyncio.sleep(3)
        base = few.process.rss_kb()
    async with running(MANY, INTERVAL_S, 10) as many:
        start, steady = await _start(many, base), await _steady(many)
    async with running(CROWD, MEETING_S, 0, probe=True) as crowd:
        meeting = await _meeting(crowd)
    return [Result("scale.start", start), Result("scale.steady", steady), Result("scale.crowd", meeting)]


async def _start(many: Setting, base_kb: int) -> dict[str, float | int | str]:
    enrolled = await many.enrolled()
    rushed = await many.all_polled()
    await asyncio.sleep(2)
    rss = many.process.rss_kb()
    return {
        "accounts": many.accounts,
        "enrolled_s": round(enrolled, 2),
        "first_poll_s": round(many.bank.first - many.process.begun, 2),
        "all_polled_s": round(rushed, 1),
        "rss_mb": round(rss / 1024, 1),
        "base_rss_mb": round(base_kb / 1024, 1),
        "bytes_per_account": round((rss - base_kb) * 1024 / many.accounts),
        "load": round(os.getloadavg()[0], 1),
    }


async def _paced(origin: str, rate: float) -> int:
    """CPU of a request that is nothing but a request, at that rate (see paced.py)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PACED),
        f"{origin}/wallets/balances",
        str(rate),
        str(PACED_S),
        stdout=asyncio.subprocess.PIPE,
    )
    return int((await process.communicate())[0])


async def _settled(process: Daemon) -> float:
    """Seconds until what the start left behind is caught up with: polls begin within 50 ms of their due time."""
    begun, before = time.perf_counter(), await process.metrics()
    while time.perf_counter() < begun + PATIENCE_S:
        await asyncio.sleep(1)
        before, after = await process.metrics(), before
        if _lateness(after, before)["late_mean_ms"] < 50:
            break
    return time.perf_counter() - begun


async def _steady(many: Setting) -> dict[str, float | int | str]:
    process, traffic = many.process, many.traffic
    settled = await _settled(process)
    before, cpu, begun = await process.metrics(), process.cpu_seconds(), time.perf_counter()
    lags = []
    while time.perf_counter() < begun + STEADY_S:
        await asyncio.sleep(0.5)
        lags.append((await process.metrics())["event_loop_lag_seconds"])
    after, used, took = await process.metrics(), process.cpu_seconds() - cpu, time.perf_counter() - begun
    polls = _since(before, after, 'polls_total{outcome="ok",provider="bank"}')
    return {
        "settled_after_s": round(settled, 1),
        "polls_per_second": round(polls / took),
        **_lateness(before, after),
        "later_than_interval": int(after.get('polls_late_total{provider="bank"}', 0)),
        "cpu_us_per_poll": round(used / polls * 1e6),
        "bare_cpu_us": await _paced(many.origin, polls / took),
        "reused_percent": round(100 * (1 - traffic.connections / traffic.requests), 3),
        "lag_sampled_max_ms": round(max(lags) * 1e3, 1),
        "load": round(os.getloadavg()[0], 1),
    }


async def _meeting(crowd: Setting) -> dict[str, float | int | str]:
    await crowd.all_polled()
    # Until the next meeting has begun, so that two whole ones follow.
    now = time.time()
    await asyncio.sleep(MEETING_S - now % MEETING_S - 1)
    begun, before, cpu = time.perf_counter(), await crowd.process.metrics(), crowd.process.cpu_seconds()
    await asyncio.sleep(2 * MEETING_S - 2)
    after, ended = await crowd.process.metrics(), time.perf_counter()
    used = crowd.process.cpu_seconds() - cpu
    polls = _since(before, after, 'polls_total{outcome="ok",provider="bank"}')
    lags = [
        (late, ran)
        for at, late, ran in (map(float, line.split()) for line in _lines(crowd.process))
        if begun <= at <= ended
    ]
    return {
        "polls": int(polls),
        **_lateness(before, after),
        "cpu_us_per_poll": round(used / polls * 1e6),
        "lag_max_ms": round(max((late for late, _ in lags), default=0) * 1e3, 1),
        "lag_max_running_ms": round(max((min(one) for one in lags), default=0) * 1e3, 1),
        "lags_over_30ms": sum(late > 0.03 for late, _ in lags),
        "load": round(os.getloadavg()[0], 1),
    }


def _lines(process: Daemon) -> list[str]:
    return process.probe.read_text("ascii").splitlines() if process.probe else []


def _since(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after.get(name, 0) - before.get(name, 0)


def _lateness(before: dict[str, float], after: dict[str, float]) -> dict[str, str | float]:
    """The histogram's buckets that hold the median, 99 % and all of the polls in between, and their mean."""
    found = {
        named[1]: _since(before, after, name) for name in after if (named := _LATENESS.fullmatch(name)) is not None
    }
    counts = sorted((float(bound), count) for bound, count in found.items())
    whole = counts[-1][1]
    shown = {
        f"late_{name}_s": f"<={next(bound for bound, count in counts if count >= share * whole):g}"
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    total = _since(before, after, 'poll_lateness_seconds_sum{provider="bank"}')
    return {**shown, "late_mean_ms": round(total / whole * 1e3, 2)}
