"""A bet waits in one process, and another one polls: over real servers, in real time."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from monitor.clock import FollowedClock
from monitor.engine.lane import Lane
from monitor.engine.poll import Polling
from monitor.engine.poller import Poller
from monitor.engine.refresher import Refresher
from monitor.engine.watch import Watch
from monitor.errors import ProviderUnreachable
from monitor.schedule import Every, next_due
from monitor.store.redis import RedisStore
from monitor.store.url import address
from monitor.store.wakes import Wakes
from tests.builders import minutes, seconds
from tests.engine.test_poller import Bank
from tests.facts import account, policy

HOT = account(interval=minutes(10))


@pytest.fixture(params=["valkey_server", "cluster3_server"])
def url(request):
    server = request.getfixturevalue(request.param)
    if request.param == "valkey_server":
        with server.client() as client:
            client.flushall()
    else:
        server.empty()
    return server.url


@asynccontextmanager
async def polling(url, bank):
    """A process that polls and hears the others."""
    store, clock, watch = await RedisStore.connect(url, partitions=4), FollowedClock(), Watch(policy(), (), due)
    clock.follow(await store.time())
    first = asyncio.Event()
    poller = Poller(
        Polling("casino", bank, seconds(5), store, watch, clock),
        {HOT.name: HOT},
        concurrency=20,
        windows=(),
        cost=1,
        observe=lambda *_: first.set(),
        moved=lambda: None,
        follow=clock.follow,
    )

    def heard(provider, partition):
        if provider:
            store.hurry(provider, partition)
        poller.wake()

    await store.enrol("casino", {HOT.name: clock()})
    tasks = [asyncio.create_task(poller.run()), asyncio.create_task(Wakes(address(url), heard).run())]
    await asyncio.wait_for(first.wait(), 30)
    yield poller
    poller.stop()
    await tasks[0]
    tasks[1].cancel()
    await asyncio.wait(tasks)
    await store.close()


def due(one, now):
    return next_due(Every(one.interval, 0), one.name, now)


@asynccontextmanager
async def asking(url):
    """A process that only answers bets."""
    store, clock = await RedisStore.connect(url), FollowedClock()
    clock.follow(await store.time())
    yield Refresher(store, {"casino": Lane.of(store, "casino", (), 1)}, lambda _: None, clock)
    await store.close()


async def test_a_bet_that_waits_elsewhere_is_served_well_within_a_second(url):
    bank, loop, took = Bank(), asyncio.get_running_loop(), []
    async with polling(url, bank), asking(url) as refresher:
        for _ in range(6):
            began = loop.time()
            assert await refresher.now(HOT, seconds(10)) == "read"
            took.append(loop.time() - began)

    # Looks at the store each second would take about one each time; a busy machine takes longer now and then.
    assert sorted(took)[1] < 0.4


async def test_several_processes_that_wait_cause_no_more_polls_than_one(url):
    bank = Bank(delay=0.3)
    async with polling(url, bank), asking(url) as ours, asking(url) as theirs:
        before = len(bank.answered)
        outcomes = await asyncio.gather(*(one.now(HOT, seconds(10)) for one in (ours, theirs) for _ in range(20)))

        assert set(outcomes) == {"read"}
        assert len(bank.answered) - before <= 2


async def test_a_failure_elsewhere_is_told_as_one(url):
    bank = Bank()
    async with polling(url, bank), asking(url) as refresher:
        bank.words["*"] = ProviderUnreachable("down")

        assert await refresher.now(HOT, seconds(10)) == "failing"
