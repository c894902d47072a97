"""Groups: when they are due, and what freezing, settling and failing leave behind."""

import pytest

from monitor.model.group import NEWS_READ_MAX, Told
from monitor.model.window import micros, moment
from monitor.store import codec
from monitor.store.keys import ChannelKeys
from monitor.store.moving import group_keys
from tests import post
from tests.builders import commit, entry, failed, message, minutes, row, seconds, target
from tests.fakes import paused
from tests.post import dead_letters

LEASE = seconds(30)
WAIT, INTERVAL, REPEAT = seconds(10), minutes(1), minutes(240)


async def owe(store, clock, *rows):
    """One poll that owes these rows, moved to their groups."""
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(600)) == "written"
    await store.move("hot")


async def firing(store, clock, alert="a", **timings):
    await owe(store, clock, row("firing", entry(alert), target(**timings)))


async def resolved(store, clock, alert="a", **timings):
    await owe(store, clock, row("resolved", entry(alert, "resolved"), target(**timings)))


async def one(store, channel="ops"):
    """The group that is due, leased; None when there is none."""
    groups = await store.claim_groups(channel, 10, LEASE)
    assert len(groups) <= 1
    return groups[0] if groups else None


def about(group, name="ntf_1"):
    """A message with all the news of a group."""
    return message(*(item.entry for item in group.news), id=name, keys=tuple(item.key for item in group.news))


def knows(group, clock):
    """What the channel knows once that message arrived."""
    return {
        item.entry.fingerprint: None if item.news in ("resolved", "event") else Told(item.entry, 1, clock())
        for item in group.news
    }


async def tell(store, clock, due_at="repeat"):
    """Claim, freeze and settle the group that is due."""
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    told = knows(group, clock)
    open_left = any(told.values())
    due = clock() + REPEAT if due_at == "repeat" and open_left else None
    assert await store.settle(frozen, told, due)
    return group


async def due_in(store, clock):
    """How long until the group is due; None when it is not by itself."""
    due = await store._calls.command("ZRANGE", "{bm:c:ops}:due", 0, -1, "WITHSCORES")
    return moment(int(due[1])) - clock() if due else None


def kinds(group):
    return [(item.news, item.entry.id) for item in group.news]


async def test_a_new_group_waits_for_company(store, clock):
    await firing(store, clock)
    early = await one(store)
    clock.pass_(WAIT)
    group = await one(store)

    assert early is None
    assert kinds(group) == [("firing", "alr_a1")]
    assert (group.waiting, group.open, group.telling, group.failed, group.attempts) == (1, {}, None, False, 0)
    assert (group.labels, group.interval, group.repeat) == ({"rule": "HotWalletLow"}, INTERVAL, REPEAT)


async def test_company_does_not_make_a_new_group_wait_longer(store, clock):
    await firing(store, clock, "a")
    clock.pass_(seconds(7))
    await firing(store, clock, "b")

    assert await due_in(store, clock) == seconds(3)


async def test_company_does_not_cut_the_wait_short_either(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    await tell(store, clock)
    await resolved(store, clock, "a")
    await tell(store, clock)
    clock.pass_(minutes(60))
    await firing(store, clock, "a")
    clock.pass_(seconds(2))

    await firing(store, clock, "b")

    assert await due_in(store, clock) == WAIT - seconds(2)


async def test_an_alert_that_fires_and_resolves_within_the_wait_is_told_at_its_end(store, clock):
    await firing(store, clock)
    await resolved(store, clock)

    assert await due_in(store, clock) == WAIT


async def test_later_news_come_an_interval_after_the_last_message(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    await tell(store, clock)
    clock.pass_(seconds(20))

    await firing(store, clock, "b", wait=seconds(0))

    assert await due_in(store, clock) == INTERVAL - seconds(20)


async def test_news_after_a_quiet_interval_come_at_once(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    await tell(store, clock)
    clock.pass_(minutes(5))

    await firing(store, clock, "b")

    assert await due_in(store, clock) == seconds(0)


async def test_case_46_a_group_whose_last_alert_resolves_is_told_at_once(store, clock):
    await firing(store, clock, "a")
    await firing(store, clock, "b")
    clock.pass_(WAIT)
    await tell(store, clock)

    await resolved(store, clock, "a")
    with_one_left = await due_in(store, clock)
    await resolved(store, clock, "b")

    assert with_one_left == INTERVAL
    assert await due_in(store, clock) == seconds(0)


async def test_a_group_that_was_told_everything_starts_anew_with_its_wait(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    await tell(store, clock)
    await resolved(store, clock)
    await tell(store, clock)

    await firing(store, clock)

    assert await due_in(store, clock) == WAIT


async def test_events_keep_the_interval_while_others_are_untold(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    await tell(store, clock)

    await owe(store, clock, row("event", entry("e", "event"), target(wait=seconds(0))))

    assert await due_in(store, clock) == INTERVAL


async def test_news_that_come_while_a_message_is_on_its_way_follow_after_the_interval(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await firing(store, clock, "b")
    leased = await one(store)
    await store.settle(frozen, knows(group, clock), clock() + REPEAT)

    assert leased is None
    assert await due_in(store, clock) == INTERVAL
    clock.pass_(INTERVAL)
    following = await one(store)
    assert kinds(following) == [("firing", "alr_b1")]
    assert following.open == knows(group, lambda: clock() - INTERVAL)


async def test_the_last_resolve_that_comes_while_a_message_is_on_its_way_follows_at_once(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await resolved(store, clock)
    meanwhile = await one(store)
    await store.settle(frozen, knows(group, clock), clock() + REPEAT)

    assert meanwhile is None
    assert kinds(await one(store)) == [("resolved", "alr_a1")]


async def test_a_crash_after_freezing_shows_the_frozen_message_even_if_news_came(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    group = await one(store)
    sent = about(group)
    await store.freeze(group, sent)
    await firing(store, clock, "b")

    clock.pass_(LEASE)
    again = await one(store)

    assert again.telling == sent
    assert not again.failed
    refrozen = await store.freeze(again, sent)
    await store.settle(refrozen, knows(group, clock), clock() + REPEAT)
    clock.pass_(INTERVAL)
    assert kinds(await one(store)) == [("firing", "alr_b1")]


async def test_a_failed_message_puts_its_news_back_in_front_and_counts(store, clock):
    await firing(store, clock, "a")
    await firing(store, clock, "b")
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await firing(store, clock, "c")
    await store.postpone(frozen, clock() + seconds(5), failed("HTTP 503"))
    failed_at = clock()

    early = await one(store)
    clock.pass_(seconds(5))
    again = await one(store)

    assert early is None
    assert kinds(again) == [("firing", f"alr_{alert}1") for alert in "abc"]
    assert (again.telling, again.failed, again.attempts) == (frozen.telling, True, 1)
    assert (again.failing_since, again.why) == (failed_at, "HTTP 503")


async def test_news_do_not_hurry_the_ladder_of_a_failing_channel(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await store.postpone(frozen, clock() + minutes(30), failed("HTTP 503"))

    await firing(store, clock, "b")
    await resolved(store, clock, "a")
    await resolved(store, clock, "b")

    assert await due_in(store, clock) == minutes(30)


async def test_attempts_are_counted_from_the_first_failure_and_forgotten_by_a_success(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)
    since = clock()
    for attempt in (1, 2, 3):
        frozen = await store.freeze(group, about(group))
        await store.postpone(frozen, clock() + seconds(1), failed("timeout"))
        clock.pass_(seconds(1))
        group = await one(store)
        assert (group.attempts, group.failing_since) == (attempt, since)
    frozen = await store.freeze(group, about(group))
    await store.settle(frozen, knows(group, clock), clock())
    group = await one(store)

    assert (group.attempts, group.failing_since, group.why, group.telling) == (0, None, "", None)


async def test_a_message_composed_anew_leaves_out_nothing_it_replaces(store, clock):
    await firing(store, clock, "a")
    await firing(store, clock, "b")
    clock.pass_(WAIT)
    group = await one(store)
    await store.freeze(group, about(group))
    clock.pass_(LEASE)
    again = await one(store)

    # Whoever freezes another message over one that nobody settled must not lose what was only in there.
    smaller = message(entry("c"), id="ntf_2", keys=())
    frozen = await store.freeze(again, smaller)
    await store.settle(frozen, {}, clock())

    assert kinds(await one(store)) == [("firing", "alr_a1"), ("firing", "alr_b1")]


async def test_only_the_holder_of_the_lease_can_write(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await firing(ours, clock)
    clock.pass_(WAIT)
    old = await one(ours)
    frozen = await ours.freeze(old, about(old))
    clock.pass_(LEASE)
    new = await one(theirs)

    late = [
        await ours.freeze(frozen, about(old, "ntf_2")),
        await ours.settle(frozen, {}, None),
        await ours.postpone(frozen, clock(), failed("late")),
        await ours.bury(frozen, about(old), failed("late"), {}, None),
        await ours.defer(frozen, None),
    ]

    assert late == [None, False, False, False, False]
    assert new.token > old.token
    assert await ours.count_dead("ops") == 0
    assert await theirs.settle(await theirs.freeze(new, new.telling), {}, None)


async def test_settling_twice_because_the_answer_was_lost_changes_nothing(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))

    answers = [await store.settle(frozen, knows(group, clock), clock() + REPEAT) for _ in range(2)]

    assert answers == [True, False]
    assert await due_in(store, clock) == REPEAT


async def test_every_write_gives_a_group_a_version_it_never_had(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)
    versions = [group.version]
    for _ in range(3):
        frozen = await store.freeze(group, about(group))
        await store.postpone(frozen, clock(), failed("no"))
        group = await one(store)
        versions += [frozen.version, group.version]

    assert versions == sorted(set(versions))


async def test_a_buried_message_is_a_dead_letter_and_the_group_goes_on(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await firing(store, clock, "b")
    unheard = {"fp-a": Told(entry("a"), 1, clock(), heard=False)}

    assert await store.bury(frozen, frozen.telling, failed("HTTP 410"), unheard, clock() + REPEAT)
    [letter] = await dead_letters(store)
    clock.pass_(INTERVAL)
    following = await one(store)

    assert (codec.message(letter.message), letter.why, letter.group) == (frozen.telling, "HTTP 410", "ops-g1")
    assert (following.open, following.attempts, following.telling) == (unheard, 0, None)
    assert kinds(following) == [("firing", "alr_b1")]


async def test_a_group_with_nothing_to_tell_comes_back_when_it_asks_to(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)

    assert await store.defer(group, clock() + minutes(7))

    assert await due_in(store, clock) == minutes(7)


async def test_rows_that_come_before_a_deferral_are_looked_at(store, clock):
    await firing(store, clock, "a")
    clock.pass_(WAIT)
    group = await one(store)
    await firing(store, clock, "b")

    await store.defer(group, None)

    assert len((await one(store)).news) == 2


async def test_a_repeat_timer_is_not_pushed_back_by_news(store, clock):
    await firing(store, clock, "a", interval=minutes(60))
    clock.pass_(WAIT)
    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await store.settle(frozen, knows(group, clock), clock() + minutes(15))

    await firing(store, clock, "b", interval=minutes(60))

    assert await due_in(store, clock) == minutes(15)


async def test_at_most_so_many_news_are_read_and_the_rest_counted(store, clock):
    await owe(store, clock, *(row("firing", entry(str(number))) for number in range(NEWS_READ_MAX + 30)))
    clock.pass_(WAIT)

    group = await one(store)
    frozen = await store.freeze(group, about(group))
    await store.settle(frozen, knows(group, clock), clock())
    rest = await one(store)

    assert (len(group.news), group.waiting, frozen.waiting, frozen.news) == (NEWS_READ_MAX, NEWS_READ_MAX + 30, 30, ())
    assert (len(rest.news), rest.waiting) == (30, 30)
    assert kinds(rest)[0] == ("firing", f"alr_{NEWS_READ_MAX}1")


async def test_events_of_a_channel_that_stays_down_are_bounded_but_counted(store, clock):
    await owe(store, clock, row("event", entry("first", "event")))
    await store._calls.command("RPUSH", "{bm:c:ops}:news:ops-g1", *map(str, range(9_999)))
    await owe(store, clock, *(row("event", entry(str(number), "event")) for number in range(50)))
    await firing(store, clock, "late")
    clock.pass_(minutes(5))

    [_, _, token, _, name, _] = await store._calls.fcall(
        "bm_claim_groups",
        [
            f"{{bm:c:ops}}:{what}"
            for what in ("due", "leased", "clock", "rate", "due:critical", "due:warning", "failing", "alone")
        ],
        store._now,
        1,
        1_000_000,
        "",
        0,
        0,
    )
    reply = await store._calls.fcall("bm_read_group", group_keys(ChannelKeys("ops"), "ops-g1"), name, token, 1)

    assert int(reply[3]) == 10_051
    assert await store._calls.command("LLEN", "{bm:c:ops}:news:ops-g1") == 10_001


async def test_a_paused_channel_claims_nothing_until_then_and_no_other_channel_minds(store, clock):
    await owe(store, clock, row("firing", entry(), target("ops"), target("chat")))
    clock.pass_(WAIT)
    await paused(store, clock() + minutes(10))

    during = await one(store, "ops"), (await one(store, "chat")) is not None
    clock.pass_(minutes(10))

    assert during == (None, True)
    assert await one(store) is not None


async def test_a_pause_can_be_lifted(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    await paused(store, clock() + minutes(10))
    await store.try_now("ops")

    assert await one(store) is not None


async def test_a_channels_rate_holds_over_all_processes(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await owe(ours, clock, *(row("firing", entry(str(n)), target(group=f"g{n}")) for n in range(9)))
    clock.pass_(WAIT)
    rate = (3, seconds(1))

    mine = await ours.claim_groups("ops", 2, LEASE, rate)
    others = await theirs.claim_groups("ops", 9, LEASE, rate)
    none = await ours.claim_groups("ops", 9, LEASE, rate)
    clock.pass_(seconds(1.02))
    later = await ours.claim_groups("ops", 9, LEASE, rate)

    assert [len(found) for found in (mine, others, none, later)] == [2, 1, 0, 3]


@pytest.mark.parametrize("step", [3, 3_600])
async def test_a_clock_set_back_delays_no_message(store, clock, step):
    await firing(store, clock)
    await one(store)
    await paused(store, clock() + seconds(5))

    clock.pass_(-seconds(step))
    await one(store)
    clock.pass_(WAIT)

    assert await one(store) is not None


@pytest.mark.parametrize("group", ["", "a}b", "{bm:c:chat}:due", "🎰 g", "x" * 400])
async def test_any_group_and_channel_name_is_safe(store, clock, group):
    channel = f"ch {group}"
    await owe(store, clock, row("firing", entry(), target(channel, group=group)))
    clock.pass_(WAIT)

    claimed = await one(store, channel)
    frozen = await store.freeze(claimed, about(claimed))

    assert claimed.id == group
    assert await store.settle(frozen, knows(claimed, clock), None)


async def test_a_message_is_kept_byte_for_byte(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = await one(store)
    odd = message(entry(value=None, annotations={"summary": 'ünï 🎰 "quoted"\n<b>'}), id="ntf_odd")
    await store.freeze(group, odd)
    clock.pass_(LEASE)

    assert (await one(store)).telling == odd


async def test_a_process_knows_when_to_look_again(store, clock):
    await firing(store, clock)

    assert store.groups_due("ops") == clock() + WAIT
    assert store.groups_due("never heard of") is None


async def test_what_becomes_due_while_the_store_is_asked_is_not_forgotten(store, clock, monkeypatch):
    """The answer to a claim may be older than news that were moved meanwhile over another connection."""
    store.clock_override = None
    ask = store._calls.fcall

    async def ask_slowly(function, *args):
        reply = await ask(function, *args)
        if function == "bm_claim_groups":
            store.expect_group("ops", int(reply[0]))
        return reply

    assert await store.claim_groups("ops", 10, LEASE) == ()
    assert store.groups_due("ops") is None
    store._outlooks["ops"].looked_us = None
    monkeypatch.setattr(store._calls, "fcall", ask_slowly)
    assert await store.claim_groups("ops", 10, LEASE) == ()

    assert store.groups_due("ops") is not None


async def test_what_is_due_at_once_is_asked_for_at_once(store):
    """Our idea of the store's time is a little behind it: what it calls due now must not seem early to us."""
    store.clock_override = None
    await store.claim_groups("ops", 10, LEASE)
    asked = []
    ask = store._calls.fcall

    async def count(function, *args):
        asked.append(function)
        return await ask(function, *args)

    store._calls.fcall = count
    await store.claim_groups("ops", 10, LEASE)
    assert asked == []
    store.expect_group("ops", store._estimate_us() + 1_000)
    await store.claim_groups("ops", 10, LEASE)
    assert asked == ["bm_claim_groups"]


async def test_of_many_accounts_that_a_group_knows_those_that_owe_nothing_any_more_are_forgotten(store, clock):
    """Each in its time; who is forgotten may owe again, and what is known of the others stays."""
    names = [f"player-{number}" for number in range(1_010)]
    marks = "{bm:c:ops}:marks:ops-g1"
    await store._calls.command("HSET", marks, *(part for name in names for part in (name, f"{micros(clock())}-0")))
    clock.pass_(minutes(23 * 60))
    await post.owe(store, clock, [row("firing", entry())], "young")
    await store.tidy("ops")
    assert await store._calls.command("HLEN", marks) == 1_011

    clock.pass_(minutes(120))
    await post.owe(store, clock, [row("firing", entry("b"))], "other")
    await store.tidy("ops")

    assert sorted(await store._calls.command("HKEYS", marks)) == [b"other", b"young"]
    await post.owe(store, clock, [row("firing", entry("c"))], "player-7")
    [group] = await store.claim_groups("ops", 10, LEASE)
    assert [item.entry.id for item in group.news] == ["alr_a1", "alr_b1", "alr_c1"]
