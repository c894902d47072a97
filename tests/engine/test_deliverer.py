"""Keeps one channel's groups told: room, rhythm, a store that is away, and the way out."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from monitor.engine.deliver import LEASE, Destination
from monitor.engine.deliverer import LOOK_AGAIN, STORE_PAUSE, Deliverer
from monitor.errors import DeliveryDeferred, StoreUnavailable
from monitor.model.channel import BATCH_MAX
from monitor.model.group import Receipt
from tests.builders import entry, minutes, row, seconds, target
from tests.fakes import FakeDeliveryStore, RecordingChannel, loop_clock, virtual_time

NOW = seconds(0)


@dataclass
class Chat:
    """Takes as long for a message as `delays` says of its account."""

    delay: float = 0
    delays: dict = field(default_factory=dict)
    begun: list = field(default_factory=list)
    arrived: list = field(default_factory=list)
    inside: int = 0
    most: int = 0

    async def send(self, message, now):
        name = message.alerts[0].entry.fingerprint
        self.begun.append(name)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(self.delays.get(name, self.delay))
        self.inside -= 1
        self.arrived.append((name, message.type, loop_clock()))
        return Receipt("ok")

    def names(self):
        return [name for name, _, _ in self.arrived]


@asynccontextmanager
async def delivering(chat, **settings):
    store = FakeDeliveryStore(loop_clock)
    it = Deliverer(Destination("ops", chat), store, loop_clock, **settings)
    task = asyncio.create_task(it.run())
    yield it, store
    it.stop()
    await task


def owe(store, *names, status="firing"):
    for name in names:
        store.owe(row(status, entry(name, status), target(group=f"g-{name}", wait=NOW)))


@virtual_time
async def test_how_long_the_store_takes_to_say_what_is_due_is_measured():
    told = []
    async with delivering(Chat(), claimed=told.append) as (_, store):
        claim = store.claim_groups

        async def slowly(*asked):
            await asyncio.sleep(0.2)
            return await claim(*asked)

        store.claim_groups = slowly
        await asyncio.sleep(2)

    slow = [took for took in told if took]
    assert len(slow) >= 3
    assert all(seconds(0.2) <= took < seconds(0.3) for took in slow)


@virtual_time
async def test_what_is_owed_arrives_when_it_is_due():
    chat = Chat()
    async with delivering(chat) as (_, store):
        started = loop_clock()
        store.owe(row("firing", entry(), target(wait=seconds(10))))
        await asyncio.sleep(9.9)
        early = chat.names()
        await asyncio.sleep(0.4)

    assert early == []
    assert seconds(10) <= chat.arrived[0][2] - started <= seconds(10) + LOOK_AGAIN


@virtual_time
async def test_a_ring_of_the_bell_is_heard_at_once():
    chat = Chat()
    async with delivering(chat) as (it, store):
        await asyncio.sleep(60)
        owe(store, "a")
        it.bell.set()
        await asyncio.sleep(0.001)

        assert chat.names() == ["fp-a"]


@virtual_time
async def test_a_slow_message_holds_up_no_other_group():
    chat = Chat(delays={"fp-slow": 9})
    async with delivering(chat) as (_, store):
        owe(store, "slow", "a", "b")
        await asyncio.sleep(1)

        assert sorted(chat.names()) == ["fp-a", "fp-b"]


@virtual_time
async def test_no_more_are_sent_at_once_than_there_is_room_for():
    chat = Chat(delay=1)
    async with delivering(chat) as (_, store):
        owe(store, *(f"n{n}" for n in range(3 * BATCH_MAX)))
        await asyncio.sleep(4)

    assert chat.most == BATCH_MAX
    assert len(chat.arrived) == 3 * BATCH_MAX


@virtual_time
async def test_a_group_is_told_by_one_at_a_time():
    chat = Chat(delay=2)
    async with delivering(chat) as (it, store):
        owe(store, "a")
        await asyncio.sleep(1)
        owe(store, "a", status="resolved")
        it.bell.set()
        await asyncio.sleep(5)

    assert chat.most == 1
    assert [kind for _, kind, _ in chat.arrived] == ["alert.firing", "alert.resolved"]


@virtual_time
async def test_a_failed_message_is_tried_again_on_the_ladder_without_anybody_ringing():
    chat = RecordingChannel([DeliveryDeferred("down")] * 2)
    async with delivering(chat) as (_, store):
        owe(store, "a")
        await asyncio.sleep(10)

    assert len(chat.tried) == 3
    assert len({message.id for message in chat.tried}) == 1


@virtual_time
async def test_a_store_that_is_away_is_left_alone_for_a_moment():
    chat = Chat()
    async with delivering(chat) as (_, store):
        claim, down = store.claim_groups, [True]

        async def flaky(*args):
            if down:
                raise StoreUnavailable("away")
            return await claim(*args)

        store.claim_groups = flaky
        owe(store, "a")
        with capture_logs() as logs:
            await asyncio.sleep(10)
        down.clear()
        await asyncio.sleep(STORE_PAUSE.total_seconds() + 0.1)

    assert chat.names() == ["fp-a"]
    assert 9 <= len(logs) <= 12


@virtual_time
async def test_a_settle_that_failed_repeats_the_same_message_when_the_lease_ends():
    chat = RecordingChannel()
    async with delivering(chat) as (_, store):
        settle, down = store.settle, [True]

        async def flaky(*args):
            if down:
                raise StoreUnavailable("away")
            return await settle(*args)

        store.settle = flaky
        owe(store, "a")
        await asyncio.sleep(1)
        down.clear()
        await asyncio.sleep(LEASE.total_seconds())

    assert len(chat.arrived) == 2
    assert chat.arrived[0] == chat.arrived[1]


class TestStopping:
    @virtual_time
    async def test_case_49_what_is_in_flight_is_settled(self):
        chat = Chat(delay=3)
        async with delivering(chat) as (it, store):
            owe(store, "a")
            await asyncio.sleep(1)
            it.stop()
            owe(store, "b")

        assert chat.names() == ["fp-a"]
        assert store.groups["ops", "g-a"].group.telling is None

    @virtual_time
    async def test_then_what_is_due_is_drained_until_nothing_is(self):
        chat = Chat(delay=1)
        async with delivering(chat) as (it, store):
            pass
        owe(store, *(f"n{n}" for n in range(BATCH_MAX + 5)))
        store.owe(row("firing", entry("later"), target(group="later", wait=minutes(9))))

        rounds = [await it.drain() for _ in range(3)]

        assert rounds == [False, False, True]
        assert len(chat.arrived) == BATCH_MAX + 5

    @pytest.mark.parametrize("answers", [[DeliveryDeferred("down")] * 99])
    @virtual_time
    async def test_a_channel_that_is_down_does_not_keep_us(self, answers):
        store = FakeDeliveryStore(loop_clock)
        it = Deliverer(Destination("ops", RecordingChannel(answers)), store, loop_clock)
        owe(store, "a")

        assert [await it.drain(), await it.drain()] == [False, True]
