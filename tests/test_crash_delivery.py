"""The power fails at every step of a delivery, on every store: nothing owed is lost, repeats are repeats."""

import itertools

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.store import codec
from tests.builders import commit, entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of
from tests.fused import Fused, PowerCut
from tests.post import dead_letters


def story(to):
    """What becomes owed, minute by minute."""
    return (
        [row("firing", entry(), to), row("firing", entry("b", severity="warning"), to)],
        [row("updated", entry(severity="info"), to), row("event", event_entry("e1"), to)],
        [row("resolved", entry(status="resolved"), to)],
        [row("firing", entry(episode=2), to)],
        [
            row("resolved", entry(status="resolved", episode=2), to),
            row("resolved", entry("b", "resolved"), to),
        ],
        *[[]] * 5,
    )


async def owe(store, clock, rows, account):
    await store.enrol("casino", {account: clock()})
    await store.poll_now("casino", account)
    claims = (await store.claim("casino", 1000, seconds(1))).claims
    claim = next(one for one in claims if one.account == account)
    written = await store.commit("casino", commit(await store.load(account), *rows), claim, clock() + minutes(600))
    assert written == "written"
    await store.move(account)


async def run(store, clock, blow, answers):
    """The story told to a channel of its own, dying once. Returns what arrived, and whether it died."""
    name, channel, chances, crashed = f"ops-{blow}", RecordingChannel(answers), itertools.count(), False
    for rows in story(target(name, wait=seconds(0))):
        if rows:
            await owe(store, clock, rows, f"hot-{blow}")
        for _ in range(2):
            fuse = None if crashed else blow
            healthy = Fused(store, chances, fuse), Destination(name, Fused(channel, chances, fuse))
            try:
                for group in await healthy[0].claim_groups(name, 20, LEASE):
                    await tell_safely(*healthy, group, clock)
            except PowerCut:
                crashed = True
            clock.pass_(seconds(30))
    return channel.arrived, crashed


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([], id="a healthy channel"),
        pytest.param([None, DeliveryDeferred("down"), DeliveryDeferred("429", seconds(5))], id="a failing channel"),
    ],
)
async def test_no_crash_loses_what_is_owed(store, clock, answers):
    for blow in itertools.count():
        arrived, crashed = await run(store, clock, blow, answers)
        assert_told_truly(arrived, f"when the power failed at point {blow}")
        await assert_on_record(store, f"ops-{blow}", arrived, crashed=crashed)
        if not crashed:
            break
    assert blow > 20, "the fuse never reached the interesting places"


async def assert_on_record(store, channel, arrived, *, crashed):
    """Whoever asks what was sent hears of all that arrived, but for what nobody lived to see arrive, and no more."""
    sent, _ = await store.deliveries([channel], ["sent"], None, 99)
    left, _ = await store.deliveries([channel], ["waiting", "failing", "dead"], None, 99)
    known, told = {one.id for one in sent}, {one.id for one in arrived}
    assert known <= told, channel
    assert len(told - known) <= crashed, channel
    assert left == [], channel


def assert_told_truly(arrived, when):
    by_id = {}
    for message in arrived:
        assert by_id.setdefault(message.id, message) == message, f"one id with two contents {when}"
    told = news_of(by_id.values())
    begun = set()
    for alert, status, _ in told:
        assert status != "resolved" or alert in begun, f"an end before its beginning {when}"
        begun.add(alert)
    assert [one for one in told if one[0] == "alr_e1"] == [("alr_e1", "event", 1)], f"the event {when}"
    for alert in ("alr_b1", "alr_a2"):
        assert [status for name, status, _ in told if name == alert][-1:] == ["resolved"], f"{alert} {when}"


async def test_a_dead_message_uses_its_numbers_up_and_the_end_still_has_a_beginning(store, clock):
    channel, to = RecordingChannel([DeliveryRejected("invalid_payload", "message")]), target(wait=seconds(0))
    for rows in ([row("firing", entry(), to)], [row("resolved", entry(status="resolved"), to)]):
        await owe(store, clock, rows, "hot")
        for group in await store.claim_groups("ops", 20, LEASE):
            await tell_safely(store, Destination("ops", channel), group, clock)
        clock.pass_(minutes(2))

    [dead] = await dead_letters(store)
    assert (dead.why, news_of([codec.message(dead.message)])) == ("invalid_payload", [("alr_a1", "firing", 1)])
    assert news_of(channel.arrived) == [("alr_a1", "firing", 2), ("alr_a1", "resolved", 3)]


async def test_a_message_that_failed_goes_out_unchanged_after_a_night_in_the_store(store, clock):
    channel, to = RecordingChannel([DeliveryDeferred("down")] * 3), target(wait=seconds(0))
    await owe(store, clock, [row("firing", entry(), to)], "hot")
    for _ in range(4):
        for group in await store.claim_groups("ops", 20, LEASE):
            await tell_safely(store, Destination("ops", channel), group, clock)
        clock.pass_(minutes(1))

    assert len(channel.tried) == 4
    assert all(one == channel.tried[0] for one in channel.tried)


async def test_no_crash_loses_or_doubles_a_dead_letter_that_is_replayed(store, clock):
    for blow in itertools.count():
        name, account = f"ops-{blow}", f"hot-{blow}"
        await owe(store, clock, [row("firing", entry(), target(name, wait=seconds(0)))], account)
        refusing = RecordingChannel([DeliveryRejected("HTTP 410", "message")])
        for group in await store.claim_groups(name, 20, LEASE):
            await tell_safely(store, Destination(name, refusing), group, clock)
        [dead], channel = refusing.tried, RecordingChannel([DeliveryDeferred("down")])
        crashed = False
        for _ in range(4):
            fuse = None if crashed else blow
            chances = itertools.count()
            fused = Fused(store, chances, fuse)
            try:
                if await fused.find_dead(dead.id, [name]):
                    await fused.replay(name, dead.id)
                for group in await fused.claim_groups(name, 20, LEASE):
                    await tell_safely(fused, Destination(name, Fused(channel, chances, fuse)), group, clock)
            except PowerCut:
                crashed = True
            clock.pass_(minutes(1))

        assert channel.arrived, f"lost when the power failed at point {blow}"
        assert all(one == dead for one in channel.tried), f"at point {blow}"
        assert len(channel.arrived) <= 1 + crashed, f"at point {blow}"
        assert await store.count_dead(name) == 0
        if not crashed:
            break
    assert blow > 8, "the fuse never reached the interesting places"
