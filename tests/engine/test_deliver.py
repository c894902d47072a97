import asyncio
import itertools
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from monitor.engine import deliver
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.errors import DeliveryDeferred, DeliveryRejected, StoreUnavailable
from tests.builders import NOON, entry, event_entry, minutes, row, seconds, target
from tests.fakes import PROBE_EVERY, FakeClock, FakeDeliveryStore, RecordingChannel, news_of

WAIT = seconds(10)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return FakeDeliveryStore(clock)


async def deliver_once(store, channel, clock, name="ops", **settings):
    groups = await store.claim_groups(name, 20, LEASE)
    for group in groups:
        await tell_safely(store, Destination(name, channel, **settings), group, clock)
    return len(groups)


async def test_an_alert_is_told_after_the_group_s_wait_and_once(store, clock):
    channel = RecordingChannel()
    store.owe(row("firing", entry()))
    assert await deliver_once(store, channel, clock) == 0

    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)
    clock.pass_(minutes(5))
    await deliver_once(store, channel, clock)

    assert news_of(channel.arrived) == [("alr_a1", "firing", 1)]


async def test_a_failed_message_comes_back_on_the_ladder_under_the_same_id(store, clock):
    channel = RecordingChannel([DeliveryDeferred("HTTP 503"), DeliveryDeferred("HTTP 503")])
    store.owe(row("firing", entry()))

    for wait in (WAIT, seconds(1.2), seconds(6)):
        clock.pass_(wait)
        assert await deliver_once(store, channel, clock) == 1

    assert len(channel.tried) == 3
    assert len({(one.id, one.at) for one in channel.tried}) == 1
    assert len(channel.arrived) == 1


async def test_case_40_an_outage_of_the_channel_ends_with_one_combined_message(store, clock):
    channel = RecordingChannel([DeliveryDeferred("down")] * 3)
    store.owe(row("firing", entry()))
    for wait in (WAIT, seconds(2), seconds(6)):
        clock.pass_(wait)
        await deliver_once(store, channel, clock)

    store.owe(row("resolved", entry(status="resolved")))
    clock.pass_(minutes(1))
    await deliver_once(store, channel, clock)

    [message] = channel.arrived
    assert message.type == "alert.resolved"
    assert news_of([message]) == [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)]


async def test_news_do_not_hurry_the_ladder(store, clock):
    channel = RecordingChannel([DeliveryDeferred("down")] * 2)
    store.owe(row("firing", entry()))
    for wait in (WAIT, seconds(2)):
        clock.pass_(wait)
        await deliver_once(store, channel, clock)

    store.owe(row("firing", entry("b")))

    assert await deliver_once(store, channel, clock) == 0


async def test_case_41_a_429_pauses_its_channel_and_no_other(store, clock):
    busy, other = RecordingChannel([DeliveryDeferred("HTTP 429", seconds(30))]), RecordingChannel()
    store.owe(row("firing", entry(), target("ops"), target("ops", group="g2"), target("chat")))
    clock.pass_(WAIT)

    groups = await store.claim_groups("ops", 1, LEASE)
    await tell_safely(store, Destination("ops", busy), groups[0], clock)

    assert await deliver_once(store, busy, clock) == 0, "the other group of that channel waits as well"
    assert await deliver_once(store, other, clock, "chat") == 1
    clock.pass_(seconds(30))
    assert await deliver_once(store, busy, clock) == 2


async def test_case_47_a_refused_message_is_buried_at_once_and_the_next_goes_out(store, clock):
    channel = RecordingChannel([DeliveryRejected("HTTP 400 invalid_payload", "message")])
    store.owe(row("firing", entry()))
    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)
    store.owe(row("resolved", entry(status="resolved")))
    await deliver_once(store, channel, clock)

    [(dead, why)] = store.dead
    assert (news_of([dead]), why) == ([("alr_a1", "firing", 1)], "HTTP 400 invalid_payload")
    assert store.paused == {}
    assert news_of(channel.arrived) == [("alr_a1", "firing", 2), ("alr_a1", "resolved", 3)]


async def test_what_a_store_of_alerts_took_of_a_refused_message_stands_and_the_rest_is_kept(store, clock):
    refused = DeliveryRejected("HTTP 400", "message")
    refused.taken = frozenset({0, 2})
    channel = RecordingChannel([refused])
    store.owe(*(row("firing", entry(name)) for name in "abc"))
    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)
    store.owe(*(row("resolved", entry(name, "resolved")) for name in "abc"))
    for _ in range(2):
        await deliver_once(store, channel, clock)

    [(dead, _)] = store.dead
    assert news_of([dead]) == [("alr_b1", "firing", 1)]
    assert news_of(channel.arrived) == [
        ("alr_a1", "resolved", 2), ("alr_c1", "resolved", 2), ("alr_b1", "firing", 2), ("alr_b1", "resolved", 3),
    ] or news_of(channel.arrived) == [
        ("alr_b1", "firing", 2), ("alr_b1", "resolved", 3), ("alr_a1", "resolved", 2), ("alr_c1", "resolved", 2),
    ]  # fmt: skip


async def test_a_channel_that_refuses_us_is_paused_and_probed_and_its_messages_are_kept(store, clock):
    channel = RecordingChannel([DeliveryRejected("HTTP 410", "channel")])
    store.owe(row("firing", entry()))
    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)
    store.owe(row("firing", entry("b"), target(group="g2", wait=seconds(0))))

    assert len(store.dead) == 1
    assert await deliver_once(store, channel, clock) == 0
    clock.pass_(PROBE_EVERY)
    assert await deliver_once(store, channel, clock) == 1
    assert news_of(channel.arrived) == [("alr_b1", "firing", 1)]


async def test_case_44_of_two_channels_only_the_failed_one_retries(store, clock):
    good, bad = RecordingChannel(), RecordingChannel([DeliveryDeferred("down")])
    store.owe(row("firing", entry(), target("ops"), target("chat")))
    clock.pass_(WAIT)
    for _ in range(2):
        await deliver_once(store, good, clock, "ops")
        await deliver_once(store, bad, clock, "chat")
        clock.pass_(seconds(2))

    assert (len(good.tried), len(bad.tried)) == (1, 2)


async def test_case_46_the_end_of_the_last_alert_is_told_at_once(store, clock):
    channel = RecordingChannel()
    store.owe(row("firing", entry()))
    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)

    store.owe(row("resolved", entry(status="resolved")))
    await deliver_once(store, channel, clock)

    assert news_of(channel.arrived)[-1] == ("alr_a1", "resolved", 2)


async def test_case_46_a_refire_within_the_interval_is_one_message_with_both_episodes(store, clock):
    channel = RecordingChannel()
    store.owe(row("firing", entry()), row("firing", entry("still")))
    clock.pass_(WAIT)
    await deliver_once(store, channel, clock)
    store.owe(row("resolved", entry(status="resolved")), row("firing", entry(episode=2)))
    assert await deliver_once(store, channel, clock) == 0

    clock.pass_(minutes(1))
    await deliver_once(store, channel, clock)

    assert channel.arrived[-1].type == "alert.firing"
    assert news_of(channel.arrived[1:]) == [("alr_a1", "resolved", 2), ("alr_a2", "firing", 3)]


async def test_a_bug_in_the_adapter_is_a_failed_attempt_and_its_text_is_not_told(store, clock):
    channel = RecordingChannel([ValueError("https://hooks.example/CANARY")])
    store.owe(row("firing", entry()))
    clock.pass_(WAIT)

    with capture_logs() as logs:
        await deliver_once(store, channel, clock)

    assert store.groups["ops", "ops-g1"].group.why == "bug in the adapter: ValueError"
    assert "delivery.bug" in {line["event"] for line in logs}
    assert "CANARY" not in str(logs)


async def test_a_store_that_does_not_answer_costs_a_lease_and_nothing_else(store, clock, monkeypatch):
    async def down(*args):
        raise StoreUnavailable

    channel = RecordingChannel()
    store.owe(row("firing", entry()))
    clock.pass_(WAIT)
    with monkeypatch.context() as patched:
        patched.setattr(store, "settle", down)
        await deliver_once(store, channel, clock)
    clock.pass_(LEASE)
    await deliver_once(store, channel, clock)

    assert channel.arrived[0] == channel.arrived[1]
    assert len(channel.arrived) == 2


async def test_an_adapter_that_hangs_is_cut_off_within_the_lease(store, clock):
    class Hanging:
        async def send(self, message, now):
            await asyncio.sleep(3600)

    store.owe(row("firing", entry()))
    clock.pass_(WAIT)
    deliver_grace, deliver.GRACE = deliver.GRACE, timedelta(0)
    try:
        await deliver_once(store, Hanging(), clock, timeout=timedelta(milliseconds=10))
    finally:
        deliver.GRACE = deliver_grace

    assert store.groups["ops", "ops-g1"].group.why == "no answer in time"


async def test_every_attempt_is_observed(store, clock):
    seen = []
    channel = RecordingChannel([DeliveryDeferred("a"), DeliveryRejected("b", "message")])
    store.owe(row("firing", entry()))
    for _ in range(2):
        clock.pass_(WAIT)
        await deliver_once(store, channel, clock, observe=lambda outcome, message, took: seen.append(outcome))

    assert seen == ["failed", "rejected"]


async def test_a_condition_is_logged_when_it_starts_and_when_it_ends(store, clock):
    channel = RecordingChannel([DeliveryDeferred("down")] * 3)
    store.owe(row("firing", entry()))

    with capture_logs() as logs:
        for _ in range(4):
            clock.pass_(minutes(1))
            await deliver_once(store, channel, clock)

    assert [line["event"] for line in logs] == ["delivery.failing", "delivery.recovered"]


def test_a_test_message_pages_nobody_and_has_an_id_of_its_own():
    one, later = (deliver.test_message("ops", at) for at in (NOON, NOON + seconds(1)))

    assert (one.type, one.alerts) == ("test", ())
    assert one.id != later.id


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Fuse:
    """Blows at the given chance, over store and channel together: two chances a call, before and after."""

    def __init__(self, blow):
        self._blow, self._chances = blow, itertools.count()

    def around(self, thing):
        return _Fused(self, thing)

    def spark(self):
        if next(self._chances) == self._blow:
            raise PowerCut


class _Fused:
    def __init__(self, fuse, thing):
        self._fuse, self._thing = fuse, thing

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self._fuse.spark()
            result = await getattr(self._thing, name)(*args, **kwargs)
            self._fuse.spark()
            return result

        return call


#: What becomes owed, minute by minute.
STORY = (
    [row("firing", entry()), row("firing", entry("b", severity="warning"))],
    [
        row("updated", entry(severity="info")),
        row("event", event_entry("e1")),
        row("event", event_entry("e2")),
    ],
    [row("resolved", entry(status="resolved"))],
    [row("firing", entry(episode=2))],
    [row("resolved", entry(status="resolved", episode=2)), row("resolved", entry("b", "resolved"))],
)
FAILURES = [
    None,
    DeliveryDeferred("down"),
    DeliveryDeferred("down"),
    None,
    DeliveryDeferred("429", seconds(5)),
]


async def run(blow, answers):
    """The story, dying once at chance `blow`. Returns what arrived, and whether it died."""
    clock = FakeClock()
    store, channel, fuse, crashed = FakeDeliveryStore(clock), RecordingChannel(answers), Fuse(blow), False
    for rows in (*STORY, *[[]] * 40):
        store.owe(*rows)
        for _ in range(6):
            clock.pass_(seconds(10))
            try:
                await deliver_once(fuse.around(store), fuse.around(channel), clock)
            except PowerCut:
                crashed, fuse = True, Fuse(None)  # the next process is healthy
    return channel.arrived, crashed, store


@pytest.mark.parametrize("answers", [[], FAILURES], ids=["a healthy channel", "a failing channel"])
async def test_no_crash_loses_what_is_owed(answers):
    owed = {(one, status) for one, status, _ in news_of((await run(None, answers))[0])}
    assert {("alr_b1", "resolved"), ("alr_e1", "event"), ("alr_e2", "event")} <= owed

    for blow in itertools.count():
        arrived, crashed, store = await run(blow, answers)
        if not crashed:
            break
        assert_told_truly(arrived, f"when the power failed at point {blow}")
        assert not store.groups["ops", "ops-g1"].group.open
    assert blow > 40, "the fuse never reached the interesting places"


def assert_told_truly(arrived, when):
    repeats = {}
    for message in arrived:
        assert repeats.setdefault(message.id, message) == message, f"one id with two contents {when}"
    unique = news_of(repeats.values())
    for alert, ends in (
        ("alr_b1", "resolved"),
        ("alr_a2", "resolved"),
        ("alr_e1", "event"),
        ("alr_e2", "event"),
    ):
        assert alert in {one for one, _, _ in unique}, f"{alert} was lost {when}"
        assert [status for one, status, _ in unique if one == alert][-1] == ends, when
    begun = set()
    for alert, status, _ in unique:
        assert status != "resolved" or alert in begun, f"an end before its beginning {when}"
        begun.add(alert)
    events = [alert for alert, status, _ in unique if status == "event"]
    assert sorted(events) == ["alr_e1", "alr_e2"], f"an event under two ids {when}"
