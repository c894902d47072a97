"""From a provider's answer to the webhook: how long news takes to reach people, through the real daemon.

Measured is the time from the moment the first answer that shows a change was written to the socket, to the
moment the first byte of the webhook request that tells of it arrived; both ends live in this process and read
one clock. In between the daemon (a process of its own, with the embedded store in a third) parses, decides,
commits, moves the row to its group, claims the group, freezes the message and posts it.

Ten accounts are polled every 100 ms. A low balance fires, a high one resolves, in turn. Each account is a group
of its own, and its next change comes 300–500 ms after the last one was heard: longer than `group_interval`
(100 ms), so what is measured is the machinery and not the grouping that people ask for.
"""

import asyncio
import json
import os
import random
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.common import Result
from tests.bench.daemon import Daemon, daemon
from tests.bench.loopback import serve

ACCOUNTS = 10
CHANGES = 400
#: The daemon settles in while the first changes are heard; they are not counted.
WARM_UP = 2 * ACCOUNTS
LIMIT_S = 50
PAUSE = (0.3, 0.5)

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
    interval: 100ms
    accounts:
{accounts}
channels:
  chat: {{type: webhook, url: "{chat}/hook"}}
route: {{channels: [chat], group_by: [rule, account], group_wait: 0s, group_interval: 100ms}}
rules: [rules.yaml]
"""
#: What fires and resolves for a minute on end would be held as flapping.
_RULES = """
rules:
  - {alert: FloatLow, type: low_balance, assets: [USDT], below: 100, resolve_above: 200, flap: {max: 100, within: 1s}}
"""
_ROW = '{{"currency":"usdttrc20","amount":"{amount}","pendingAmount":"0.00"}}'
_BODY = '{{"result":{{"id":"u","name":"n","balances":[{row}]}}}}'


def _body(amount: str) -> bytes:
    return _BODY.format(row=_ROW.format(amount=amount)).encode()


_LEVEL = {"firing": _body("50.25"), "resolved": _body("1000.50")}


@dataclass(slots=True)
class Wallet:
    """One account at the fake provider. `told` is when its newest state was first answered."""

    state: str = "resolved"
    change_at: float = 0.0
    told: float | None = None
    changing: bool = False


@dataclass(slots=True)
class World:
    """Changes wallets, one change after the other each, and hears what the daemon makes of it."""

    wallets: dict[str, Wallet]
    heard: list[float] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, head: bytes, _body: bytes, at: float) -> bytes:
        """A wallet's balance; its next change when it is time."""
        wallet = self._wallet(head)
        if not wallet.changing and at >= wallet.change_at:
            wallet.state = "firing" if wallet.state == "resolved" else "resolved"
            wallet.changing = True
        return _LEVEL[wallet.state]

    def written(self, head: bytes) -> None:
        """The clock starts with the first answer that shows the change."""
        wallet = self._wallet(head)
        if wallet.changing and wallet.told is None:
            wallet.told = time.perf_counter()

    def hook(self, _head: bytes, body: bytes, at: float) -> bytes:
        """A webhook request: it must tell the present state of one wallet."""
        for alert in json.loads(body)["data"]["alerts"]:
            wallet = self.wallets[alert["account"]]
            assert alert["status"] == wallet.state, (alert["status"], wallet)
            self.heard.append(at - wallet.told)
            wallet.told, wallet.changing = None, False
            wallet.change_at = at + random.uniform(*PAUSE)
        if len(self.heard) >= WARM_UP + CHANGES:
            self.enough.set()
        return b"{}"

    def _wallet(self, head: bytes) -> Wallet:
        return self.wallets[head.split(b"wallet_id=", 1)[1].split(b" ", 1)[0].split(b"&")[0].decode()]


async def run(_requests: int) -> list[Result]:
    """One run of the daemon, until enough changes were heard or the time is over."""
    now = time.perf_counter()
    # Their first answer is high; the first change comes when all have been read.
    names = [f"w{number}" for number in range(ACCOUNTS)]
    world = World({name: Wallet(change_at=now + LIMIT_S) for name in names})
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bank, _ = await stack.enter_async_context(serve(world.answer, world.written))
        chat, _ = await stack.enter_async_context(serve(world.hook))
        accounts = "\n".join(f"      {name}: {{wallet_id: {name}}}" for name in names)
        (folder / "rules.yaml").write_text(_RULES, "utf-8")
        config = _CONFIG.format(bank=bank, chat=chat, accounts=accounts)
        process = await stack.enter_async_context(daemon(folder, config))
        await _listen(process, world)
    return [Result("latency", figures(world.heard[WARM_UP:]))]


async def _listen(process: Daemon, world: World) -> None:
    await process.ready(10)
    await asyncio.sleep(1)
    for place, wallet in enumerate(world.wallets.values()):
        wallet.change_at = time.perf_counter() + 0.05 * place
    try:
        await asyncio.wait_for(world.enough.wait(), LIMIT_S)
    except TimeoutError:
        print(f"only {len(world.heard)} changes were heard", process.trouble[-3:])


def figures(heard: list[float]) -> dict[str, float | int | str]:
    """In milliseconds."""
    found = sorted(one * 1e3 for one in heard)
    shown = {f"p{percent}_ms": round(found[len(found) * percent // 100], 2) for percent in (50, 90, 99)}
    return {"changes": len(found), **shown, "max_ms": round(found[-1], 2), "load": round(os.getloadavg()[0], 1)}
