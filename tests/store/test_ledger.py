"""The log of what was sent, dead letters and their replay, and the stories of alerts, on every store."""

import asyncio
from datetime import timedelta

import pytest

from monitor.engine.deliver import LEASE
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.ledger import DELIVERY_STATES, UNDONE, Mention
from monitor.model.window import moment
from monitor.redact import register
from monitor.store import codec
from monitor.store.keys import ChannelKeys
from monitor.store.session import Keep
from tests.builders import entry, event_entry, failed, message, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of, paused
from tests.post import dead_letters, deliver, owe

OPS = ChannelKeys("ops")
TO = target(wait=seconds(0))
REJECTED, DOWN = DeliveryRejected("HTTP 410: gone", "message"), DeliveryDeferred("HTTP 503")
WEEK = timedelta(days=7)


async def seconds_left(store, key):
    return int(await store._calls.command("TTL", key))


async def tell(store, clock, *rows, answers=(), rounds=1):
    """Owe rows and tell them; returns the channel."""
    channel = RecordingChannel(answers)
    await owe(store, clock, rows)
    for _ in range(rounds):
        await deliver(store, channel, clock)
        clock.pass_(minutes(2))
    return channel


def about(group):
    """A message with all the news of a group."""
    return message(*(item.entry for item in group.news), keys=tuple(item.key for item in group.news))


async def states(store, *wanted, channels=("ops",)):
    found, _ = await store.deliveries(channels, wanted or DELIVERY_STATES, None, 100)
    return [(one.state, one.channel, one.alerts) for one in found]


async def test_what_arrived_says_when_how_and_of_which_alerts(store, clock):
    began = clock()
    channel = await tell(store, clock, row("firing", entry(), TO), row("firing", entry("b"), TO))

    [sent] = await store.notifications_about("alr_b1", ["ops"])
    [attempt] = sent.attempts
    assert (sent.id, sent.channel, sent.type, sent.state) == (channel.arrived[0].id, "ops", "alert.firing", "sent")
    assert sent.alerts == (Mention("alr_a1", "firing", 1), Mention("alr_b1", "firing", 1))
    assert (attempt.at, attempt.outcome, attempt.said, sent.at) == (began, "sent", "ok", began)
    assert await store.notification(sent.id, ["chat", "ops"]) == sent


async def test_every_failed_attempt_is_kept_with_its_reason(store, clock):
    await tell(store, clock, row("firing", entry(), TO), answers=[DOWN, DeliveryDeferred("timeout"), None], rounds=3)

    [sent] = await store.notifications_about("alr_a1", ["ops"])
    assert [(one.outcome, one.said) for one in sent.attempts] == [
        ("failed", "HTTP 503"), ("failed", "timeout"), ("sent", "ok"),
    ]  # fmt: skip
    assert sent.state == "sent"


async def test_a_message_that_was_composed_anew_after_it_failed_is_said_to_be_replaced(store, clock):
    channel = RecordingChannel([DOWN, None])
    await owe(store, clock, [row("firing", entry(), TO)])
    await deliver(store, channel, clock)
    await owe(store, clock, [row("firing", entry("b"), TO)])
    clock.pass_(minutes(2))
    await deliver(store, channel, clock)

    found = await store.notifications_about("alr_a1", ["ops"])
    assert [(one.state, len(one.attempts)) for one in found] == [("replaced", 1), ("sent", 1)]


async def test_logs_expire_and_are_bounded(store, clock):
    await owe(store, clock, [row("firing", entry(), TO)])
    for number in range(60):
        [group] = await store.claim_groups("ops", 1, LEASE)
        frozen = await store.freeze(group, group.telling or about(group))
        await store.postpone(frozen, clock(), failed(str(number)))
        await store.try_now("ops")

    [found] = await store.notifications_about("alr_a1", ["ops"])
    assert (found.tried, [one.said for one in found.attempts]) == (60, [str(number) for number in range(10, 60)])
    for key in (OPS.log(found.id), OPS.about("alr_a1")):
        assert WEEK.total_seconds() - 100 < await seconds_left(store, key) <= WEEK.total_seconds()


async def test_logs_are_not_kept_for_longer_than_history(store, clock):
    store.keep = Keep(age=timedelta(hours=2))
    channel = await tell(store, clock, row("firing", entry(), TO))

    assert 7_100 < await seconds_left(store, OPS.log(channel.arrived[0].id)) <= 7_200


async def test_an_alert_remembers_a_limited_number_of_notifications(store, clock):
    for number in range(205):
        await store._calls.command("ZADD", OPS.about("alr_a1"), number, f"ntf_{number}")
    channel = await tell(store, clock, row("firing", entry(), TO))

    newest = await store._calls.command("ZRANGE", OPS.about("alr_a1"), 0, -1)
    assert newest[-1].decode() == channel.arrived[0].id
    assert newest[0] == b"ntf_1"


async def test_a_receiver_that_echoes_the_url_does_not_make_us_store_it(store, clock):
    url = "https://chat.example/hooks/canary-secret-4711"
    register(url)
    echo = [DeliveryDeferred(f"HTTP 500: no such hook {url}"), DeliveryRejected(f"HTTP 404: {url}", "message")]
    await tell(store, clock, row("firing", entry(), TO), answers=echo, rounds=2)

    stored = [await store._calls.command("DUMP", OPS.log(letter_id)) for letter_id in await store.dead_messages("ops")]
    stored += await store._calls.command("HVALS", OPS.letters)
    stored += await store._calls.command("HVALS", OPS.group("ops-g1"))
    assert stored
    assert not [one for one in stored if b"canary" in one]
    [dead] = (await store.deliveries(["ops"], ["dead"], None, 9))[0]
    assert dead.last_error == "HTTP 404: [redacted]"


async def test_long_answers_are_cut(store, clock):
    await tell(store, clock, row("firing", entry(), TO), answers=[DeliveryDeferred("x" * 5_000)])

    [found] = await store.notifications_about("alr_a1", ["ops"])
    assert found.attempts[0].said == "x" * 300


async def test_deliveries_are_listed_by_what_became_of_them_worst_first(store, clock):
    other = target("chat", wait=seconds(0))
    await tell(store, clock, row("firing", entry("a"), TO))
    await owe(store, clock, [row("firing", entry("b"), target(group="g2", wait=seconds(0)))])
    await deliver(store, RecordingChannel([REJECTED]), clock)
    await owe(store, clock, [row("firing", entry("c"), other)])
    await deliver(store, RecordingChannel([DOWN]), clock, "chat")
    await owe(store, clock, [row("firing", entry("d"), target("chat", group="g9", wait=minutes(5)))])

    assert await states(store, channels=["ops", "chat"]) == [
        ("dead", "ops", ("alr_b1",)),
        ("failing", "chat", ("alr_c1",)),
        ("waiting", "chat", ("alr_d1",)),
        ("sent", "ops", ("alr_a1",)),
    ]
    assert await states(store, *UNDONE) == [("dead", "ops", ("alr_b1",))]
    [failing] = (await store.deliveries(["chat"], ["failing"], None, 9))[0]
    assert (failing.attempts, failing.last_error) == (1, "HTTP 503")
    assert failing.next_at > clock()
    assert failing.notification_id == failing.id


async def test_what_recovers_no_longer_fails(store, clock):
    await tell(store, clock, row("firing", entry(), TO), answers=[DOWN, None], rounds=2)

    assert await states(store) == [("sent", "ops", ("alr_a1",))]


async def test_a_list_of_deliveries_goes_on_where_a_page_ended(store, clock):
    for alert in "abcde":
        await owe(store, clock, [row("firing", entry(alert), target(group=alert, wait=seconds(0)))])
        await deliver(store, RecordingChannel([REJECTED]), clock)
        clock.pass_(seconds(1))
    pages, after = [], None
    while True:
        page, after = await store.deliveries(["ops"], ["dead"], after, 2)
        pages.append([one.alerts[0] for one in page])
        if after is None:
            break

    assert pages == [["alr_e1", "alr_d1"], ["alr_c1", "alr_b1"], ["alr_a1"]]


async def test_dead_letters_are_bounded_and_the_oldest_goes(store, clock):
    [*_] = await asyncio.gather(
        *(store._calls.command("ZADD", OPS.dead, number, f"ntf_{number}") for number in range(1_000))
    )
    await store._calls.command("HSET", OPS.letters, "ntf_0", "{}")
    await tell(store, clock, row("firing", entry(), TO), answers=[REJECTED])

    assert await store.count_dead("ops") == 1_000
    assert (await store.dead_messages("ops"))[0] == "ntf_1"
    assert await store._calls.command("HLEN", OPS.letters) == 1


class TestReplay:
    @pytest.fixture
    async def dead(self, store, clock):
        """The message that died."""
        channel = await tell(store, clock, row("firing", entry(), TO), answers=[REJECTED])
        return channel.tried[0]

    async def test_case_47_a_dead_letter_goes_out_again_as_it_was(self, store, clock, dead):
        [letter] = await dead_letters(store)
        assert await store.find_dead(dead.id, ["chat", "ops"]) == "ops"
        assert await store.replay("ops", dead.id)
        channel = RecordingChannel()
        await deliver(store, channel, clock)

        assert channel.arrived == [dead]
        assert codec.dump(channel.arrived[0]) == bytes(letter.message)
        assert await dead_letters(store) == []
        [found] = await store.notifications_about("alr_a1", ["ops"])
        assert [one.outcome for one in found.attempts] == ["dead", "sent"]

    async def test_nothing_is_told_twice_or_reminded_of_by_it(self, store, clock, dead):
        await store.replay("ops", dead.id)
        channel = RecordingChannel()
        for _ in range(20):
            await deliver(store, channel, clock)
            clock.pass_(minutes(1))

        assert [one.id for one in channel.arrived] == [dead.id]

    async def test_what_dies_again_is_a_dead_letter_again(self, store, clock, dead):
        await store.replay("ops", dead.id)
        await deliver(store, RecordingChannel([REJECTED]), clock)

        [letter] = await dead_letters(store)
        assert (codec.message(letter.message), letter.group) == (dead, "ops-g1")
        assert await store.replay("ops", dead.id)

    async def test_it_climbs_the_ladder_like_any_other(self, store, clock, dead):
        await store.replay("ops", dead.id)
        channel = RecordingChannel([DOWN, DOWN, None])
        for _ in range(3):
            await deliver(store, channel, clock)
            clock.pass_(minutes(1))

        assert channel.tried == [dead] * 3
        assert channel.arrived == [dead]

    async def test_a_paused_channel_is_tried_at_once(self, store, clock, dead):
        await paused(store, clock() + minutes(10))
        await store.replay("ops", dead.id)
        channel = RecordingChannel()
        await deliver(store, channel, clock)

        assert channel.arrived == [dead]

    async def test_of_two_processes_that_replay_the_same_letter_one_does(self, open_store, store, clock, dead):
        other = await open_store()

        answers = await asyncio.gather(store.replay("ops", dead.id), other.replay("ops", dead.id))

        assert sorted(answers) == [False, True]
        channel = RecordingChannel()
        for one in (store, other):
            await deliver(one, channel, clock)
        assert channel.arrived == [dead]

    async def test_what_never_died_is_not_replayed(self, store, clock):
        channel = await tell(store, clock, row("firing", entry(), TO))

        assert await store.find_dead(channel.arrived[0].id, ["ops"]) is None
        assert not await store.replay("ops", channel.arrived[0].id)
        assert not await store.replay("ops", "ntf_unheard_of")

    async def test_what_it_told_is_known_to_the_group_it_died_in(self, store, clock, dead):
        await store.replay("ops", dead.id)
        channel = RecordingChannel()
        await deliver(store, channel, clock)
        clock.pass_(minutes(241))
        await deliver(store, channel, clock)
        await owe(store, clock, [row("resolved", entry(status="resolved"), TO)])
        await deliver(store, channel, clock)

        assert [one.type for one in channel.arrived] == ["alert.firing", "alert.reminder", "alert.resolved"]
        assert news_of(channel.arrived) == [("alr_a1", "firing", 1), ("alr_a1", "firing", 2), ("alr_a1", "resolved", 3)]

    async def test_another_episode_still_begins_with_its_own_beginning(self, store, clock, dead):
        await owe(store, clock, [row("firing", entry(episode=2), TO)])
        await deliver(store, RecordingChannel([REJECTED]), clock)
        clock.pass_(minutes(2))
        await store.replay("ops", dead.id)
        channel = RecordingChannel()
        await deliver(store, channel, clock)
        await owe(store, clock, [row("resolved", entry(status="resolved", episode=2), TO)])
        clock.pass_(minutes(2))
        await deliver(store, channel, clock)

        assert [status for name, status, _ in news_of(channel.arrived) if name == "alr_a2"] == ["firing", "resolved"]

    async def test_its_group_is_forgotten_when_it_is_over(self, store, clock, dead):
        await store.replay("ops", dead.id)
        await deliver(store, RecordingChannel(), clock)
        clock.pass_(timedelta(hours=1, seconds=1))

        await store.tidy("ops")

        assert await store._calls.command("EXISTS", OPS.group(f"replay-{dead.id}")) == 0

    async def test_a_crash_in_it_repeats_the_message_under_its_id(self, store, clock, dead):
        await store.replay("ops", dead.id)
        [group] = await store.claim_groups("ops", 20, LEASE)
        await store.freeze(group, group.telling)
        clock.pass_(LEASE + seconds(1))
        channel = RecordingChannel()
        await deliver(store, channel, clock)

        assert channel.arrived == [dead]


class TestStories:
    async def test_each_row_is_a_chapter_with_whom_it_was_owed(self, store, clock):
        began = clock()
        await owe(store, clock, [row("firing", entry(), TO, target("chat"))])
        clock.pass_(minutes(1))
        await owe(store, clock, [row("resolved", entry(status="resolved", reason="recovered"), TO)])

        first, last = await store.story("alr_a1")
        assert (first.at, first.chapter.what, first.chapter.owed) == (
            began, "firing", (("ops", "ops-g1"), ("chat", "chat-g1")),
        )  # fmt: skip
        assert (last.at, last.chapter.what, last.chapter.reason) == (clock(), "resolved", "recovered")
        assert moment(first.version) == began

    async def test_it_tells_whether_a_channel_has_yet_to_hear(self, store, clock):
        await owe(store, clock, [row("event", event_entry(), TO)])
        [told] = await store.story(event_entry().id)
        before = await store.waits("ops", "ops-g1", [told.key])
        await deliver(store, RecordingChannel(), clock)

        assert (before, await store.waits("ops", "ops-g1", [told.key])) == (True, False)

    async def test_stories_are_bounded_and_keep_how_they_began(self, store, clock):
        for number in range(205):
            await owe(store, clock, [row("updated" if number else "firing", entry(value=str(number)), TO)])
            clock.pass_(seconds(1))

        story = await store.story("alr_a1")
        assert len(story) == 200
        assert [str(one.chapter.value) for one in (story[0], story[1], story[2], story[-1])] == ["0", "1", "7", "204"]

    async def test_stories_expire_with_history(self, store, clock):
        await owe(store, clock, [row("firing", entry(), TO)])

        left = await seconds_left(store, store.partition("hot").story("alr_a1"))
        assert timedelta(days=30).total_seconds() - 100 < left <= timedelta(days=30).total_seconds()

    async def test_an_alert_nobody_heard_of_has_none(self, store):
        assert await store.story("alr_nobody") == ()
