"""Real sockets for providers: an HTTP server that answers as told and remembers what it was asked."""

import asyncio
import json
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from monitor.errors import ProviderThrottled
from monitor.providers.http import Http, new_session

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Server:
    """Answers with `say(...)`'s replies in order, the last one for ever; or with `route`, when it is set."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    route: Callable[[Asked], web.Response | Awaitable[web.Response]] | None = None
    _replies: deque = field(default_factory=deque)

    def say(self, body=b"", status=200, **headers) -> "Server":
        """Queue a reply: bytes or text as they are, anything else as JSON. `Retry_After="5"` is a header."""
        raw = body.encode() if isinstance(body, str) else body
        if not isinstance(raw, bytes):
            raw = json.dumps(body).encode()
        named = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        self._replies.append((status, raw, named))
        return self

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        self.asked.append(asked)
        if self.route is not None:
            answer = self.route(asked)
            return await answer if isinstance(answer, Awaitable) else answer
        status, body, headers = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
        return web.Response(status=status, body=body, headers=headers)


class Purse:
    """A budget that counts, and throttles when `left` is used up."""

    def __init__(self, left: int = 1_000_000) -> None:
        self.left, self.spent, self.corrections = left, [], []

    async def spend(self, cost: int) -> None:
        if cost > self.left:
            raise ProviderThrottled("the budget is spent")
        self.left -= cost
        self.spent.append(cost)

    async def correct(self, remaining: int) -> None:
        self.corrections.append(remaining)


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture
def purse() -> Purse:
    return Purse()


async def _listening(server: Server) -> web.AppRunner:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = site._server.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    return runner


@pytest.fixture
async def server():
    """A provider on loopback."""
    it = Server()
    runner = await _listening(it)
    yield it
    await runner.cleanup()


@pytest.fixture
async def stranger():
    """Another host (another port is another origin), which must never be asked anything."""
    it = Server().say({"ok": True})
    runner = await _listening(it)
    yield it
    await runner.cleanup()


@pytest.fixture
async def session():
    async with new_session() as it:
        yield it


@pytest.fixture
def http(session, server) -> Http:
    """The door, bound to `server`."""
    return Http(session, server.url)


@pytest.fixture
def session_free_http() -> Http:
    """A door that can be held but not used, for settings that only have to be connected."""
    return Http(None, "https://nowhere.example")


@pytest.fixture
async def raw():
    """`raw(*pieces, end=...)` → URL of a server that reads a request, writes these bytes, then closes.

    `end` is "close", "reset", or "hang" (until the client leaves).
    """
    servers = []

    async def serve(*pieces: bytes, end: str = "close", pause: float = 0) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    if pause:
                        await asyncio.sleep(pause)
                if end == "hang":
                    await reader.read()
                if end == "reset":
                    writer.transport.abort()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        it = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(it)
        return f"http://127.0.0.1:{it.sockets[0].getsockname()[1]}"

    yield serve
    for it in servers:
        it.close()
        await it.wait_closed()


@pytest.fixture
def leaks_nothing():
    """Asserts that an exception, its chain and its traceback hold none of the secrets."""

    def check(error: BaseException, *secrets: str) -> None:
        assert error.__cause__ is None, "a cause may quote a URL or a header"
        assert error.__suppress_context__ or error.__context__ is None, "so may a context"
        shown = "\n".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])
        for secret in secrets:
            assert secret not in shown

    return check


@pytest.fixture
def recorded(request):
    """`recorded("C1")` → the bytes of the sample C1.json in the folder named after the test's file."""
    folder = Path(request.path).parent / Path(request.path).stem.removeprefix("test_")

    def read(name: str) -> bytes:
        return (folder / f"{name}.json").read_bytes()

    return read
