"""A channel that comes back after long hears how things are, not how they came to be."""

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.errors import DeliveryDeferred
from tests.builders import commit, entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of

EPISODES = 40


async def owe(store, clock, *rows):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(600)) == "written"
    await store.move("hot")


async def deliver(store, clock, channel):
    for group in await store.claim_groups("ops", 20, LEASE):
        await tell_safely(store, Destination("ops", channel), group, clock)


async def test_case_40_five_alerts_that_came_and_went_forty_times_are_one_message_each_with_its_present_state(
    store, clock
):
    channel, names = RecordingChannel([DeliveryDeferred("HTTP 503")]), "abcde"
    await owe(store, clock, *(row("firing", entry(name), target()) for name in names))
    clock.pass_(seconds(10))
    await deliver(store, clock, channel)
    for episode in range(1, EPISODES):
        ends = [row("resolved", entry(name, "resolved", episode), target()) for name in names]
        begins = [row("firing", entry(name, episode=episode + 1), target()) for name in names]
        await owe(store, clock, *ends, *begins)

    clock.pass_(minutes(60))
    await deliver(store, clock, channel)

    [message] = channel.arrived
    last = {told[0][:5]: told[:2] for told in news_of([message])}
    assert last == {f"alr_{name}": (f"alr_{name}{EPISODES}", "firing") for name in names}
    clock.pass_(minutes(60))
    await deliver(store, clock, channel)
    assert len(channel.arrived) == 1
