"""How many messages a channel is sent at a time once its destination has asked for a pause."""

import pytest

from monitor.model.ledger import Tried
from tests.builders import entry, message, minutes, row, seconds, target
from tests.post import owe

LEASE = seconds(30)
GROUPS = 60
PAUSE = seconds(2)


@pytest.fixture
async def stores(open_store, clock):
    """Two processes of one store, and more due than either would send."""
    ours, theirs = await open_store(), await open_store()
    await owe(
        ours, clock, [row("firing", entry(str(n)), target(group=f"g{n}", wait=seconds(0))) for n in range(GROUPS)]
    )
    return ours, theirs


def tried(clock, said="ok"):
    return Tried(clock(), seconds(0.1), said)


def about(group):
    return message(
        *(item.entry for item in group.news), id=f"ntf_{group.id}", keys=tuple(one.key for one in group.news)
    )


async def sending(store, limit=20, rate=None):
    return list(await store.claim_groups("ops", limit, LEASE, rate))


async def arrives(store, clock, group, told=None):
    frozen = await store.freeze(group, about(group))
    assert await store.settle(frozen, {}, None, tried(clock))


async def refused(store, clock, group):
    frozen = await store.freeze(group, about(group))
    assert await store.postpone(frozen, clock() + PAUSE, tried(clock, "HTTP 429"), PAUSE)


async def test_a_channel_that_never_asked_for_a_pause_gets_as_many_as_its_processes_send(stores):
    ours, theirs = stores

    assert [len(await sending(one)) for one in (ours, theirs)] == [20, 20]


async def test_after_a_pause_one_message_is_tried_over_all_processes_and_each_arrival_makes_room_for_one(stores, clock):
    ours, theirs = stores
    [first, *_] = await sending(ours, 1)
    await refused(ours, clock, first)
    clock.pass_(PAUSE)

    for room in range(1, 20):
        busy = await sending(theirs)
        assert len(busy) == room
        assert await sending(ours) == [], "the window is that of all processes"
        for group in busy[1:]:
            await theirs.defer(group, clock())
        await arrives(theirs, clock, busy[0])
    assert [len(await sending(one)) for one in (ours, theirs)] == [20, 20], "twenty at a time are no limit"


async def test_another_429_begins_with_one_again(stores, clock):
    ours, theirs = stores
    [first, *_] = await sending(ours, 1)
    await refused(ours, clock, first)
    clock.pass_(PAUSE)
    for _ in range(3):
        busy = await sending(ours)
        for group in busy:
            await arrives(ours, clock, group)
    busy = await sending(ours)
    assert len(busy) == 8
    for group in busy:
        await refused(ours, clock, group)
    clock.pass_(PAUSE)

    assert len(await sending(theirs)) == 1


async def test_a_process_that_dies_with_the_one_message_leaves_it_to_another(stores, clock):
    ours, theirs = stores
    [first, *_] = await sending(ours, 1)
    await refused(ours, clock, first)
    clock.pass_(PAUSE)
    [dying] = await sending(ours)
    clock.pass_(LEASE - seconds(1))
    assert await sending(theirs) == []
    clock.pass_(seconds(1))

    assert [group.id for group in await sending(theirs)] == [dying.id]


async def test_a_full_window_is_not_asked_again_and_again(stores, clock):
    ours, _ = stores
    [first, *_] = await sending(ours, 1)
    await refused(ours, clock, first)
    clock.pass_(PAUSE)
    [busy] = await sending(ours)

    assert ours.groups_due("ops") == clock() + LEASE
    assert await sending(ours) == []
    assert ours.groups_due("ops") == clock() + LEASE
    await arrives(ours, clock, busy)
    assert len(await sending(ours)) == 2


async def test_a_rate_holds_within_a_window(stores, clock):
    ours, _ = stores
    [first, *_] = await sending(ours, 1)
    await refused(ours, clock, first)
    clock.pass_(PAUSE)
    for _ in range(3):
        for group in await sending(ours):
            await arrives(ours, clock, group)

    assert len(await sending(ours, rate=(3, minutes(1)))) == 3
