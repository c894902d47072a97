"""Every server there is, with one store on it that is emptied for each example: an event loop of its own, so that a
test may be a plain function, which Hypothesis asks for."""

import asyncio
from collections.abc import Iterator

import fakeredis
import pytest

from monitor.store.redis import RedisStore
from tests.conftest import PARTITIONS, _servers
from tests.fakes import FakeClock, FakeLine
from tests.guard.grounds import StoreGround, emptied


class Bench:
    """`opened` gives the same store, empty, on another clock."""

    def __init__(self, runner: asyncio.Runner, store: RedisStore) -> None:
        self.runner, self.store = runner, store

    async def opened(self, clock: FakeClock) -> StoreGround:
        return await emptied(self.store, clock)


async def _store(request: pytest.FixtureRequest, name: str) -> RedisStore:
    if name == "fakeredis":
        store = RedisStore(FakeLine(fakeredis.FakeServer()))
        await store.open(PARTITIONS)
        return store
    server = request.getfixturevalue(f"{name}_server")
    with server.client() as client:
        client.flushall()
    return await RedisStore.connect(server.url, partitions=PARTITIONS, life="test")


@pytest.fixture(params=_servers())
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        store = runner.run(_store(request, request.param))
        yield Bench(runner, store)
        runner.run(store.close())
