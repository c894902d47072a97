"""Polls that somebody waits for: first in line in every process, and never more than their part of the quota."""

import pytest

from monitor.engine.lane import lane
from monitor.model.standing import SOLE, Standing
from tests.builders import NOON, commit, minutes, seconds

LEASE = seconds(30)
MANY = [f"acc-{number}" for number in range(40)]
TEN = ((10, seconds(1)),)


async def claimed(store, limit=100, ahead=None):
    return list((await store.claim("casino", limit, LEASE, SOLE, ahead)).claims)


async def hurry(store, account="hot", *, join=False):
    wished, _ = await store.poll_first("casino", account, join=join, paid=True)
    return wished


async def enrolled(store, **accounts):
    await store.enrol("casino", {name: NOON + at for name, at in accounts.items()})


async def test_whoever_is_first_in_line_is_claimed_before_all_that_is_late(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)) | {"hot": NOON + minutes(60)})

    await hurry(store)
    claims = await claimed(store, limit=3)

    assert claims[0].account == "hot"
    assert [claim.ahead for claim in claims] == [True, False, False]
    assert claims[0].due_at == NOON


async def test_several_first_in_line_in_one_partition_go_before_the_others_of_all(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)))
    for name in MANY[:9]:
        await hurry(store, name)

    assert sorted(claim.account for claim in await claimed(store, limit=9)) == sorted(MANY[:9])


async def test_no_more_jump_the_queue_than_they_may(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)))
    for name in ("new-1", "new-2", "new-3"):
        await hurry(store, name)

    claims = await claimed(store, limit=10, ahead=2)

    assert sum(claim.ahead for claim in claims) == 2
    assert len(claims) == 10


async def test_where_nothing_else_is_due_all_are_served(store):
    for name in ("new-1", "new-2", "new-3"):
        await hurry(store, name)

    assert len(await claimed(store, limit=10, ahead=0)) == 3


async def test_another_process_is_told_of_it_by_its_next_look(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)) | {"hot": NOON + minutes(60)})
    await hurry(theirs)
    first = await claimed(ours, limit=1)

    second = await claimed(ours, limit=1)

    assert "hot" in (first[0].account, second[0].account)


async def test_a_second_wish_joins_the_first(store):
    await enrolled(store, hot=minutes(5))

    assert [await hurry(store), await hurry(store)] == ["new", "there"]
    assert len(await claimed(store)) == 1


async def test_what_is_not_paid_for_changes_nothing(store):
    await enrolled(store, hot=minutes(5))

    assert await store.poll_first("casino", "hot", join=True, paid=False) == ("none", NOON)
    assert await claimed(store) == []


async def test_during_a_poll_a_wish_joins_it_or_one_more_follows(store):
    await enrolled(store, hot=seconds(0))
    [claim] = await claimed(store)

    assert await hurry(store, join=True) == "there"
    assert await hurry(store) == "new"
    assert await claimed(store) == []
    await store.commit("casino", commit(await store.load("hot")), claim, NOON + minutes(5))
    [again] = await claimed(store)
    await store.commit("casino", commit(await store.load("hot")), again, NOON + minutes(5))

    assert again.ahead
    assert await claimed(store) == []


async def test_of_a_poller_that_died_the_wish_is_honoured_once_the_lease_is_over(store, clock):
    await enrolled(store, hot=seconds(0), cold=seconds(0))
    await claimed(store)
    await hurry(store)
    clock.pass_(LEASE)

    claims = await claimed(store)

    assert sorted((claim.account, claim.ahead) for claim in claims) == [("cold", False), ("hot", True)]
    clock.pass_(seconds(29))
    assert await claimed(store) == []


async def test_what_is_given_back_is_first_in_line_again(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)))
    await hurry(store)
    [claim] = await claimed(store, limit=1)

    await store.release("casino", [claim])

    assert [one.account for one in await claimed(store, limit=1)] == ["hot"]


async def test_what_another_configuration_is_to_poll_is_first_in_line_there(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.enrol("casino", dict.fromkeys(MANY, NOON - minutes(5)))
    await hurry(ours)
    [claim] = (await ours.claim("casino", 1, LEASE, Standing(name="old"))).claims
    await ours.pass_on("casino", claim, seconds(5), "old")

    assert "hot" not in [one.account for one in (await ours.claim("casino", 1, LEASE, Standing(name="old"))).claims]
    theirs.hurry("casino", theirs.partition("hot").number)
    assert [one.account for one in (await theirs.claim("casino", 1, LEASE, Standing(name="new"))).claims] == ["hot"]


async def test_a_dismissed_account_is_first_in_line_no_more(store):
    await hurry(store)

    await store.dismiss("casino", ["hot"])

    assert await claimed(store) == []
    assert await store.poll_first("casino", "hot", join=True, paid=False) == ("none", NOON)


async def test_a_clock_set_back_makes_nobody_wait_who_was_first_in_line(store, clock):
    await enrolled(store, hot=minutes(5))
    await claimed(store)
    await hurry(store)
    clock.pass_(-minutes(60))

    assert [claim.account for claim in await claimed(store)] == ["hot"]


@pytest.mark.parametrize(
    ("quota", "cost", "expected"),
    [
        (((10, seconds(1)),), 1, ((8, seconds(1)),)),
        (((1, seconds(10)),), 1, ((1, seconds(20)),)),
        (((10, seconds(1)),), 15, ((16, seconds(2)),)),
        (((10, seconds(1)), (300, minutes(1))), 1, ((8, seconds(1)), (240, minutes(1)))),
        ((), 1, ()),
    ],
)
def test_the_lane_is_four_fifths_of_each_window_or_of_as_many_as_a_poll_needs(quota, cost, expected):
    assert lane(quota, cost) == expected


async def test_a_lane_is_shared_by_all_processes_and_frees_itself(open_store, clock):
    stores = [await open_store(), await open_store()]
    limits = lane(TEN, 1)

    taken = [await stores[number % 2].take_lane("casino", limits, 1, limits) for number in range(12)]
    clock.pass_(seconds(1.1))

    assert taken == [True] * 8 + [False] * 4
    assert await stores[0].take_lane("casino", limits, 1, limits)


async def test_what_was_not_needed_is_given_back_and_what_was_spent_beyond_is_charged(store):
    limits = lane(TEN, 1)
    for _ in range(8):
        await store.take_lane("casino", limits, 1, limits)

    await store.give_back_lane("casino", limits, 2)
    await store.charge_lane("casino", limits, 1)

    assert [await store.take_lane("casino", limits, 1, limits) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("quota", [TEN, ()])
async def test_while_the_provider_wants_to_be_left_alone_nobody_gets_in_lane(store, clock, quota):
    limits = lane(quota, 1)
    await store.throttle("casino", seconds(30))

    assert not await store.take_lane("casino", limits, 1, limits)
    clock.pass_(seconds(30))
    assert await store.take_lane("casino", limits, 1, limits)
