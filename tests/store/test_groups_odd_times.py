"""Groups when rows and clocks come at the worst moment: nothing waits longer than its timers say."""

from monitor.model.group import Told
from monitor.model.window import moment
from tests.builders import commit, entry, message, minutes, row, seconds, target

LEASE, WAIT, INTERVAL = seconds(30), seconds(10), minutes(1)


async def owe(store, clock, *rows):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(600)) == "written"
    await store.move("hot")


async def one(store):
    [group] = await store.claim_groups("ops", 10, LEASE)
    return group


async def say(store, clock, group):
    """Freeze what the group has read, and settle it."""
    told = {item.entry.fingerprint: Told(item.entry, 1, clock()) for item in group.news}
    keys = tuple(item.key for item in group.news)
    frozen = await store.freeze(group, message(*(item.entry for item in group.news), keys=keys))
    assert await store.settle(frozen, told, clock() + minutes(240))


async def due_in(store, clock):
    due = await store._calls.command("ZRANGE", "{bm:c:ops}:due", 0, -1, "WITHSCORES")
    return moment(int(due[1])) - clock()


async def test_after_the_clock_was_set_back_news_wait_an_interval_and_not_the_difference(store, clock):
    await owe(store, clock, row("firing", entry("a"), target()))
    clock.pass_(WAIT)
    await say(store, clock, await one(store))
    clock.pass_(minutes(-60))
    await store.claim_groups("ops", 10, LEASE)

    await owe(store, clock, row("firing", entry("b"), target()))

    assert await due_in(store, clock) <= INTERVAL


async def test_case_46_an_end_that_comes_while_its_beginning_is_being_composed_is_told_at_once(store, clock):
    await owe(store, clock, row("firing", entry("a"), target()))
    clock.pass_(WAIT)
    group = await one(store)
    await owe(store, clock, row("resolved", entry("a", "resolved"), target()))

    await say(store, clock, group)

    assert await due_in(store, clock) == seconds(0)


async def test_after_the_end_was_told_what_fires_next_is_not_hurried(store, clock):
    await owe(store, clock, row("firing", entry("a"), target()), row("firing", entry("b"), target()))
    clock.pass_(WAIT)
    await say(store, clock, await one(store))
    await owe(
        store,
        clock,
        row("resolved", entry("a", "resolved"), target()),
        row("resolved", entry("b", "resolved"), target()),
    )
    group = await one(store)
    await owe(store, clock, row("firing", entry("c"), target()))

    await say(store, clock, group)

    assert await due_in(store, clock) == INTERVAL
