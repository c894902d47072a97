"""Quotas and health that all processes share."""

import asyncio
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.record import Health
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.fakes import FakeClock

NO_WAIT = seconds(0)
TEN = ((10, seconds(1)),)


async def test_no_more_is_taken_than_the_window_holds_whoever_asks(open_store, clock):
    ours, theirs = await open_store(), await open_store()

    answers = [await one.take("casino", TEN, 3, 2) for one in (ours, theirs)]

    assert [times for times, _ in answers] == [2, 1]
    times, wait = await ours.take("casino", TEN, 3, 1)
    assert times == 0
    assert seconds(1) <= wait <= seconds(1.02)
    clock.pass_(wait)
    assert await ours.take("casino", TEN, 3, 9) == (3, NO_WAIT)


async def test_quotas_of_two_providers_are_their_own(store):
    await store.take("casino", TEN, 10, 1)

    assert await store.take("custody", TEN, 10, 1) == (1, NO_WAIT)


async def test_of_several_windows_the_tightest_decides(store, clock):
    windows = ((10, seconds(1)), (25, minutes(1)))
    taken = []
    for _ in range(4):
        taken.append((await store.take("casino", windows, 1, 10))[0])
        clock.pass_(seconds(2))

    assert taken == [10, 10, 5, 0]


async def test_what_was_not_used_can_be_taken_again(store):
    await store.take("casino", TEN, 2, 5)

    await store.give_back("casino", TEN, 6)

    assert await store.take("casino", TEN, 2, 5) == (3, NO_WAIT)


async def test_without_a_quota_everything_is_granted(store):
    assert await store.take("casino", (), 1, 20) == (20, NO_WAIT)


async def test_a_poll_that_costs_more_than_the_quota_waits_for_an_empty_window(store, clock):
    first = await store.take("casino", TEN, 15, 3)
    second = await store.take("casino", TEN, 15, 3)
    clock.pass_(second[1])

    assert first == (1, NO_WAIT)
    assert second[0] == 0
    assert await store.take("casino", TEN, 15, 3) == (1, NO_WAIT)


@pytest.mark.parametrize(("remaining", "left"), [(3, 3), (0, 0), (8, 8), (10, 8), (-1, 0)])
async def test_the_providers_own_count_is_believed_when_it_is_lower(store, remaining, left):
    await store.take("casino", TEN, 2, 1)

    await store.correct("casino", TEN, remaining)

    assert (await store.take("casino", TEN, 1, 10))[0] == left


async def test_a_correction_speaks_of_the_tightest_window(store, clock):
    windows = ((10, seconds(1)), (1_000, minutes(60)))

    await store.correct("casino", windows, 2)
    clock.pass_(seconds(2))

    assert (await store.take("casino", windows, 1, 10))[0] == 10


async def test_a_throttled_provider_is_left_alone_by_all_processes(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await ours.throttle("casino", seconds(30))
    await theirs.throttle("casino", seconds(5))

    refused = await theirs.take("casino", TEN, 1, 5)
    unlimited = await theirs.take("casino", (), 1, 5)
    clock.pass_(seconds(30))

    assert refused == unlimited == (0, seconds(30))
    assert await theirs.take("casino", TEN, 1, 5) == (5, NO_WAIT)


async def test_a_clock_set_back_neither_frees_nor_freezes_a_quota(store, clock):
    await store.take("casino", TEN, 10, 1)
    await store.throttle("casino", seconds(2))
    clock.pass_(-minutes(60))

    blocked = await store.take("casino", TEN, 1, 1)
    clock.pass_(seconds(2.1))

    assert blocked[0] == 0
    assert await store.take("casino", TEN, 1, 1) == (1, NO_WAIT)


steps = st.lists(
    st.tuples(
        st.integers(0, 1_500_000),  # microseconds that pass first
        st.integers(1, 4),  # cost
        st.integers(1, 5),  # most
        st.integers(0, 2),  # of what was taken, so many times are given back
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps=steps, limits=st.lists(st.tuples(st.integers(4, 12), st.integers(1, 3_000)), min_size=1, max_size=2))
def test_no_rolling_window_ever_holds_more_than_its_limit_and_waits_are_true(valkey_server, steps, limits):
    windows = tuple((units, seconds(ms / 1000)) for units, ms in limits)
    asyncio.run(played(valkey_server, windows, steps))


async def played(server, windows, steps):
    clock = FakeClock()
    with server.client() as client:
        client.flushall()
    store = await RedisStore.connect(server.url, partitions=1, clock_override=clock)
    try:
        await check_windows(store, clock, windows, steps)
    finally:
        await store.close()


async def check_windows(store, clock, windows, steps):
    """Play the steps, keeping a plain list of what was taken when, and compare."""
    taken = []
    for pause_us, cost, most, back in steps:
        clock.pass_(seconds(pause_us / 1_000_000))
        times, wait = await store.take("p", windows, cost, most)
        used = [sum(units for at, units in taken if at > clock() - per) for _, per in windows]
        coarse = [
            sum(units for at, units in taken if at > clock() - per * 62 / 60 - seconds(0.000004)) for _, per in windows
        ]
        assert all(one + times * cost <= limit for one, (limit, _) in zip(used, windows, strict=True))
        # It errs by a sixtieth of a window at most, towards too few.
        possible = min(max(0, limit - one) // cost for one, (limit, _) in zip(coarse, windows, strict=True))
        assert times >= min(most, possible)
        if times:
            assert wait == NO_WAIT
            returned = min(back, times) * cost
            await store.give_back("p", windows, returned)
            taken.append((clock(), times * cost - returned))
        else:
            clock.pass_(wait)
            again, _ = await store.take("p", windows, cost, 1)
            assert again == 1
            taken.append((clock(), cost))


def at(second):
    return NOON + seconds(second)


def note(noted=None, good=None, failing=None, refused=None, why=""):
    """A note with times in seconds after noon."""
    times = [None if one is None else at(one) for one in (good, failing, refused)]
    return Health(at(noted), at(noted), *times, why)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        pytest.param([note(5, good=5)], note(5, good=5), id="good"),
        pytest.param([note(5, failing=4, why="x")], note(5, failing=4, why="x"), id="failing"),
        pytest.param(
            [note(5, failing=4, why="x"), note(9, failing=8, why="y")],
            note(9, failing=4, why="y"),
            id="the first failure counts, the newest reason is shown",
        ),
        pytest.param(
            [note(9, failing=8, why="y"), note(5, failing=4, why="x")],
            note(9, failing=4, why="y"),
            id="in any order",
        ),
        pytest.param([note(5, failing=4, why="x"), note(6, good=6)], note(6, good=6), id="a good poll heals"),
        pytest.param(
            [note(6, good=6), note(7, failing=4, why="x")],
            note(7, good=6),
            id="a late note of an old failure",
        ),
        pytest.param(
            [note(6, good=6), note(7, failing=7, why="x"), note(8, good=5)],
            note(8, good=6, failing=7, why="x"),
            id="a late note of an old success",
        ),
        pytest.param([note(5, refused=5, failing=5, why="401"), note(6, good=6)], note(6, good=6), id="accepted again"),
        pytest.param(
            [note(5, refused=5, failing=5, why="401"), note(6, good=4)],
            note(6, good=4, failing=5, refused=5, why="401"),
            id="still refused",
        ),
    ],
)
async def test_notes_of_all_processes_merge_into_one_health(store, clock, notes, expected):
    for one in notes:
        await store.note("casino", one)

    health = await store.health("casino")

    assert health.at == NOON
    for field in fields(Health)[1:]:
        assert getattr(health, field.name) == getattr(expected, field.name), field.name


async def test_a_provider_never_polled_is_neither_well_nor_ill(store):
    assert await store.health("casino") == Health(NOON)
