"""What nobody can read, or what breaks whoever composes it, holds up itself and never its channel."""

import asyncio

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.errors import DeliveryDeferred
from tests.builders import commit, entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of

DOWN = DeliveryDeferred("HTTP 503")
BUSY = DeliveryDeferred("HTTP 429", seconds(5))
NOW, SECOND = seconds(0), seconds(1)


class Chat(RecordingChannel):
    trouble = None

    async def send(self, message, now):
        self.answers = [self.trouble] if self.trouble else []
        return await super().send(message, now)


async def owe(store, clock, *names, group=None):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    rows = (row("firing", entry(name), target(group=group or f"g-{name}", wait=NOW)) for name in names)
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(6_000)) == "written"
    await store.move("hot")


async def live(store, clock, chat, time, suppress=None):
    until = clock() + time
    while clock() < until:
        clock.pass_(SECOND)
        while groups := await store.claim_groups("ops", 20, LEASE):
            where = Destination("ops", chat, **({"suppress": suppress} if suppress else {}))
            await asyncio.gather(*(tell_safely(store, where, group, clock) for group in groups))


async def damage(store, name, what):
    if what == "item":
        [key] = await store._calls.command("HKEYS", f"{{bm:c:ops}}:items:g-{name}")
        await store._calls.command("HSET", f"{{bm:c:ops}}:items:g-{name}", key, '{"news": "sung"}')
    elif what == "message":
        await store._calls.command("HSET", f"{{bm:c:ops}}:group:g-{name}", "telling", '{"id": 7')
    else:
        await store._calls.command("HSET", f"{{bm:c:ops}}:open:g-{name}", "fp-x", '{"entry": 7')


@pytest.mark.parametrize("what", ["item", "message", "told"])
@pytest.mark.parametrize("trouble", [DOWN, BUSY], ids=["failing", "busy"])
@pytest.mark.parametrize("count", [3, 5])
async def test_what_cannot_be_read_does_not_keep_a_channel_closed_that_failed(store, clock, what, trouble, count):
    chat = Chat()
    chat.trouble = trouble
    await owe(store, clock, *"abcde"[:count])
    await live(store, clock, chat, SECOND)
    for name in "ab":
        await damage(store, name, what)
    await live(store, clock, chat, minutes(45))
    chat.trouble = None

    await live(store, clock, chat, minutes(10) + SECOND)

    assert {alert for alert, _, _ in news_of(chat.arrived)} >= {f"alr_{name}1" for name in "cde"[: count - 2]}


@pytest.mark.parametrize("trouble", [DOWN, BUSY], ids=["failing", "busy"])
@pytest.mark.parametrize("count", [3, 5])
async def test_what_breaks_whoever_composes_it_does_not_keep_a_channel_closed_that_failed(store, clock, trouble, count):
    async def breaks(group, now):
        if group.id in ("g-a", "g-b"):
            raise ZeroDivisionError
        return group

    chat = Chat()
    chat.trouble = trouble
    await owe(store, clock, *"abcde"[:count])
    await live(store, clock, chat, minutes(45), breaks)
    chat.trouble = None

    await live(store, clock, chat, minutes(10) + SECOND, breaks)

    assert {alert for alert, _, _ in news_of(chat.arrived)} == {f"alr_{name}1" for name in "cde"[: count - 2]}


@pytest.mark.parametrize("what", ["item", "message", "told"])
async def test_what_nobody_could_read_for_an_hour_is_given_up_and_the_rest_of_its_group_is_told(store, clock, what):
    chat = Chat()
    await owe(store, clock, "a")
    await live(store, clock, chat, 2 * SECOND)
    await owe(store, clock, "b", group="g-a")
    if what == "message":
        chat.trouble = DOWN
        await live(store, clock, chat, minutes(2))
        chat.trouble = None
    await damage(store, "a", what)
    clock.pass_(minutes(50))
    await live(store, clock, chat, minutes(5))
    await owe(store, clock, "c", group="g-a")
    await live(store, clock, chat, minutes(1))
    assert news_of(chat.arrived) == [("alr_a1", "firing", 1)], "somebody may come who can read it"

    await live(store, clock, chat, minutes(10))

    later = chat.arrived[1:]
    told = {alert for alert, _, _ in news_of(later)}
    if what == "item":
        assert told == {"alr_c1"}
        assert later[0].truncated == 1, "one of them nobody will ever read"
    else:
        assert told == {"alr_b1", "alr_c1"}
    assert (await store.channel_health(["ops"]))["ops"].waiting == 0


async def test_suppression_that_cannot_be_read_is_none(store, clock):
    chat = Chat()
    await owe(store, clock, "a")
    await store._calls.command("HSET", "{bm:c:ops}:hushed", "g-a", '{"reasons": 7')

    await live(store, clock, chat, SECOND)

    assert news_of(chat.arrived) == [("alr_a1", "firing", 1)]
