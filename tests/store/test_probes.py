"""A channel that refused us is tried with one message: what is refused is buried, so the others wait."""

import pytest

from tests.builders import commit, entry, minutes, row, seconds, target

LEASE = seconds(30)
GROUPS = [f"g{number}" for number in range(5)]


@pytest.fixture
async def owing(store, clock):
    """Five groups are due, and the channel has refused us."""
    await store.enrol("casino", {"hot": clock()})
    [claim] = (await store.claim("casino", 40, LEASE)).claims
    rows = [row("firing", entry(name), target(group=name)) for name in GROUPS]
    await store.commit("casino", commit(await store.load("hot"), *rows), claim, clock() + minutes(600))
    await store.move("hot")
    await store.pause("ops", clock() + minutes(10), probe=True)
    clock.pass_(minutes(10))
    return store


async def claimed(store):
    return [group.id for group in await store.claim_groups("ops", 20, LEASE)]


async def test_after_the_pause_one_group_goes_alone_and_the_others_soon_after(owing, clock):
    first = await claimed(owing)
    meanwhile = await claimed(owing)
    clock.pass_(seconds(2))
    others = await claimed(owing)

    assert (len(first), meanwhile) == (1, [])
    assert sorted(first + others) == GROUPS


async def test_refused_again_the_others_wait_for_the_next_probe(owing, clock):
    first = await claimed(owing)
    await owing.pause("ops", clock() + minutes(10), probe=True)
    clock.pass_(minutes(9))
    early = await claimed(owing)
    clock.pass_(minutes(1))

    assert (len(first), early, len(await claimed(owing))) == (1, [], 1)


async def test_the_probe_waits_until_something_is_due(store, clock):
    await store.pause("ops", clock() + minutes(10), probe=True)
    clock.pass_(minutes(20))
    assert await claimed(store) == []
    await store.enrol("casino", {"hot": clock()})
    [claim] = (await store.claim("casino", 40, LEASE)).claims
    rows = [row("firing", entry(name), target(group=name)) for name in GROUPS]
    await store.commit("casino", commit(await store.load("hot"), *rows), claim, clock() + minutes(600))
    await store.move("hot")
    clock.pass_(seconds(10))

    assert len(await claimed(store)) == 1


async def test_a_pause_that_the_channel_asked_for_ends_with_all_that_is_due(owing, clock):
    await owing.pause("ops", clock() + minutes(1))
    clock.pass_(minutes(1))

    assert sorted(await claimed(owing)) == GROUPS


async def test_a_pause_that_is_lifted_leaves_no_probe_behind(owing, clock):
    await owing.pause("ops", clock() - minutes(1))

    assert sorted(await claimed(owing)) == GROUPS
