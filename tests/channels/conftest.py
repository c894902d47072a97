"""A real receiver on loopback, answering what the test wants."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from monitor.channels.http import Http, new_session
from monitor.clock import wall_clock


@dataclass
class Receiver:
    """Records requests; `answers` are (status, body, headers) or a coroutine that answers by itself, and `usual` is
    what it answers without them."""

    requests: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    usual: object = (200, "ok", {})
    url: str = ""

    async def handle(self, request):
        self.requests.append((request.path, dict(request.headers), await request.content.read()))
        answer = self.answers.pop(0) if self.answers else self.usual
        if callable(answer):
            return await answer(request)
        status, body, headers = answer
        return web.Response(status=status, body=body.encode() if isinstance(body, str) else body, headers=headers)


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/services/T0/B0/CANARY0123456789"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def receiver():
    async with receiving() as it:
        yield it


@pytest.fixture
async def other_receiver():
    async with receiving() as it:
        yield it


@pytest.fixture
async def http():
    async with new_session() as session:
        yield Http(session, wall_clock)
    await asyncio.sleep(0)
