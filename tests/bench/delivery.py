"""Ten thousand alerts within a minute to ten channels, of which one is dead and one throttles.

Ten thousand accounts are polled every 20 s; each falls below its threshold at a moment of its own within the minute.
A hundred desks are a group each, told after 1 s and then every 5 s. Eight channels take everything at once; `dead`
takes requests and never answers; `slow` takes one message a second and says 429 with `Retry-After: 2` to all others.
Measured is the time from the provider's first answer that shows the fall to the first byte of the request that tells
of it, per alert and healthy channel: the group's own timers are in it.
"""

import asyncio
import json
import os
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from tests.bench.common import Result
from tests.bench.daemon import Daemon, daemon
from tests.bench.loopback import serve

ACCOUNTS, DESKS, HEALTHY = 10_000, 100, 8
MINUTE_S, INTERVAL_S = 60, 20
PATIENCE_S = 120
THROTTLE_S = 1.0

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
    max_concurrency: 100
    accounts_from: players.csv
channels:
{channels}
route: {{group_by: [rule, desk], group_wait: 1s, group_interval: 5s}}
rules: [rules.yaml]
"""
_RULES = """\
rules:
  - {alert: FloatLow, type: low_balance, assets: [USDT], below: 100, resolve_above: 200}
"""
_ROW = '{{"currency":"usdttrc20","amount":"{amount}","pendingAmount":"0.00"}}'
_BODY = '{{"result":{{"id":"u","name":"n","balances":[{row}]}}}}'
_HIGH, _LOW = (_BODY.format(row=_ROW.format(amount=amount)).encode() for amount in ("1000.50", "50.25"))
_LATER = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Ear:
    """What one channel has heard: messages, and each alert's delay in seconds."""

    messages: int = 0
    refused: int = 0
    heard: dict[str, float] = field(default_factory=dict)
    next_at: float = 0.0


@dataclass(slots=True)
class World:
    """Accounts that fall, each at its time, and the channels that hear of it."""

    falls: dict[str, float]
    shown: dict[str, float] = field(default_factory=dict)
    ears: dict[str, Ear] = field(default_factory=dict)

    def answer(self, head: bytes, _body: bytes, at: float) -> bytes:
        return _LOW if at >= self.falls[_wallet(head)] else _HIGH

    def written(self, head: bytes) -> None:
        """The clock starts with the first answer that shows the fall."""
        name = _wallet(head)
        now = time.perf_counter()
        if now >= self.falls[name]:
            self.shown.setdefault(name, now)

    def hook(self, head: bytes, body: bytes, at: float) -> bytes | None:
        name = head.split(b" ", 2)[1].decode().strip("/")
        ear = self.ears[name]
        if name == "dead":
            ear.refused += 1
            return None
        if name == "slow" and at < ear.next_at:
            ear.refused += 1
            return _LATER
        ear.next_at = at + THROTTLE_S
        ear.messages += 1
        for alert in json.loads(body)["data"]["alerts"]:
            # The monitor's own alerts, that a channel fails, are about no account.
            if alert["account"]:
                ear.heard.setdefault(alert["account"], at - self.shown[alert["account"]])
        return b"{}"


def _wallet(head: bytes) -> str:
    return head.split(b"wallet_id=", 1)[1].split(b" ", 1)[0].split(b"&")[0].decode()


async def run(_requests: int) -> list[Result]:
    """One run of the daemon, until the healthy channels and the slow one have heard everything or the time is over."""
    names = [f"w{number}" for number in range(ACCOUNTS)]
    channels = [*(f"good{number}" for number in range(HEALTHY)), "slow", "dead"]
    world = World(dict.fromkeys(names, time.perf_counter() + 1e6), ears={name: Ear() for name in channels})
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bank, _ = await stack.enter_async_context(serve(world.answer, world.written))
        chat, _ = await stack.enter_async_context(serve(world.hook))
        told = "\n".join(f"  {name}: {{type: webhook, url: {chat}/{name}}}" for name in channels)
        (folder / "rules.yaml").write_text(_RULES, "utf-8")
        rows = (f"{name},{name},desk{place % DESKS}" for place, name in enumerate(names))
        (folder / "players.csv").write_text("\n".join(["id,wallet_id,label.desk", *rows]) + "\n", "utf-8")
        config = _CONFIG.format(bank=bank, channels=told, interval=INTERVAL_S)
        process = await stack.enter_async_context(daemon(folder, config))
        return [await _listen(process, world, folder)]


async def _listen(process: Daemon, world: World, folder: Path) -> Result:
    await process.ready(30)
    await asyncio.sleep(INTERVAL_S + 5)
    before, cpu, begun = process.rss_kb(), process.cpu_seconds(), time.perf_counter()
    for place, name in enumerate(world.falls):
        # Not in the order of the desks, so that every group has news all the time.
        world.falls[name] = begun + MINUTE_S * ((place * 7919) % ACCOUNTS) / ACCOUNTS
    peak = before
    healthy = [ear for name, ear in world.ears.items() if name.startswith("good")]
    while time.perf_counter() < begun + MINUTE_S + PATIENCE_S:
        await asyncio.sleep(0.5)
        peak = max(peak, process.rss_kb())
        if all(len(ear.heard) == ACCOUNTS for ear in (*healthy, world.ears["slow"])):
            break
    took = time.perf_counter() - begun
    return Result(
        "delivery",
        {
            "alerts": len(world.shown),
            "heard_by_each": min(len(ear.heard) for ear in healthy),
            **_delays([delay for ear in healthy for delay in ear.heard.values()], ""),
            "messages_each": round(sum(ear.messages for ear in healthy) / HEALTHY),
            "slow_heard": len(world.ears["slow"].heard),
            "slow_messages": world.ears["slow"].messages,
            "slow_refused": world.ears["slow"].refused,
            **_delays(list(world.ears["slow"].heard.values()), "slow_"),
            "dead_tried": world.ears["dead"].refused,
            "rss_mb": round(before / 1024, 1),
            "rss_peak_mb": round(peak / 1024, 1),
            "store_mb": await _store_mb(folder),
            "cpu_share": round((process.cpu_seconds() - cpu) / took, 2),
            "seconds": round(took, 1),
            "load": round(os.getloadavg()[0], 1),
        },
    )


def _delays(heard: list[float], prefix: str) -> dict[str, float]:
    found = sorted(heard) or [0.0]
    shown = {f"{prefix}p{percent}_s": round(found[len(found) * percent // 100], 2) for percent in (50, 99)}
    return {**shown, f"{prefix}max_s": round(found[-1], 2)}


async def _store_mb(folder: Path) -> float:
    address = json.loads((folder / "data/server.json").read_text("utf-8"))["socket"]
    store = redis.asyncio.Redis(unix_socket_path=address)
    try:
        return round((await store.info("memory"))["used_memory"] / 2**20, 1)
    finally:
        await store.aclose()
