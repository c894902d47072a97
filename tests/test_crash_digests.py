"""The power fails at every step of a digest, on every store: nothing owed is lost, repeats are repeats."""

import itertools

from monitor.engine.deliver import LEASE, TOGETHER_MAX, Destination
from monitor.engine.digest import deliveries
from monitor.errors import DeliveryDeferred
from tests.builders import entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of
from tests.fused import Fused, PowerCut
from tests.test_crash_delivery import owe

RATE = (4, seconds(1))
#: Enough that they do not wait for their turns.
NAMES = tuple(f"n{number:02}" for number in range(25))


def story(channel):
    """What becomes owed, minute by minute, to a group for each name."""

    def all_of(news, names=NAMES, **changes):
        return [row(news, entry(name, **changes), to(name)) for name in names]

    def to(name):
        return target(channel, group=f"g-{name}", wait=seconds(0), interval=seconds(0), repeat=minutes(60))

    return (
        all_of("firing", severity="warning"),
        [*all_of("updated", NAMES[:24]), *(row("event", event_entry(f"e-{name}"), to(name)) for name in NAMES[:2])],
        all_of("resolved", status="resolved"),
        [],
    )


class Busy(RecordingChannel):
    """It is busy when the second long message comes."""

    async def send(self, message, now):
        if len(message.alerts) > 5 and sum(len(one.alerts) > 5 for one in self.tried) == 1:
            self.answers = [DeliveryDeferred("HTTP 429", seconds(5))]
        return await super().send(message, now)


async def run(store, clock, blow):
    """The story told to a channel of its own, dying once. Returns what it heard, and whether it died."""
    name, channel, chances, crashed = f"ops-{blow}", Busy(ref="thread"), itertools.count(), False
    for rows in story(name):
        if rows:
            await owe(store, clock, rows, f"hot-{blow}")
        for _ in range(8):
            while groups := await store.claim_groups(name, 20, LEASE, RATE, TOGETHER_MAX):
                # Of what is told by itself tests/test_crash_delivery.py speaks.
                fuse = blow if not crashed and (groups[0].together or groups[0].members) else None
                luck = itertools.count() if fuse is None else chances
                where = Destination(name, Fused(channel, luck, fuse))
                begun = deliveries(Fused(store, luck, fuse), where, groups, clock)
                try:
                    for delivery in begun:
                        await delivery
                except PowerCut:
                    crashed = True
            clock.pass_(seconds(5))
    return channel, crashed


async def test_no_crash_loses_what_is_owed_together(store, clock):
    crashed = True
    for blow in itertools.count():
        if not crashed:
            break
        channel, crashed = await run(store, clock, blow)
        assert_told_truly(channel, f"when the power failed at point {blow}")
        assert any(len(one.alerts) > 20 for one in channel.arrived), "no digests"
        await assert_nothing_is_left(store, f"ops-{blow}")
    assert blow > 20, "the fuse never reached the interesting places"


def assert_told_truly(channel, when):
    by_id = {}
    for message in channel.tried:
        assert by_id.setdefault(message.id, message) == message, f"one id with two contents {when}"
    # What arrived and could not be settled is told again: as it was, or, if that fails, under the numbers it had.
    told = list(dict.fromkeys(news_of(channel.arrived)))
    begun, last = set(), dict[str, tuple[int, bool]]()
    for alert, status, sequence in told:
        assert status != "resolved" or alert in begun, f"an end before its beginning {when}"
        begun.add(alert)
        if status != "event":
            before, over = last.get(alert[:-1], (0, False))
            assert sequence == before + 1 or (over and sequence == 1), f"{alert} {when}"
            last[alert[:-1]] = sequence, status == "resolved"
    events = sorted(one for one in told if one[1] == "event")
    assert events == [(f"alr_e-{name}", "event", 1) for name in NAMES[:2]], when
    ends = sorted(alert for alert, status, _ in told if status == "resolved")
    assert ends == [f"alr_{name}1" for name in NAMES], when
    numbered = [one for message in channel.arrived for one in message.alerts if one.entry.status != "event"]
    assert all(one.ref == ("thread" if one.sequence > 1 else "") for one in numbered), when


async def assert_nothing_is_left(store, channel):
    """No digest and no parked member."""
    keys = await store._calls.command("KEYS", f"{{bm:c:{channel}}}:group:*")
    for key in keys:
        fields = await store._calls.command("HMGET", key, "digest", "telling", "members")
        assert fields == [None, None, None], key
    assert await store._calls.command("SCARD", f"{{bm:c:{channel}}}:alone") == 0
