"""Which configuration is the newest, and that a record listens to no older one."""

import pytest

from monitor.model.record import Commit, Record
from monitor.model.standing import Held
from monitor.store.claiming import SILENT_AFTER
from monitor.store.keys import NEWEST
from tests.builders import minutes, seconds


async def commit(store, clock, generation):
    await store.enrol("casino", {"hot": clock()})
    [claim] = (await store.claim("casino", 1, seconds(30))).claims
    record = await store.load("hot")
    answer = await store.commit("casino", Commit(record, record), claim, clock(), generation=generation)
    await store.release("casino", [claim])
    return answer, (await store.load("hot")).generation


async def test_whoever_starts_or_reloads_with_another_configuration_takes_the_next_generation(store):
    assert await store.enter("one", "a") == Held(1, newest=True, alone=True)
    assert await store.enter("two", "b") == Held(2, newest=True, alone=False)
    assert await store.enter("three", "b") == Held(2, newest=True, alone=False)

    assert await store.enter("one", "a", 1) == Held(2, newest=False, alone=False)
    assert await store.enter("four", "a") == Held(3, newest=True, alone=False), "a rollback is a new configuration"
    assert await store.enter("one", "a", 1) == Held(3, newest=True, alone=False)


async def test_who_leaves_or_is_silent_runs_nothing_any_more(store, clock):
    await store.enter("one", "a")
    await store.enter("two", "b")
    await store.leave("one")
    assert (await store.enter("two", "b", 2)).alone

    await store.enter("three", "a", 1)
    clock.pass_(SILENT_AFTER)
    assert not (await store.enter("two", "b", 2)).alone
    clock.pass_(seconds(1))
    assert (await store.enter("two", "b", 2)).alone


async def test_an_older_configuration_takes_over_only_when_nobody_runs_the_newest(store, clock):
    await store.enter("one", "a")
    await store.enter("two", "b")
    clock.pass_(SILENT_AFTER)
    assert not (await store.enter("one", "a", 1)).newest

    clock.pass_(seconds(1))

    assert await store.enter("one", "a", 1) == Held(3, newest=True, alone=True)


async def test_whoever_was_silent_for_so_long_that_others_took_it_for_gone_is_told(store, clock):
    assert not (await store.enter("one", "a")).missed, "it was not there before"
    clock.pass_(SILENT_AFTER)
    assert not (await store.enter("one", "a", 1)).missed
    clock.pass_(SILENT_AFTER + seconds(1))
    assert (await store.enter("one", "a", 1)).missed
    assert not (await store.enter("one", "a", 1)).missed

    clock.pass_(SILENT_AFTER + seconds(1))
    await store.enter("two", "b")

    assert (await store.enter("one", "a", 1)).missed, "forgotten by the other one"


async def test_a_clock_that_is_set_back_keeps_nobody_out(store, clock):
    await store.enter("one", "a")
    await store.enter("two", "b")

    clock.pass_(minutes(-60))

    assert (await store.enter("one", "a", 1)).newest


async def test_what_the_store_has_lost_is_restored_by_whoever_has_the_most(store):
    for _ in range(2):
        await store._calls.command("DEL", NEWEST)
        await store.enter("old", "a", 4)
        await store.enter("new", "b", 7)
        assert await store.enter("old", "a", 4) == Held(7, newest=False, alone=False)


async def test_a_lone_process_never_locks_itself_out_though_records_know_a_generation_that_the_store_lost(store, clock):
    await store.enter("one", "a")
    assert await commit(store, clock, 9) == ("written", 9)
    assert await commit(store, clock, 1) == ("outdated", 9)

    held = await store.enter("one", "a", 1, 9)

    assert held == Held(10, newest=True, alone=True)
    assert await commit(store, clock, held.generation) == ("written", 10)


async def test_a_record_that_a_newer_configuration_has_judged_is_not_written_by_an_older_one(store, clock):
    assert await commit(store, clock, 1) == ("written", 1)
    assert await commit(store, clock, 2) == ("written", 2)
    assert await commit(store, clock, 1) == ("outdated", 2)
    assert await commit(store, clock, 2) == ("written", 2)


async def test_a_record_of_a_release_without_generations_is_of_the_oldest(store, clock):
    assert await commit(store, clock, 0) == ("written", 0)
    where = store.partition("hot")
    assert await store._calls.command("HGET", where.record("hot"), "g") is None

    assert await commit(store, clock, 1) == ("written", 1)


@pytest.mark.parametrize("due", [minutes(-1), minutes(600)], ids=["due", "due only tomorrow"])
async def test_one_account_is_leased_whenever_it_is_due_and_nobody_is_at_it(store, clock, due):
    await store.enrol("casino", {"hot": clock() + due})

    claim = await store.take_one("casino", "hot", seconds(30))

    assert claim is not None
    assert claim.due_at == clock() + due
    assert await store.take_one("casino", "hot", seconds(30)) is None
    assert (await store.claim("casino", 1, seconds(30))).claims == ()
    assert await store.commit("casino", Commit(Record("hot"), Record("hot")), claim, claim.due_at) == "written"
    assert await store.due_at("casino", "hot") == clock() + due
    assert await store.take_one("casino", "unknown", seconds(30)) is None
