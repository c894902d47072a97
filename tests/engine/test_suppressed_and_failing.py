"""What is suppressed in a channel that fails holds up nobody else, and is told when it no longer is."""

from dataclasses import replace

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.suppress import Suppressor
from monitor.errors import DeliveryDeferred
from monitor.model.group import Hush
from tests.builders import NOON, entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of
from tests.store.test_groups import owe

NIGHT = Hush("silenced", NOON, NOON + minutes(600), "maria", "moving")
TO = target(wait=seconds(0))


class Chat:
    """A channel that fails a few times, and a silence of one alert that somebody makes and ends."""

    def __init__(self, store, clock, failures):
        self.store, self.clock, self.quiet = store, clock, set()
        self.channel = RecordingChannel([DeliveryDeferred("down")] * failures)
        self.ops = Destination("ops", self.channel, suppress=Suppressor((self,)))

    async def __call__(self, _group, entries, now):
        return {one.id: NIGHT for one in entries if one.fingerprint in self.quiet}

    async def passes(self, time):
        until = self.clock() + time
        while self.clock() < until:
            for group in await self.store.claim_groups("ops", 20, LEASE):
                await tell_safely(self.store, self.ops, group, self.clock)
            self.clock.pass_(seconds(5))


@pytest.fixture
async def chat(store, clock):
    await store.enrol("casino", {"hot": clock()})
    chat = Chat(store, clock, failures=2)
    await owe(store, clock, row("firing", entry(), TO))
    await chat.passes(seconds(5))
    chat.quiet = {"fp-a"}
    await chat.passes(minutes(2))
    assert (len(chat.channel.tried), chat.channel.arrived) == (1, [])
    return chat


async def test_what_could_not_be_sent_and_is_silenced_since_holds_up_nothing_else(chat, store, clock):
    chat.channel.answers = []
    await owe(store, clock, row("firing", entry("b"), TO))
    await chat.passes(minutes(3))

    assert news_of(chat.channel.arrived) == [("alr_b1", "firing", 1)]


async def test_what_could_not_be_sent_and_is_silenced_since_is_told_when_the_silence_is_ended(chat, store, clock):
    chat.channel.answers, chat.quiet = [], set()
    await store.rouse("ops")
    await chat.passes(seconds(10))

    assert news_of(chat.channel.arrived) == [("alr_a1", "firing", 1)]
    assert "silenced since" in chat.channel.arrived[0].alerts[0].entry.annotations["caveat"]


async def test_a_channel_that_fails_and_has_nothing_to_tell_is_not_asked_again_and_again(chat, store, clock):
    """With nothing to try it with it is left alone until there is."""
    looks = []

    async def looked(*args, **kwargs):
        looks.append(clock())
        return await chat(*args, **kwargs)

    chat.ops = replace(chat.ops, suppress=Suppressor((looked,)))
    chat.channel.answers = [DeliveryDeferred("down")] * 4
    for name in "bcde":
        await owe(store, clock, row("firing", entry(name), target(group=name, wait=seconds(0))))
    await chat.passes(seconds(5))
    chat.quiet |= {"fp-b", "fp-c", "fp-d", "fp-e"}
    await chat.passes(minutes(60))

    assert len(looks) < 20


class Slow(RecordingChannel):
    """Somebody ends the silence while a message is on its way, if `ends` says how."""

    ends = None

    async def send(self, message, now):
        if self.ends:
            await self.ends()
        return await super().send(message, now)


async def test_a_silence_that_is_ended_while_a_message_is_on_its_way_is_noticed_when_that_has_arrived(store, clock):
    chat = Chat(store, clock, failures=0)
    chat.channel = Slow()
    chat.ops = replace(chat.ops, adapter=chat.channel)
    await store.enrol("casino", {"hot": clock()})
    to = target(wait=seconds(0), repeat=minutes(10))
    await owe(store, clock, row("firing", entry(), to))
    await chat.passes(minutes(5))
    chat.quiet = {"fp-a"}
    await chat.passes(minutes(10))

    async def ends():
        chat.quiet, chat.channel.ends = set(), None
        await store.rouse("ops")

    chat.channel.ends = ends
    await owe(store, clock, row("firing", entry("b"), to))
    await chat.passes(seconds(15))

    assert news_of(chat.channel.arrived) == [("alr_a1", "firing", 1), ("alr_b1", "firing", 1), ("alr_a1", "firing", 2)]
