"""What lies in a channel's store, as the tests look at it."""

from collections.abc import Sequence

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.ports import Channel, Clock
from monitor.model.record import Row
from monitor.store import ledgercodec
from monitor.store.keys import ChannelKeys
from monitor.store.redis import RedisStore
from tests.builders import commit, minutes, seconds


async def dead_letters(store: RedisStore, channel: str = "ops") -> list[ledgercodec.Letter]:
    """A channel's dead letters, oldest first."""
    where = ChannelKeys(channel)
    names = await store._calls.command("ZRANGE", where.dead, "0", "-1")
    stored = [await store._calls.command("HGET", where.letters, name) for name in names]
    return [ledgercodec.letter(one) for one in stored]


async def owe(store: RedisStore, clock: Clock, rows: Sequence[Row], account: str = "hot") -> None:
    """One poll that owes these rows, moved to their groups."""
    await store.enrol("casino", {account: clock()})
    await store.poll_now("casino", account)
    claims = (await store.claim("casino", 1000, seconds(1))).claims
    claim = next(one for one in claims if one.account == account)
    written = await store.commit("casino", commit(await store.load(account), *rows), claim, clock() + minutes(600))
    assert written == "written"
    await store.move(account)


async def deliver(store: RedisStore, adapter: Channel, clock: Clock, channel: str = "ops") -> None:
    """Tell what is due in a channel."""
    for group in await store.claim_groups(channel, 20, LEASE):
        await tell_safely(store, Destination(channel, adapter), group, clock)
