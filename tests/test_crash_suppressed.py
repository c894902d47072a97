"""The power fails at every step of deliveries in a silence, on every store: what is owed afterwards is told."""

import itertools
from dataclasses import replace
from datetime import timedelta

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.suppress import Suppressor
from monitor.model.group import Hush
from tests.builders import NOON, entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of
from tests.fused import Fused, PowerCut
from tests.test_crash_delivery import owe


def story(to):
    """What becomes owed, minute by minute: what is called a is told before, b fires on, c is over meanwhile."""
    return (
        [row("firing", entry(), to)],
        [row("firing", entry("b"), to), row("firing", entry("c"), to), row("event", event_entry(), to)],
        [row("updated", entry("b", value=None), to)],
        [row("resolved", replace(entry("c", "resolved"), resolved_at=NOON + minutes(3)), to)],
        [row("resolved", replace(entry(status="resolved"), resolved_at=NOON + minutes(4)), to)],
        *[[]] * 6,
    )


async def run(store, clock, blow):
    """The story told on a channel of its own, in a silence from minute 1 to 8, dying once."""
    name, channel, chances, crashed = f"ops-{blow}", RecordingChannel(), itertools.count(), False
    began = clock()
    silence = Hush("silenced", began + minutes(1), began + minutes(8), "maria", "moving")

    async def silenced(_group, entries, now):
        return dict.fromkeys((one.id for one in entries), silence) if silence.since <= now < silence.until else {}

    for rows in story(target(name, wait=seconds(0))):
        shift = began - NOON
        if rows:
            await owe(store, clock, [_shifted(one, shift) for one in rows], f"hot-{blow}")
        for _ in range(2):
            fuse = None if crashed else blow
            where = Destination(name, Fused(channel, chances, fuse), suppress=Suppressor((silenced,)))
            power = Fused(store, chances, fuse)
            try:
                for group in await power.claim_groups(name, 20, LEASE):
                    await tell_safely(power, where, group, clock)
            except PowerCut:
                crashed = True
            clock.pass_(seconds(30))
    return channel.arrived, crashed


def _shifted(one, by: timedelta):
    ended = one.entry.resolved_at
    return replace(one, entry=replace(one.entry, resolved_at=ended + by if ended else None))


async def test_case_09_a_crash_in_a_silence_loses_nothing_and_tells_nothing_early(store, clock):
    for blow in itertools.count():
        arrived, crashed = await run(store, clock, blow)
        told = set(news_of(arrived))
        assert told == {
            ("alr_a1", "firing", 1),
            ("alr_a1", "resolved", 2),
            ("alr_b1", "firing", 1),
            (event_entry().id, "event", 1),
        }, blow
        late = [one.entry for message in arrived for one in message.alerts if one.entry.fingerprint == "fp-b"]
        assert all("silenced since" in one.annotations["caveat"] for one in late), blow
        if not crashed:
            break
    assert blow > 20
