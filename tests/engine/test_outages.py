"""A destination that does not take messages: who is tried meanwhile, what it costs the others, and what comes after."""

import asyncio
import itertools
from collections import Counter
from decimal import Decimal

import pytest

from monitor.engine.deliver import LEASE, TOGETHER_MAX, Destination, tell_safely
from monitor.engine.digest import deliveries
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.channel import FAILING_AFTER
from monitor.store.functions import source
from tests.builders import commit, entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of

DOWN = DeliveryDeferred("HTTP 503")
GONE = DeliveryRejected("HTTP 410", "channel")
GARBLED = DeliveryRejected("HTTP 400 invalid_payload", "message")
NOW, SECOND = seconds(0), seconds(1)
WORST = ("info", "critical", "warning", "info")


class Chat(RecordingChannel):
    """Answers `trouble` as long as there is one; of messages about `poisoned` alerts always."""

    def __init__(self, trouble=None, poisoned=()):
        super().__init__()
        self.trouble, self.poisoned = trouble, poisoned

    async def send(self, message, now):
        about = {one.entry.id for one in message.alerts}
        trouble = DOWN if about & set(self.poisoned) else self.trouble
        self.answers = [trouble] if trouble else []
        return await super().send(message, now)


class Throttling(RecordingChannel):
    """Takes one message a second, and says 429 to all others."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.free_at = clock, clock()

    async def send(self, message, now):
        late = self.clock() < self.free_at
        self.answers = [DeliveryDeferred("HTTP 429", seconds(2))] if late else []
        self.free_at = self.free_at if late else self.clock() + SECOND
        return await super().send(message, now)


async def owe(store, clock, *rows, account="hot"):
    await store.poll_now("casino", account)
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load(account)
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(6_000)) == "written"
    await store.move(account)


def begins(name, **changes):
    return row("firing", entry(name, **changes), target(group=f"g-{name}", wait=NOW))


def ends(name, **changes):
    return row("resolved", entry(name, "resolved", **changes), target(group=f"g-{name}", wait=NOW))


async def deliver(store, clock, chat, name="ops", limit=20):
    """Everything that may be told now; returns how many groups were tried."""
    tried = 0
    while groups := await store.claim_groups(name, limit, LEASE):
        tried += len(groups)
        await asyncio.gather(*(tell_safely(store, Destination(name, chat), group, clock) for group in groups))
    return tried


async def live(store, clock, chat, time, step=SECOND, name="ops"):
    """Let time pass, delivering all the while; returns how many groups were tried, and when."""
    began, tried = clock(), []
    while clock() < began + time:
        clock.pass_(step)
        tried += [clock() - began] * await deliver(store, clock, chat, name)
    return tried


async def health(store, channel="ops"):
    return (await store.channel_health([channel]))[channel]


async def test_case_40_after_an_hour_the_chat_hears_the_present_state_once_and_every_event(store, clock):
    chat, other = Chat(DOWN), Chat()
    await owe(store, clock, *(begins(name) for name in "abc"), row("firing", entry("a"), target("other", wait=NOW)))
    await live(store, clock, chat, minutes(20))
    # a ends; b ends and begins again; c gets worse, and worse; d begins and ends unheard; two movements of e
    await owe(store, clock, ends("a"), ends("b"), begins("b", episode=2))
    for value in map(Decimal, ("30", "20", "10")):
        await owe(store, clock, row("updated", entry("c", value=value), target(group="g-c", wait=NOW)))
    await owe(store, clock, begins("d"))
    await live(store, clock, chat, minutes(20))
    await owe(store, clock, ends("d"))
    moved = [row("event", event_entry(name), target(group="g-e", wait=NOW)) for name in ("e1", "e2")]
    await owe(store, clock, *moved)
    await live(store, clock, chat, minutes(20))
    assert (chat.arrived, (await health(store)).state) == ([], "failing")

    chat.trouble = None
    tried = await live(store, clock, chat, minutes(11))

    told = {message.alerts[0].entry.id: message for message in chat.arrived}
    assert len(told) == len(chat.arrived) == 5, "one message of each group"
    assert len(set(tried[1:])) == 1, "all at once after the one that was tried"
    assert news_of([told["alr_a1"]]) == [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)]
    assert news_of([told["alr_b1"]])[-1] == ("alr_b2", "firing", 3)
    assert [str(one.entry.value) for one in told["alr_c1"].alerts] == ["10"]
    assert news_of([told["alr_d1"]]) == [("alr_d1", "firing", 1), ("alr_d1", "resolved", 2)]
    [both] = [message for message in chat.arrived if message.type == "alert.event"]
    assert len(both.alerts) == 2
    assert await live(store, clock, chat, minutes(60)) == [], "and nothing after that"
    assert await deliver(store, clock, other, "other") == 1, "another channel has nothing to do with it"


async def test_a_channel_that_fails_is_tried_with_one_message_ever_more_seldom(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(str(number)) for number in range(30)))

    at_once = await deliver(store, clock, chat, limit=5)
    tried = await live(store, clock, chat, minutes(180))

    assert at_once == 5, "what is on its way is on its way"
    gaps = [later - sooner for sooner, later in itertools.pairwise([NOW, *tried])]
    assert gaps[0] <= seconds(6)
    assert all(gap <= minutes(10) + seconds(1) for gap in gaps)
    assert all(gap == minutes(10) for gap in gaps[-3:])
    assert len(gaps) < 30


async def test_who_waits_for_the_channel_is_not_worn_out_by_it(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(str(number)) for number in range(400)))
    await deliver(store, clock, chat, limit=4)
    await live(store, clock, chat, minutes(25 * 60), step=seconds(30))

    untouched = await store._calls.command("ZCARD", "{bm:c:ops}:due") - await store._calls.command(
        "ZCARD", "{bm:c:ops}:failing"
    )
    assert untouched > 200
    assert await store.count_dead("ops") <= 8, "what was tried for a whole day is given up, as ever"
    chat.trouble = None
    await live(store, clock, chat, minutes(11))
    assert len({one[0] for one in news_of(chat.arrived)}) > 390


async def test_one_failing_group_is_tried_long_before_its_own_hourly_step(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, begins("a"))
    await live(store, clock, chat, minutes(300))

    chat.trouble = None
    await live(store, clock, chat, minutes(10))

    assert news_of(chat.arrived) == [("alr_a1", "firing", 1)]


@pytest.mark.parametrize("trouble", [DOWN, GONE], ids=["failing", "refused"])
async def test_a_person_who_mended_it_waits_for_nothing(store, clock, trouble):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(name) for name in "abcdefgh"))
    await deliver(store, clock, chat, limit=2)
    chat.trouble = trouble
    await live(store, clock, chat, minutes(60))
    left = 8 - await store.count_dead("ops")

    chat.trouble = None
    assert await deliver(store, clock, chat) == 0
    await store.try_now("ops")

    assert await deliver(store, clock, chat) == left
    assert (await health(store)).state == "ok"


async def test_a_message_that_alone_fails_neither_opens_the_breaker_nor_holds_up_others(store, clock):
    chat = Chat(poisoned={"alr_a1"})
    await owe(store, clock, begins("a", severity="critical"))
    tried = []
    for number in range(40):
        await owe(store, clock, begins(f"x{number}", severity="info"))
        tried += await live(store, clock, chat, seconds(20))

    assert len(chat.arrived) == 40
    assert (await health(store)).state == "ok"


async def test_a_message_that_alone_fails_does_not_keep_a_channel_closed(store, clock):
    chat = Chat(poisoned={"alr_a1"})
    await owe(store, clock, begins("a", severity="critical"))
    await live(store, clock, chat, minutes(30))
    assert (await health(store)).state == "failing", "nothing else was sent, so nobody can know"

    await owe(store, clock, *(begins(f"x{number}", severity="info") for number in range(5)))
    await live(store, clock, chat, minutes(20))

    assert len(chat.arrived) == 5


async def test_a_few_failures_among_many_successes_change_nothing(store, clock):
    chat = Chat()
    for number in range(200):
        chat.trouble = DOWN if number % 20 in (0, 1) else None
        await owe(store, clock, begins(f"x{number}"))
        await deliver(store, clock, chat)
        chat.trouble = None
        clock.pass_(seconds(7))
        await deliver(store, clock, chat)
        assert (await health(store)).state == "ok"
        assert (await health(store)).next_try_at is None

    assert len(chat.arrived) == 200


async def test_a_message_that_is_refused_says_nothing_against_the_channel(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(name) for name in "abc"))
    await deliver(store, clock, chat)
    chat.trouble = GARBLED
    await owe(store, clock, begins("d"))
    await deliver(store, clock, chat)

    found = await health(store)
    assert (found.row, found.dead, found.state) == (0, 1, "failing")
    assert found.why == "HTTP 400 invalid_payload"
    chat.trouble = None
    clock.pass_(seconds(2))
    await deliver(store, clock, chat)
    found = await health(store)
    assert (found.row, found.dead, found.state, found.why, found.since) == (0, 0, "ok", "", None)
    assert found.ok_at == clock()


async def test_a_channel_that_refuses_us_costs_a_message_every_ten_minutes_and_keeps_the_others(store, clock):
    chat = Chat(GONE)
    await owe(store, clock, *(begins(str(number)) for number in range(10)))
    await deliver(store, clock, chat, limit=1)
    tried = await live(store, clock, chat, minutes(21))

    assert tried == [minutes(10), minutes(20)]
    found = await health(store)
    assert (found.state, found.dead, found.waiting, found.why) == ("paused", 3, 7, "HTTP 410")
    chat.trouble = None
    await live(store, clock, chat, minutes(10))
    assert len(chat.arrived) == 7


async def test_a_process_that_dies_while_it_tries_leaves_the_next_try_to_others(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(str(number)) for number in range(8)))
    await deliver(store, clock, chat, limit=4)
    clock.pass_(seconds(6))
    [dying] = await store.claim_groups("ops", 20, LEASE)
    clock.pass_(seconds(29))
    assert await store.claim_groups("ops", 20, LEASE) == ()

    clock.pass_(seconds(1))
    [next_one] = await store.claim_groups("ops", 20, LEASE)

    assert next_one.id == dying.id, "the lease that ended comes first"


async def test_a_group_that_has_nothing_to_tell_is_no_try(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(str(number)) for number in range(8)))
    await deliver(store, clock, chat, limit=4)
    clock.pass_(seconds(6))
    [idle] = await store.claim_groups("ops", 20, LEASE)
    await store.defer(idle, clock() + minutes(5))

    assert len(await store.claim_groups("ops", 20, LEASE)) == 1


async def test_case_41_a_429_is_waited_out_to_the_second_by_its_channel_alone_and_criticals_go_first(store, clock):
    chat, other = Chat(), Chat()
    names = [f"i{number}" for number in range(10)]
    await owe(store, clock, *(begins(name, severity="info") for name in names))
    await owe(store, clock, row("firing", entry("z"), target("other", wait=NOW)))
    chat.trouble = DeliveryDeferred("HTTP 429", seconds(30))
    [first] = await store.claim_groups("ops", 1, LEASE)
    await tell_safely(store, Destination("ops", chat), first, clock)
    clock.pass_(seconds(10))
    await owe(store, clock, begins("late", severity="critical"), begins("meanwhile"))
    chat.trouble = None

    assert await deliver(store, clock, other, "other") == 1, "no other channel minds"
    assert await live(store, clock, chat, seconds(19)) == []
    clock.pass_(seconds(0.999))
    assert await deliver(store, clock, chat) == 0
    clock.pass_(seconds(0.001))
    assert await deliver(store, clock, chat) == 12, "nothing is dropped"
    told = [one for one, _, _ in news_of(chat.arrived)]
    assert told[:2] == ["alr_late1", "alr_meanwhile1"]
    assert sorted(told[2:]) == sorted(f"alr_{name}1" for name in names)


async def test_case_41_what_was_on_its_way_when_a_429_came_counts_as_one_failure(store, clock):
    chat = Chat(DeliveryDeferred("HTTP 429", seconds(30)))
    await owe(store, clock, *(begins(str(number)) for number in range(20)))

    assert await deliver(store, clock, chat) == 20
    found = await health(store)

    assert (found.row, found.state, found.paused_until) == (1, "ok", clock() + seconds(30))
    chat.trouble = None
    assert len(await live(store, clock, chat, seconds(31))) == 20


async def test_a_destination_that_asks_again_and_again_and_takes_nothing_is_failing(store, clock):
    chat = Chat(DeliveryDeferred("HTTP 429", seconds(1)))
    await owe(store, clock, *(begins(str(number)) for number in range(20)))

    tried = await live(store, clock, chat, minutes(60))

    assert (await health(store)).state == "failing"
    assert len(tried) < 100


async def storm(store, clock, chat, rate, names, step=SECOND):
    """So many groups begin at once; tell them within a time, second by second. Returns when each message was tried."""
    worst = set(names[::40])
    await owe(store, clock, *(begins(one, severity="critical" if one in worst else "warning") for one in names))
    began, tried, where = clock(), [], Destination("ops", chat)
    while clock() < began + minutes(10) and (not tried or await health_waits(store)):
        before = len(chat.tried)
        while groups := await store.claim_groups("ops", 20, LEASE, rate, TOGETHER_MAX):
            await asyncio.gather(*deliveries(store, where, groups, clock))
        tried += [clock() - began] * (len(chat.tried) - before)
        clock.pass_(step)
    return worst, tried


async def health_waits(store):
    return (await health(store)).waiting


async def test_case_41_a_storm_is_told_in_a_few_dozen_messages_the_criticals_in_the_first_and_none_twice(store, clock):
    chat, names = Chat(), [f"n{number:04}" for number in range(2_000)]

    worst, tried = await storm(store, clock, chat, (1, SECOND), names)

    told = [one.removeprefix("alr_").removesuffix("1") for one, _, _ in news_of(chat.arrived)]
    assert sorted(told) == names, "nothing is dropped and nothing is told twice"
    assert set(told[:50]) == worst
    assert len(tried) <= 60
    assert max(Counter(tried).values()) == 1, "the rate holds"
    assert sorted({one.sequence for message in chat.arrived for one in message.alerts}) == [1]


async def test_case_41_a_chat_that_takes_one_a_second_and_no_rate_is_set_hears_of_a_storm_in_digests(store, clock):
    chat, names = Throttling(clock), [f"n{number:04}" for number in range(600)]

    worst, tried = await storm(store, clock, chat, None, names, seconds(0.5))

    told = [one.removeprefix("alr_").removesuffix("1") for one, _, _ in news_of(chat.arrived)]
    assert sorted(told) == names
    assert worst <= set(told[:70])
    assert len(chat.arrived) < 40
    assert len(tried) - len(chat.arrived) < 60, "refused, of which twenty before it asked for the first pause"


async def test_case_44_of_two_channels_only_the_failed_one_is_told_again(store, clock):
    good, bad = Chat(), Chat(DOWN)
    await owe(store, clock, row("firing", entry(), target("good", wait=NOW), target("bad", wait=NOW)))
    for _ in range(60):
        clock.pass_(minutes(1))
        await deliver(store, clock, good, "good")
        await deliver(store, clock, bad, "bad")
    bad.trouble = None
    await live(store, clock, bad, minutes(11), name="bad")

    assert news_of(good.arrived) == news_of(bad.arrived) == [("alr_a1", "firing", 1)]
    found = await store.channel_health(["good", "bad", "unused"])
    assert [(name, one.state, one.row) for name, one in found.items()] == [
        ("good", "ok", 0), ("bad", "ok", 0), ("unused", "ok", 0),
    ]  # fmt: skip


async def test_case_45_an_end_that_fails_to_arrive_is_tried_until_it_does(store, clock):
    chat = Chat()
    await owe(store, clock, begins("a"))
    await deliver(store, clock, chat)
    chat.trouble = DOWN
    await owe(store, clock, ends("a"))
    await live(store, clock, chat, minutes(200))
    chat.trouble = None
    await live(store, clock, chat, minutes(11))

    assert news_of(chat.arrived) == [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)]
    assert await live(store, clock, chat, minutes(60)) == []


async def test_a_clock_set_back_prolongs_no_outage(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(name) for name in "abcdef"))
    await live(store, clock, chat, minutes(40))
    chat.trouble = None

    clock.pass_(-minutes(24 * 60))
    await live(store, clock, chat, minutes(11))

    assert len(chat.arrived) == 6


def test_both_sides_agree_when_a_channel_is_failing():
    assert f"local FAILING_AFTER = {FAILING_AFTER}\n" in source()


async def test_what_waits_on_its_ladder_when_another_message_arrives_is_tried_at_once(store, clock):
    chat = Chat(DOWN)
    await owe(store, clock, *(begins(name, severity=worst) for name, worst in zip("abcd", WORST, strict=True)))
    await live(store, clock, chat, minutes(60), step=seconds(10))
    await owe(store, clock, begins("x", severity="info"))
    assert (await health(store)).next_try_at is not None
    chat.trouble = None

    tried = await live(store, clock, chat, minutes(11))

    assert len(chat.arrived) == 5
    assert len(set(tried)) == 1, "an hour's ladder is not waited out where the destination takes messages"
    assert "alr_b1" in {told for told, _, _ in news_of(chat.arrived)[:2]}, "the most urgent before the rest"


async def test_a_person_who_mended_it_does_not_wait_for_the_ladder_of_what_failed_alone(store, clock):
    chat = Chat(poisoned=["alr_a1"])
    await owe(store, clock, begins("a"))
    await deliver(store, clock, chat)
    for name in "xyz":
        await live(store, clock, chat, seconds(200))
        await owe(store, clock, begins(name))
        await deliver(store, clock, chat)
    assert ((await health(store)).state, (await health(store)).next_try_at) == ("ok", None)
    chat.poisoned = ()

    await store.try_now("ops")

    assert await deliver(store, clock, chat) == 1
    assert news_of(chat.arrived)[-1][0] == "alr_a1"


async def test_what_was_on_its_way_when_a_channel_was_found_failing_puts_the_next_try_off_no_further(store, clock):
    await owe(store, clock, *(begins(str(number)) for number in range(20)))
    chat = Chat(DOWN)
    on_their_way = await store.claim_groups("ops", 20, LEASE)
    for group in on_their_way[:4]:
        await tell_safely(store, Destination("ops", chat), group, clock)
    first = (await health(store)).next_try_at
    for group in on_their_way[4:]:
        clock.pass_(SECOND / 10)
        await tell_safely(store, Destination("ops", chat), group, clock)

    assert (await health(store)).next_try_at == first


async def test_a_replay_is_tried_at_once_however_the_channel_was(store, clock):
    chat = Chat(GONE)
    await owe(store, clock, begins("a"))
    await deliver(store, clock, chat)
    [dead] = await store.dead_messages("ops")
    chat.trouble = None
    assert (await health(store)).state == "paused"

    assert await store.replay("ops", dead)

    assert await deliver(store, clock, chat) == 1
    assert news_of(chat.arrived) == [("alr_a1", "firing", 1)]
