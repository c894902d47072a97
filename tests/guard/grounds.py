"""The real store as the machine and the simulator use it: readings come by claims and commits, as polls make them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.guard.hold import Terms
from monitor.model.feed import Fed, Feed
from monitor.model.record import Commit
from monitor.store.recollection import Recollection
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.fakes import FakeClock
from tests.guard.simulator import ACCOUNT, LEASE

PROVIDER = "cryptofuse"


class StoreGround:
    """A store with nothing in it; `emptied` makes it so."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.guard = store
        self.ahead = timedelta(0)

    async def poll(self, account: str) -> Any:
        """The newest claim there is, as of now; None while another one lasts."""
        await self.store.poll_now(PROVIDER, account)
        return await self.store.take_one(PROVIDER, account, LEASE)

    async def told(self, claim: Any, feed: Feed) -> str:
        """What a claimed poll has read is written, or dropped."""
        record = await self.store.load(claim.account)
        return await self.store.commit(
            PROVIDER, Commit(record, record, feed=feed), claim, await self.store.time() + minutes(1)
        )

    # For the machine.

    async def feed(self, account: str, assets: Mapping[str, Fed], fence: datetime) -> None:
        claim = await self.poll(account)
        assert await self.told(claim, Feed(assets, fence)) == "written"

    async def tend(self, terms: Terms) -> None:
        now = await self.store.time()
        for partition in range(len(self.store.partitions)):
            await self.store.tend(partition, now - seconds(600), terms)

    # For the simulator, which has one account.

    async def begin(self) -> Any:
        return await self.poll(ACCOUNT)

    async def arrive(self, poll: Any, feed: Feed) -> None:
        await self.told(poll, feed)

    async def won(self, amount: int) -> None:
        """Nothing: only a reading shows it."""

    def apart(self, clock: FakeClock) -> None:
        """From now on the store's clock is `ahead` of this one, which is the processes' own and is never set."""
        self.store.clock_override = lambda: clock() + self.ahead
        self.store.steady_override = lambda: (clock() - NOON + minutes(1)) // timedelta(microseconds=1) * 1_000


async def emptied(store: RedisStore, clock: FakeClock, ground: type[StoreGround] = StoreGround) -> StoreGround:
    """This store as if it had never been used, nor this process, on this clock."""
    store.clock_override, store.steady_override = clock, None
    await store._calls.command("FLUSHALL")
    store._cache.clear()
    store._claimed.clear()
    store._recollection = Recollection()
    store._reckonings.clear()
    return ground(store)
