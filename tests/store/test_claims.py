"""Claims: who polls what, and when."""

from decimal import Decimal
from itertools import pairwise

import pytest

from monitor.engine.ports import Summing
from monitor.model.record import Point
from monitor.model.standing import Standing
from tests.builders import NOON, commit, minutes, seconds

LEASE = seconds(30)
OURS, THEIRS = Standing(name="ours"), Standing(name="theirs")
MANY = [f"acc-{number}" for number in range(40)]


async def claimed(store, provider="casino", limit=100, lease=LEASE):
    return list((await store.claim(provider, limit, lease)).claims)


async def names(store, provider="casino", limit=100):
    return sorted(claim.account for claim in await claimed(store, provider, limit))


async def test_an_account_is_claimed_when_it_is_due_and_not_before(store, clock):
    await store.enrol("casino", {"hot": NOON + seconds(5)})

    early = await store.claim("casino", 10, LEASE)
    clock.pass_(seconds(5))
    [claim] = await claimed(store)

    assert (early.now, early.claims, early.next_at) == (NOON, (), NOON + seconds(5))
    assert (claim.account, claim.due_at) == ("hot", NOON + seconds(5))


async def test_a_claimed_account_is_nobody_elses_until_its_lease_ends(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await ours.enrol("casino", {"hot": NOON})

    [first] = await claimed(ours)
    clock.pass_(LEASE - seconds(0.000001))
    nobody = await claimed(theirs)
    clock.pass_(seconds(0.000001))
    [second] = await claimed(theirs)

    assert nobody == []
    assert second.token > first.token


async def test_two_processes_share_what_is_due_and_claim_nothing_twice(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.enrol("casino", dict.fromkeys(MANY, NOON))

    mine, others = await names(ours, limit=15), await names(theirs, limit=100)

    assert len(mine) == 15
    assert sorted(mine + others) == sorted(MANY)


async def test_no_more_are_claimed_than_there_is_room_for(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON))

    assert [len(await claimed(store, limit=limit)) for limit in (1, 7, 0, 100)] == [1, 7, 0, 32]


async def test_no_partition_starves_when_only_one_account_fits(store):
    await store.enrol("casino", dict.fromkeys(MANY, NOON))

    found = [await claimed(store, limit=1) for _ in range(len(MANY))]

    assert sorted(claim.account for [claim] in found) == sorted(MANY)


@pytest.mark.parametrize("real", [True, False])
async def test_no_partition_starves_behind_a_backlog_that_never_ends(store, real):
    if real:
        store.clock_override = None
    await store.enrol("casino", dict.fromkeys(MANY, await store.time()))
    served = set()
    for _ in range(len(store.partitions)):
        [claim] = await claimed(store, limit=1)
        served.add(store.partition(claim.account).number)
        await store.release("casino", [claim])

    assert served == {0, 1, 2, 3}


async def test_a_provider_never_sees_anothers_accounts(store):
    await store.enrol("casino", {"hot": NOON})
    await store.enrol("custody", {"cold": NOON})

    assert await names(store, "custody") == ["cold"]
    assert await names(store, "casino") == ["hot"]


async def test_a_shorter_interval_counts_from_the_next_start(store, clock):
    await store.enrol("casino", {"hot": NOON + minutes(60), "cold": NOON + seconds(1)})

    await store.enrol("casino", {"hot": NOON, "cold": NOON}, {"hot": NOON + seconds(5), "cold": NOON + seconds(5)})

    assert await store.due_at("casino", "hot") == NOON + seconds(5)
    assert await store.due_at("casino", "cold") == NOON + seconds(1)


async def test_enrolling_again_keeps_what_is_planned(store, clock):
    await store.enrol("casino", {"hot": NOON + seconds(5), "cold": NOON})
    await claimed(store)

    await store.enrol("casino", {"hot": NOON, "cold": NOON})

    assert await names(store) == []
    assert await store.due_at("casino", "hot") == NOON + seconds(5)


async def test_every_claim_of_an_account_has_a_larger_token(store, clock):
    await store.enrol("casino", {"hot": NOON})
    tokens = []
    for lease in (60, 10, 10, 1):
        [claim] = await claimed(store, lease=seconds(lease))
        tokens.append(claim.token)
        await store.release("casino", [claim])

    assert all(earlier < later for earlier, later in pairwise(tokens))


async def test_a_claim_given_back_is_due_at_once(store):
    await store.enrol("casino", {"hot": NOON - seconds(3)})
    [claim] = await claimed(store)

    await store.release("casino", [claim])
    [again] = await claimed(store)

    assert again.due_at == NOON - seconds(3)


async def test_a_claim_that_is_passed_on_is_found_by_another_configuration_at_once_and_by_this_one_later(store, clock):
    await store.enrol("casino", {"stranger": NOON, "known": NOON + seconds(9)})
    claims = await store.claim("casino", 9, seconds(30), OURS)
    await store.pass_on("casino", claims.claims[0], seconds(5), "ours")

    for _ in range(2):
        claims = await store.claim("casino", 9, seconds(30), OURS)
        assert (claims.claims, claims.next_at) == ((), NOON + seconds(5))
    [theirs] = (await store.claim("casino", 9, seconds(30), THEIRS)).claims
    assert (theirs.account, theirs.due_at) == ("stranger", NOON)

    await store.pass_on("casino", theirs, seconds(5), "theirs")
    for nobody in (OURS, THEIRS):
        assert (await store.claim("casino", 9, seconds(30), nobody)).claims == (), "it does not go to and fro"
    clock.pass_(seconds(5))
    assert [one.account for one in (await store.claim("casino", 9, seconds(30), OURS)).claims] == ["stranger"]


async def test_an_older_configuration_leaves_what_is_due_to_the_newest_for_a_moment(store, clock):
    older = Standing(name="older", newest=False)
    await store.enrol("casino", {"both": NOON, "ours": NOON + seconds(0.1), "later": NOON + seconds(9)})

    early = await store.claim("casino", 9, LEASE, older)
    assert (early.claims, early.next_at) == ((), NOON + older.patience)
    assert [one.account for one in await claimed(store)] == ["both"]

    clock.pass_(seconds(0.1) + older.patience)
    late = await store.claim("casino", 9, LEASE, older)
    assert [one.account for one in late.claims] == ["ours"]
    assert late.next_at == NOON + seconds(9) + older.patience

    clock.pass_(LEASE)
    both = await store.claim("casino", 9, LEASE, older)
    assert {"both", "ours", "later"} == {one.account for one in both.claims}, (
        "what a lease has ended of waits no longer"
    )


async def test_who_passes_a_claim_on_that_is_no_longer_his_changes_nothing(store, clock):
    await store.enrol("casino", {"stranger": NOON})
    [old] = (await store.claim("casino", 9, seconds(30), OURS)).claims
    clock.pass_(seconds(31))
    [new] = (await store.claim("casino", 9, seconds(30), THEIRS)).claims

    await store.pass_on("casino", old, seconds(5), "ours")

    assert await names(store) == []
    record = await store.load("stranger")
    assert await store.commit("casino", commit(record), new, NOON) == "written"


async def test_only_the_holder_can_give_a_claim_back(store, clock):
    await store.enrol("casino", {"hot": NOON})
    [old] = await claimed(store)
    clock.pass_(LEASE)
    [new] = await claimed(store)

    await store.release("casino", [old])

    assert await names(store) == []
    assert await store.commit("casino", commit(await store.load("hot")), new, NOON + minutes(2)) == "written"


async def test_poll_now_makes_an_account_due_now(store):
    await store.enrol("casino", {"hot": NOON + minutes(60)})

    await store.poll_now("casino", "hot")

    assert await names(store) == ["hot"]


async def test_poll_now_during_a_poll_means_one_more_after_it(store):
    await store.enrol("casino", {"hot": NOON})
    [claim] = await claimed(store)

    await store.poll_now("casino", "hot")
    meanwhile = await names(store)
    await store.commit("casino", commit(await store.load("hot")), claim, NOON + minutes(1))
    [again] = await claimed(store)
    await store.commit("casino", commit(await store.load("hot")), again, NOON + minutes(1))

    assert meanwhile == []
    assert await store.due_at("casino", "hot") == NOON + minutes(1)


async def test_a_dismissed_account_is_never_due_again_even_if_it_was_being_polled(store, clock):
    await store.enrol("casino", {"hot": NOON, "cold": NOON})
    claims = {claim.account: claim for claim in await claimed(store)}
    await store.release("casino", [claims["cold"]])

    await store.dismiss("casino", ["hot", "cold"])
    answer = await store.commit("casino", commit(await store.load("hot")), claims["hot"], NOON)

    assert answer == "lost"
    clock.pass_(minutes(60))
    assert await names(store) == []


@pytest.mark.parametrize(("moved", "known"), [(False, ()), (True, ("hot",))])
async def test_sums_hear_of_an_account_that_its_old_provider_dismissed_after_the_new_one_had_polled_it(
    store, moved, known
):
    await store.enrol("casino", {"hot": NOON})
    await store.enrol("custody", {"hot": NOON})
    before = {number: news.cursor for number, news in (await store.sum_news({})).items()}
    [claim] = await claimed(store, "custody")
    change = commit(await store.load("hot"))._replace(points=(Point("USDT", "total", Decimal(40), NOON),))
    assert await store.commit("custody", change, claim, NOON, Summing(minutes(3), None)) == "written"

    await store.dismiss("casino", ["hot"], moved=moved)

    news = (await store.sum_news(before)).values()
    assert tuple(name for each in news for name in each.changed) == known


@pytest.mark.parametrize("step", [3, 3600, 86_400 * 365])
async def test_a_clock_set_back_delays_no_poll(store, clock, step):
    await store.enrol("casino", {"hot": NOON, "cold": NOON + seconds(60)})
    await claimed(store)

    clock.pass_(-seconds(step))
    await claimed(store)
    clock.pass_(seconds(60))

    assert await names(store) == ["cold", "hot"]


async def test_a_poll_under_way_while_the_clock_is_set_back_is_lost_and_repeated(store, clock):
    await store.enrol("casino", {"hot": NOON})
    [claim] = await claimed(store)

    clock.pass_(-minutes(60))
    await claimed(store)
    answer = await store.commit("casino", commit(await store.load("hot")), claim, NOON)
    clock.pass_(LEASE)

    assert answer == "lost"
    assert await names(store) == ["hot"]


async def test_the_servers_own_clock_serves_when_no_test_sets_one(store):
    store.clock_override = None
    now = await store.time()

    await store.enrol("casino", {"hot": now, "cold": now + minutes(60)})
    claims = await store.claim("casino", 10, LEASE)
    idle = await store.claim("casino", 10, LEASE)

    assert [claim.account for claim in claims.claims] == ["hot"]
    assert now <= claims.now <= now + minutes(1)
    assert idle.claims == ()
    assert idle.next_at == claims.next_at


@pytest.mark.parametrize("limit", [1, 3, 7, 39])
async def test_a_backlog_is_claimed_piece_by_piece_each_account_once(store, limit):
    store.clock_override = None
    await store.enrol("casino", dict.fromkeys(MANY, await store.time()))

    pieces = [await claimed(store, limit=limit) for _ in range(len(MANY))]

    assert max(map(len, pieces)) <= limit
    assert sorted(claim.account for piece in pieces for claim in piece) == sorted(MANY)


async def test_what_another_process_makes_due_is_seen_within_a_second(open_store):
    ours, theirs = await open_store(), await open_store()
    ours.clock_override = theirs.clock_override = None
    now = await ours.time()
    await ours.enrol("casino", {"hot": now + minutes(60)})
    await ours.claim("casino", 10, LEASE)

    await theirs.poll_now("casino", "hot")
    ours._watch("casino").scanned_us -= 1_000_000  # a second passes

    assert await names(ours) == ["hot"]


@pytest.mark.parametrize("asked_after", [0, 31])
async def test_poll_now_for_an_account_whose_poller_died_is_one_claim_not_two(store, clock, asked_after):
    await store.enrol("casino", {"hot": clock()})
    await store.claim("casino", 40, LEASE)
    clock.pass_(seconds(asked_after))
    await store.poll_now("casino", "hot")
    clock.pass_(seconds(31))

    claims = (await store.claim("casino", 40, LEASE)).claims

    assert [claim.account for claim in claims] == ["hot"]
