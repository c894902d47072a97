"""The power fails at every step of what people are for: who is kept quiet, who is told when nobody answers."""

import itertools
from dataclasses import replace

import pytest

from monitor.engine.deliver import LEASE, tell_safely
from tests.builders import NOON, entry, minutes, seconds
from tests.engine.test_beat import Stage
from tests.engine.test_escalate import Escalating
from tests.engine.test_inhibit import ACCOUNTS, Casino
from tests.fused import Fused, PowerCut


class Mortal(Casino):
    """Dies once while it judges the provider, and somebody else goes on."""

    def __init__(self, store, clock, blow):
        super().__init__(store, clock)
        self.died, self.healthy = False, self.judging
        self.judging = replace(self.judging, store=Fused(store, itertools.count(), blow))

    async def polled(self, polling, one):
        try:
            return await super().polled(polling, one)
        except PowerCut:
            self.died, self.judging = True, self.healthy
            self.clock.pass_(minutes(1))


async def lived(open_store, clock, blow):
    """A provider goes down and comes back: (who is kept quiet by it, who should be) each time, and whether it died."""
    store = await open_store()
    await store._calls.command("FLUSHALL")
    await store.open(4)
    clock.now, found = NOON, []
    casino = Mortal(store, clock, blow)
    for silent in (set(ACCOUNTS), set()):
        casino.silent = silent
        await casino.passes(6)
        clock.pass_(seconds(6))
        await store.sweep(10)
        record = await store.load(casino.checkup.name)
        firing = [one for one in await store.sources(clock()) if one.ended_at is None]
        found.append((len(firing), sum(alert.inhibits for alert in record.alerts)))
    return found, casino.died


async def test_no_crash_leaves_anybody_quiet_for_what_is_over_nor_loud_for_what_is_not(open_store, clock):
    for blow in itertools.count():
        found, died = await lived(open_store, clock, blow)
        assert found == [(1, 1), (0, 0)], f"when the power failed at point {blow}"
        if not died:
            break
    assert blow > 10, "the fuse never reached the interesting places"


class Unattended(Escalating):
    """Dies once while it tells people, and somebody else goes on."""

    def __init__(self, store, clock, blow):
        super().__init__(store, clock)
        self.healthy, chances = (self.store, self.chats), itertools.count()
        self.died, self.power = False, Fused(store, chances, blow)
        self.mortal = {name: Fused(chat, chances, blow) for name, chat in self.chats.items()}

    async def tell(self):
        try:
            self.store, self.chats = self.healthy if self.died else (self.power, self.mortal)
            await super().tell()
        except PowerCut:
            self.died = True
        finally:
            self.store, self.chats = self.healthy

    async def every_five(self, count):
        for _ in range(count):
            self.clock.pass_(minutes(5))
            await self.tell()


def stories(desk):
    """What each heard, repeats of a message left out."""
    for name, chat in desk.chats.items():
        once = {message.id: message for message in chat.tried}
        assert all(once[message.id] == message for message in chat.tried), name
        numbers = [one.sequence for message in once.values() for one in message.alerts]
        assert numbers == list(range(1, len(numbers) + 1)), name
    return {
        name: list(dict.fromkeys((one.id, one.type.removeprefix("alert.")) for one in chat.arrived))
        for name, chat in desk.chats.items()
    }


async def escalated(open_store, clock, blow, *, answered):
    store = await open_store()
    await store._calls.command("FLUSHALL")
    await store.open(4)
    clock.now = NOON
    desk = await Unattended(store, clock, blow).begin()
    await desk.tell()
    await desk.every_five(4)
    if answered:
        await desk.acks()
    await desk.every_five(4)
    await desk.polls("90")
    await desk.tell()
    await desk.every_five(2)
    return {name: [kind for _, kind in told] for name, told in stories(desk).items()}, desk.died


@pytest.mark.parametrize("answered", [True, False])
async def test_no_crash_tells_more_or_fewer_people_of_what_nobody_answers(open_store, clock, answered):
    for blow in itertools.count():
        told, died = await escalated(open_store, clock, blow, answered=answered)
        when = f"when the power failed at point {blow}: {told}"
        for name in ("ops", "pager") if answered else ("ops", "pager", "boss"):
            assert (told[name][0], told[name][-1]) == ("firing", "resolved"), when
            assert set(told[name][1:-1]) <= {"reminder"}, when
        assert answered == (told["boss"] == []), when
        if not died:
            break
    assert blow > 30, "the fuse never reached the interesting places"


async def beaten(open_store, clock, blow):
    """An alert that fires for four minutes, told to a store of alerts: when, what is left of it, whether it died."""
    store = await open_store()
    await store._calls.command("FLUSHALL")
    await store.open(4)
    clock.now, chances = NOON, itertools.count()
    stage, died, heard = Stage(store, clock), False, []
    channel = stage.channel
    for status in ("firing", "resolved"):
        told = entry(status=status)
        await stage.owe(status, replace(told, resolved_at=told.resolved_at and clock()))
        for _ in range(24 if status == "firing" else 60):
            fuse = None if died else blow
            power = Fused(store, chances, fuse)
            there = replace(stage.there, adapter=Fused(channel, chances, fuse))
            try:
                for group in await power.claim_groups("ops", 20, LEASE):
                    await tell_safely(power, there, group, clock)
            except PowerCut:
                died = True
            heard += [(clock(), one.alerts[0].entry.status) for one in channel.arrived]
            channel.arrived.clear()
            clock.pass_(seconds(10))
    return heard, await store._calls.command("KEYS", "*:open:ops-g1"), died


async def test_no_crash_lets_a_store_of_alerts_forget_what_fires_or_believe_what_is_over(open_store, clock):
    for blow in itertools.count():
        heard, left, died = await beaten(open_store, clock, blow)
        when = f"when the power failed at point {blow}"
        states = [status for status, _ in itertools.groupby(status for _, status in heard)]
        assert states == ["firing", "resolved"], when
        # A crash costs one beat; before it takes what fires for resolved it waits for five.
        times = [at for at, _ in heard]
        assert max(later - sooner for sooner, later in itertools.pairwise(times)) <= minutes(2), when
        ends = [at for at, status in heard if status == "resolved"]
        assert minutes(3) <= ends[-1] - ends[0] <= minutes(5), when
        assert left == [], when
        if not died:
            break
    assert blow > 20, "the fuse never reached the interesting places"
