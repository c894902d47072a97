"""What goes out as one message where more is due than a channel takes, and what becomes of each group of it."""

import asyncio
from dataclasses import replace

import pytest

from monitor.engine.deliver import LEASE, TOGETHER_MAX, Destination
from monitor.engine.digest import choose, deliveries, dissolved, whole
from monitor.engine.suppress import Suppressor
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.digest import Dissolved, Part
from monitor.model.group import MESSAGE_MAX, Hush
from tests.builders import NOON, entry, group, message, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of
from tests.post import dead_letters, owe
from tests.store.test_digests import ONE_A_SECOND, begin, to

RATE = (5, seconds(1))


class Picky(RecordingChannel):
    """Refuses whatever tells of one alert."""

    def __init__(self, poisoned, error):
        super().__init__()
        self.poisoned, self.error = poisoned, error

    async def send(self, told, now):
        self.answers = [self.error] if any(one.entry.id == self.poisoned for one in told.alerts) else []
        return await super().send(told, now)


async def live(store, clock, chat, time, rate=RATE, **settings):
    """Let time pass, telling all the while."""
    where, until = Destination("ops", chat, **settings), clock() + time
    while clock() < until:
        while groups := await store.claim_groups("ops", 20, LEASE, rate, where.together):
            await asyncio.gather(*deliveries(store, where, groups, clock))
        clock.pass_(seconds(1.02))


def part(name, *entries, kind="alert.firing", due=0.0):
    labels = {"rule": "Low", "account": name}
    said = message(*entries, id=f"ntf_{name}", kind=kind, labels=labels)
    return Part(group(id=name, due_at=NOON + seconds(due), labels=labels), said)


def names(parts):
    return [one.group.id for one in parts]


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        pytest.param(
            [part("a", entry("a", severity="info")), part("b", entry("b")), part("c", entry("c", severity="warning"))],
            ["b", "c", "a"],
            id="the worst first",
        ),
        pytest.param([part("a", entry("a"), due=2), part("b", entry("b"), due=1)], ["b", "a"], id="then the oldest"),
        pytest.param(
            [part("a", entry("a", "resolved"), kind="alert.resolved"), part("b", entry("b", severity="info"))],
            ["b"],
            id="what is wrong before what is over",
        ),
        pytest.param(
            [part("a", entry("a", severity="info")), part("b", entry("b"), kind="alert.updated")],
            ["b"],
            id="and what is worse before what is new",
        ),
        pytest.param(
            [
                part("a", *(entry(f"a{n}") for n in range(MESSAGE_MAX - 1))),
                part("b", entry("b1"), entry("b2"), due=1),
                part("c", entry("c"), due=2),
            ],
            ["a", "c"],
            id="whole groups only, as many alerts as fit into a message",
        ),
        pytest.param([part("a", entry("x")), part("b", entry("x"), due=1)], ["a"], id="no alert is in there twice"),
        pytest.param([], [], id="nothing of nothing"),
    ],
)
def test_what_goes_together(parts, chosen):
    assert names(choose(parts)) == chosen


def test_the_whole_has_the_labels_that_all_share_and_counts_what_all_leave_out():
    parts = [part("a", entry("a"), entry("b")), part("c", entry("c"))]
    parts = [one._replace(message=replace(one.message, truncated=3, keys=("k",))) for one in parts]

    it = whole(parts, NOON)

    assert (it.labels, it.truncated, it.keys, it.type) == ({"rule": "Low"}, 6, (), "alert.firing")
    assert [one.entry.id for one in it.alerts] == ["alr_a1", "alr_b1", "alr_c1"]
    newer = [parts[0], parts[1]._replace(group=replace(parts[1].group, version=9))]
    assert it.id == whole(parts[::-1], NOON).id != whole(newer, NOON).id


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(DeliveryDeferred("429", seconds(7)), Dissolved("g", NOON + seconds(7)), id="after the pause"),
        pytest.param(
            DeliveryRejected("400", "message"), Dissolved("g", NOON, counted=False, alone=True), id="each by itself"
        ),
        pytest.param(DeliveryRejected("410", "channel"), Dissolved("g", NOON, counted=False), id="when it is mended"),
    ],
)
def test_what_becomes_of_a_member_of_one_that_fails(error, expected):
    assert dissolved(group(id="g"), error, NOON, "seed") == expected


def test_the_last_try_of_a_member_is_its_own():
    tired = group(id="g", attempts=40, failing_since=NOON - minutes(60 * 24))

    assert dissolved(tired, DeliveryDeferred("down"), NOON, "seed") == Dissolved("g", NOON, alone=True)


async def test_one_group_that_breaks_whoever_looks_at_it_keeps_no_other_from_being_told(store, clock):
    chat = RecordingChannel()

    class Broken(Suppressor):
        async def __call__(self, group, now):
            assert group.id != "g-w07"
            return group

    await begin(store, clock, 30)
    await live(store, clock, chat, seconds(5), ONE_A_SECOND, suppress=Broken())
    broken_for = [len(one.alerts) for one in chat.arrived]
    await live(store, clock, chat, minutes(1), ONE_A_SECOND)

    assert broken_for == [29]
    assert news_of(chat.arrived[1:]) == [("alr_w071", "firing", 1)]


async def test_one_alert_that_no_message_gets_through_with_holds_up_the_others_for_two_tries(store, clock):
    chat = Picky("alr_w071", DeliveryDeferred("bug in the adapter"))
    await begin(store, clock, 30)

    await live(store, clock, chat, minutes(2))

    assert [len(one.alerts) for one in chat.tried if len(one.alerts) > 1] == [30, 30]
    assert len(chat.arrived) == 29


async def test_a_message_that_is_refused_for_what_it_says_costs_nobody_else_their_news(store, clock):
    chat = Picky("alr_w071", DeliveryRejected("HTTP 400", "message"))
    await begin(store, clock, 30)

    await live(store, clock, chat, seconds(20))

    assert [len(one.alerts) for one in chat.tried] == [30] + [1] * 30
    assert len(chat.arrived) == 29
    [dead] = await dead_letters(store)
    assert (dead.group, dead.why) == ("g-w07", "HTTP 400")
    chat.poisoned = ""
    [name] = await store.dead_messages("ops")
    assert await store.replay("ops", name)
    await live(store, clock, chat, seconds(5))
    assert news_of(chat.arrived[-1:]) == [("alr_w071", "firing", 1)]
    # What was refused once is no reason to be told by itself for ever.
    await begin(store, clock, 30, status="resolved")
    await live(store, clock, chat, seconds(5))
    assert max(len(one.alerts) for one in chat.arrived) > 20


async def test_a_channel_that_refuses_us_loses_no_more_of_a_digest_than_of_anything(store, clock):
    chat = Picky("alr_w071", DeliveryRejected("HTTP 410", "channel"))
    await begin(store, clock, 30)

    await live(store, clock, chat, seconds(20))

    assert (len(chat.tried), await store.count_dead("ops")) == (1, 0)
    [found] = (await store.channel_health(["ops"])).values()
    assert (found.state, found.waiting) == ("paused", 30)


async def test_a_dead_letter_that_goes_out_again_is_in_no_digest(store, clock):
    chat = Picky("alr_c001", DeliveryRejected("HTTP 400", "message"))
    await begin(store, clock, 1, "critical")
    await live(store, clock, chat, seconds(1))
    [name] = await store.dead_messages("ops")
    chat.poisoned = ""
    await begin(store, clock, 30)
    await store.replay("ops", name)

    await live(store, clock, chat, seconds(9), ONE_A_SECOND)

    assert sorted(len(one.alerts) for one in chat.arrived) == [1, 30]
    assert name in [one.id for one in chat.arrived]


async def test_what_is_suppressed_is_in_no_digest_and_uses_up_nothing(store, clock):
    chat = RecordingChannel()

    async def quiet(_group, entries, now):
        hush = Hush("silenced", NOON, NOON + minutes(1), "maria")
        return dict.fromkeys((one.id for one in entries), hush) if now < NOON + minutes(1) else {}

    await begin(store, clock, 30)
    await live(store, clock, chat, seconds(1), ONE_A_SECOND, suppress=Suppressor((quiet,)))
    assert chat.tried == []
    assert await store._calls.command("HVALS", "{bm:c:ops}:rate") in ([], [b"0"])

    await live(store, clock, chat, minutes(2), ONE_A_SECOND, suppress=Suppressor((quiet,)))

    [told] = chat.arrived
    assert len(told.alerts) == 30
    assert all("silenced since" in one.entry.annotations["caveat"] for one in told.alerts)
    assert await store._calls.command("HLEN", "{bm:c:ops}:hushed") == 0


async def test_reminders_go_together_with_what_is_known_now(store, clock):
    chat = RecordingChannel()

    async def afresh(entries):
        return [replace(one, value=None) for one in entries]

    thirty = [f"w{number:02}" for number in range(30)]
    rows = [row("firing", entry(one), replace(to(one), repeat=minutes(5))) for one in thirty]
    await owe(store, clock, rows)
    await live(store, clock, chat, minutes(6), afresh=afresh)

    first, second = chat.arrived
    assert (first.type, second.type, len(second.alerts)) == ("alert.firing", "alert.reminder", 30)
    assert {(one.sequence, one.entry.value) for one in second.alerts} == {(2, None)}


async def test_an_alert_store_gets_every_group_by_itself(store, clock):
    chat = RecordingChannel()
    await begin(store, clock, 30)

    await live(store, clock, chat, seconds(9), together=0)

    assert [len(one.alerts) for one in chat.arrived] == [1] * 30


async def test_what_two_groups_tell_of_the_same_alert_is_told_by_both(store, clock):
    chat = RecordingChannel()
    both = [row("firing", entry(f"n{n}"), to(f"n{n}"), target(group=f"h-n{n}", wait=seconds(0))) for n in range(25)]
    await owe(store, clock, both)

    await live(store, clock, chat, seconds(9), ONE_A_SECOND)

    assert sorted(news_of(chat.arrived)) == sorted(2 * [(f"alr_n{n}1", "firing", 1) for n in range(25)])
    assert all(len({one.entry.id for one in told.alerts}) == len(told.alerts) for told in chat.arrived)
    assert TOGETHER_MAX == 50


async def test_what_is_left_for_later_gives_nothing_back_to_the_rate(store, clock):
    chat = RecordingChannel()

    async def quiet(_group, entries, now):
        hush = Hush("silenced", NOON, NOON + minutes(1), "maria")
        return {one.id: hush for one in entries if one.id.startswith("alr_w0")}

    await begin(store, clock, 40)
    await begin(store, clock, 40, "info")
    began = clock()

    await live(store, clock, chat, seconds(3), ONE_A_SECOND, suppress=Suppressor((quiet,)))

    times = [one.at - began for one in chat.arrived]
    assert len(times) == len(set(times)) > 1


async def test_a_failure_counts_for_all_also_for_those_that_are_left_for_later_and_a_success_mends_the_channel(
    store, clock
):
    chat = RecordingChannel([DeliveryDeferred("HTTP 503")])
    await begin(store, clock, 30)
    await live(store, clock, chat, seconds(0.5), ONE_A_SECOND)
    ended = [f"w{number:02}" for number in range(20, 30)]
    await owe(store, clock, [row("resolved", entry(one, "resolved"), to(one)) for one in ended], "ends")
    failing = await store.channel_health(["ops"])
    clock.pass_(seconds(1))

    groups = await store.claim_groups("ops", 20, LEASE, ONE_A_SECOND, TOGETHER_MAX)
    await asyncio.gather(*deliveries(store, Destination("ops", chat), groups, clock))

    assert (failing["ops"].row, (await store.channel_health(["ops"]))["ops"].row) == (1, 0)
    assert [len(one.alerts) for one in chat.arrived] == [20]
    attempts = [await store._calls.command("HGET", f"{{bm:c:ops}}:group:g-{one}", "attempts") for one in ended]
    assert attempts == [b"1"] * 10
    await live(store, clock, chat, minutes(1))
    assert len(news_of(chat.arrived)) == 20 + 2 * 10
