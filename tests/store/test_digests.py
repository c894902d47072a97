"""Digests: which groups are claimed to go out as one message, and what it leaves behind."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.engine.deliver import LEASE, TOGETHER_MAX
from monitor.engine.digest import arrived, choose, whole
from monitor.engine.flush import flush
from monitor.errors import DeliveryDeferred
from monitor.model.digest import Dissolved, Part
from monitor.model.group import Hush
from monitor.model.ledger import Tried
from tests.builders import entry, minutes, row, seconds, target
from tests.post import owe

ONE_A_SECOND = (1, seconds(1))
NOW = seconds(0)


async def begin(store, clock, count, severity="warning", status="firing"):
    names = [f"{severity[0]}{number:02}" for number in range(count)]
    rows = [row(status, entry(one, status, severity=severity), to(one)) for one in names]
    await owe(store, clock, rows, severity)


def to(name):
    return target(group=f"g-{name}", wait=NOW, interval=NOW)


async def claim(store, rate=ONE_A_SECOND, limit=20):
    return await store.claim_groups("ops", limit, LEASE, rate, TOGETHER_MAX)


async def frozen(store, clock, groups):
    parts = choose([Part(group, flush(group, clock())) for group in groups])
    return await store.freeze_digest(parts, whole(parts, clock()), LEASE)


async def settle(store, clock, digest):
    settled = [arrived(one, clock(), "thread") for one in await store.members(digest)]
    return await store.settle_digest(digest, settled, Tried(clock(), seconds(0.1), "ok"))


@pytest.mark.parametrize(
    ("due", "rate", "claimed"),
    [
        pytest.param(21, ONE_A_SECOND, (1, False), id="twenty that wait wait for their turns"),
        pytest.param(22, ONE_A_SECOND, (22, True), id="more than twenty go together"),
        pytest.param(60, ONE_A_SECOND, (50, True), id="up to fifty of them"),
        pytest.param(60, (20, seconds(1)), (50, True), id="also where the rate leaves room for some"),
        pytest.param(60, None, (20, False), id="and never where there is no limit"),
    ],
)
async def test_groups_go_together_where_more_wait_than_the_channel_takes(store, clock, due, rate, claimed):
    await begin(store, clock, due)

    groups = await claim(store, rate)

    assert (len(groups), groups[0].together) == claimed


async def test_they_are_charged_as_one_and_the_most_urgent_go_first(store, clock):
    await begin(store, clock, 60)
    await begin(store, clock, 3, "critical")

    groups = await claim(store)

    assert [one.id for one in groups[:3]] == ["g-c00", "g-c01", "g-c02"]
    assert await claim(store) == ()
    clock.pass_(seconds(1.02))
    assert len(await claim(store)) == 1, "thirteen are left, which wait for their turns"


async def test_what_comes_while_a_digest_is_out_waits_for_it(store, clock):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    await begin(store, clock, 30, status="resolved")
    clock.pass_(seconds(2))

    assert len(digest.members) == 30
    assert await claim(store) == ()
    assert await settle(store, clock, digest)
    ends = await claim(store)
    assert [one.news[0].news for one in ends] == ["resolved"] * 30
    assert {told.ref for one in ends for told in one.open.values()} == {"thread"}


async def test_a_digest_of_a_process_that_died_is_claimed_as_it_is_before_anything_newer(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await begin(ours, clock, 30)
    digest = await frozen(ours, clock, await claim(ours))
    await begin(ours, clock, 30, status="resolved")
    clock.pass_(LEASE + seconds(1))

    [again] = await claim(theirs)

    assert (again.telling, again.members, again.together) == (digest.telling, digest.members, False)
    assert not await settle(ours, clock, digest), "the lease is another's by now"
    assert await settle(theirs, clock, again)
    assert not await settle(theirs, clock, again)


async def test_groups_claimed_by_a_process_that_died_go_together_again(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await begin(ours, clock, 30)
    first = await claim(ours)
    clock.pass_(LEASE)

    again = await claim(theirs)

    assert sorted(one.id for one in again) == sorted(one.id for one in first)
    assert all(one.together for one in again)
    assert await frozen(ours, clock, first) is None
    assert await frozen(theirs, clock, again) is not None, "and nothing has changed by the attempt of the other"


async def test_one_that_fails_gives_all_back_their_news_and_attempts(store, clock):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    members = [Dissolved(one, clock() + seconds(2)) for one in digest.members]
    error = DeliveryDeferred("HTTP 429", seconds(2))
    assert await store.dissolve(digest, members, Tried(clock(), NOW, "HTTP 429"), error)
    await begin(store, clock, 30, status="resolved")

    assert await claim(store) == (), "the channel asked for a pause"
    clock.pass_(seconds(2))
    again = await claim(store)
    assert [(one.attempts, one.why, one.telling, one.waiting) for one in again] == [(1, "HTTP 429", None, 2)] * 30
    assert {told.type for one in again if (told := flush(one, clock()))} == {"alert.resolved"}


async def test_the_log_shows_one_notification_of_all_its_alerts(store, clock):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    out, _ = await store.deliveries(["ops"], ["waiting", "failing"], None, 50)
    await settle(store, clock, digest)
    sent, _ = await store.deliveries(["ops"], ["sent"], None, 50)
    left, _ = await store.deliveries(["ops"], ["waiting", "failing"], None, 50)

    assert [(one.id, len(one.alerts)) for one in out] == [(digest.telling.id, 30)]
    assert [(one.id, len(one.alerts)) for one in sent] == [(digest.telling.id, 30)]
    assert left == []
    [about] = await store.notifications_about("alr_w071", ["ops"])
    assert (about.id, about.state, about.tried) == (digest.telling.id, "sent", 1)


async def test_a_member_that_nobody_can_read_is_told_when_somebody_can(store, clock):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    key = "{bm:c:ops}:group:g-w07"
    assert await store._calls.command("HSET", key, "telling", b"{") == 0
    assert await settle(store, clock, digest)

    clock.pass_(seconds(2))
    [left] = await claim(store)

    assert (left.id, left.telling, [one.news for one in left.news]) == ("g-w07", None, ["firing"])


async def test_a_digest_that_nobody_can_read_any_more_can_be_dissolved(store, clock):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    await store._calls.command("HSET", f"{{bm:c:ops}}:group:{digest.id}", "telling", b"{")
    clock.pass_(LEASE)
    assert await claim(store) == ()
    clock.pass_(minutes(61))
    for _ in range(3):
        again = await claim(store)
        clock.pass_(timedelta(minutes=1))
        if again:
            break

    assert [(one.id, one.telling, len(one.members)) for one in again] == [(digest.id, None, 30)]


@pytest.mark.parametrize("step", [3, 3_600])
async def test_a_clock_set_back_keeps_nobody_waiting_for_a_digest(store, clock, step):
    await begin(store, clock, 30)
    digest = await frozen(store, clock, await claim(store))
    clock.pass_(seconds(-step))
    await claim(store)
    clock.pass_(LEASE + seconds(1))

    assert [one.id for one in await claim(store)] == [digest.id]


async def test_who_may_be_heard_again_while_a_digest_is_out_is_looked_at_after_it(store, clock):
    await begin(store, clock, 30)
    groups = await claim(store)
    hush = Hush("silenced", clock(), clock() + minutes(60))
    for one in groups[:2]:
        await store.keep_hushed(replace(one, hushed={"fp-other": hush}))
    digest = await frozen(store, clock, groups)

    await store.rouse("ops")
    await settle(store, clock, digest)
    clock.pass_(seconds(2))

    assert sorted(one.id for one in await claim(store, None)) == sorted(one.id for one in groups[:2])
