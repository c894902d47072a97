"""The guard over HTTP: checks and holds of the real daemon, against bare redis-py GETs of the same minute.

The daemon is a process of its own, as is its store (the bundled server, append-only file, `everysec`), the provider
that feeds its wallets, and whoever asks (betting.py). Every hold expires after two seconds, so what it costs to give
the money back is in the figures.

The unit is a bare `redis.asyncio` GET by 32 tasks over a pool, on the store's unix socket. `x` is calls per second in
that unit, measured right before, and `cpu_x` calls per second of CPU, which says more where others use the machine
too. `cpu` are microseconds of CPU a call in the daemon's process, `store` in the store's, `asking` in that of the one
who asks: on a machine with two cores they all share those.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path

import aiohttp
from redis.asyncio import BlockingConnectionPool, Redis

from tests.bench.betting import Plan, signature
from tests.bench.common import Result, provider, store_server
from tests.bench.daemon import Daemon, daemon

BETTING = Path(__file__).parent / "betting.py"
WALLETS = 1_000
SECONDS = 3.0
UNIT_S = 1.0
UNIT_TASKS = 32
FEED_S = 60
TOKEN, SECRET = "bench-token-of-a-casino", "bench-secret-of-a-casino"

_CONFIG = """\
version: 1
store: {{url: "{store}"}}
http:
  listen: "127.0.0.1:{{port}}"
  tokens: [{{name: casino, token: {token}, scopes: [guard, read]}}]
log: {{level: info, format: json}}
providers:
  bank:
    type: cryptofuse
    base_url: {bank}
    api: B
    auth: {{api_key: bench}}
    interval: 10m
    accounts:
{accounts}
channels:
  chat: {{type: webhook, url: "http://127.0.0.1:1/hook"}}
route: {{channels: [chat]}}
guard:
  max_age: 20m
  hold_ttl: {{default: 2s, max: 5s}}
  posting_delay: 1s
  read_lag: 0s
  max_holds: 100000
  hold_ids: 1m
{signing}
rules: []
"""
_SIGNING = f"  signing: {{keys: [{{id: bench, secret: {SECRET}}}]}}"
_ROW = '{"currency":"usdttrc20","amount":"1000000000.00","pendingAmount":"0.00"}'
_BODY = f'{{"result":{{"id":"u","name":"n","balances":[{_ROW}]}}}}'


@dataclass(frozen=True)
class World:
    """What runs: the store's address, and the daemons that share it."""

    store: Redis
    daemons: list[Daemon]
    secret: str

    def plan(self, kind: str, connections: int = 32, *, wallets: int = WALLETS, rate: int = 0) -> Plan:
        """A plan that asks all daemons."""
        ports = [one.port for one in self.daemons]
        return Plan(ports, kind, connections, SECONDS, wallets, rate, TOKEN, self.secret)


async def run(_requests: int) -> list[Result]:
    """Everything, about two minutes."""
    return [result async for result in results()]


async def results() -> AsyncIterator[Result]:
    """One line after the other."""
    async with world(1) as one:
        for kind in ("check", "hold"):
            yield await measure(one, f"{kind} 1", one.plan(kind, 1))
            saturated = await measure(one, f"{kind} 32", one.plan(kind))
            yield saturated
            yield await measure(one, f"{kind} 128", one.plan(kind, 128))
            yield await measure(one, f"{kind} 32 hot", one.plan(kind, wallets=1))
            rate = int(saturated.figures["per_s"] * 0.6)
            yield await measure(one, f"{kind} 60 %", one.plan(kind, rate=rate))
    async with world(1, secret=SECRET) as signed:
        for kind in ("check", "hold"):
            yield await measure(signed, f"{kind} 32 signed", signed.plan(kind))
    async with world(2) as two:
        for kind in ("check", "hold"):
            yield await measure(two, f"{kind} 64 two daemons", two.plan(kind, 64))


@asynccontextmanager
async def world(count: int, secret: str = "") -> AsyncIterator[World]:
    """So many daemons on one new store, all wallets fed."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_server())
        bank = await stack.enter_async_context(provider(_BODY))
        accounts = "\n".join(f"      w{number:04}: {{wallet_id: w{number}}}" for number in range(WALLETS))
        signing = _SIGNING if secret else ""
        config = _CONFIG.format(store=store, bank=bank, accounts=accounts, token=TOKEN, signing=signing)
        daemons = []
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            daemons.append(await stack.enter_async_context(daemon(folder, config)))
        for one in daemons:
            await one.ready()
        pool = BlockingConnectionPool.from_url(store, max_connections=UNIT_TASKS)
        client = await stack.enter_async_context(Redis(connection_pool=pool))
        found = World(client, daemons, secret)
        await fed(found)
        yield found


async def fed(world: World) -> None:
    """Have every account read now rather than when it is due, and wait until each of them was asked and allows."""
    headers, until = {"Authorization": f"Bearer {TOKEN}"}, time.monotonic() + FEED_S
    async with aiohttp.ClientSession(f"http://127.0.0.1:{world.daemons[0].port}", headers=headers) as session:
        for number in range(WALLETS):
            path = f"/v1/accounts/w{number:04}/poll"
            at, mac = signature(world.secret, b"POST", path.encode())
            signed = {
                "X-Guard-Key": "bench",
                "X-Guard-Timestamp": at.decode(),
                "X-Guard-Signature": f"v1={mac.decode()}",
            }
            async with session.post(path, headers=signed if world.secret else {}) as reply:
                assert reply.status == HTTPStatus.ACCEPTED, await reply.text()
    while True:
        seen = await bet(replace(world.plan("check"), seconds=1.0))
        if set(seen["answers"]) == {"allow"} and seen["calls"] > WALLETS:
            return
        if time.monotonic() > until:
            raise RuntimeError(f"not all wallets were fed: {seen['answers']}, {world.daemons[0].trouble[-3:]}")


async def bet(plan: Plan) -> dict:
    """Ask as planned, from a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BETTING), json.dumps(asdict(plan)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return json.loads(out)


async def measure(world: World, name: str, plan: Plan) -> Result:
    """One line: rates against the unit, latencies in milliseconds, CPU in microseconds a call."""
    unit, unit_cpu = await gets(world.store)
    cpu, store = _cpu(world), await _store_cpu(world.store)
    seen = await bet(plan)
    cpu, store = _cpu(world) - cpu, await _store_cpu(world.store) - store
    per_s = seen["calls"] / seen["seconds"]
    # The warm-up was counted by those whom nobody told of it.
    calls = per_s * (seen["seconds"] + 0.5)
    others = {name: count for name, count in seen["answers"].items() if name != "allow"}
    figures = {
        "per_s": round(per_s), "x": round(per_s / unit, 2), "unit": round(unit),
        **{part: round(seen[part] * 1e3, 2) for part in ("p50", "p99", "p999")},
        "cpu": round(cpu / calls * 1e6, 1), "cpu_x": round(unit_cpu * calls / cpu, 2),
        "store": round(store / calls * 1e6, 1), "asking": round(seen["cpu"] / seen["calls"] * 1e6, 1),
    }  # fmt: skip
    return Result(f"guard {name}", figures | ({"others": str(others)} if others else {}))


async def gets(store: Redis) -> tuple[float, float]:
    """The unit: GETs per second, and seconds of our CPU for one."""
    cpu, end, done = time.process_time(), time.perf_counter() + UNIT_S, 0

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await store.get("unit")
            done += 1

    await asyncio.gather(*(ask() for _ in range(UNIT_TASKS)))
    return done / UNIT_S, (time.process_time() - cpu) / done


def _cpu(world: World) -> float:
    return sum(one.cpu_seconds() for one in world.daemons)


async def _store_cpu(store: Redis) -> float:
    found = await store.info("cpu")
    return found["used_cpu_user"] + found["used_cpu_sys"]
