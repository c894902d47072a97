"""What the store keeps of a group in which something is suppressed."""

from dataclasses import replace

from monitor.model.group import NEWS_READ_MAX, Hush
from tests.builders import NOON, entry, failed, message, minutes, row, seconds, target
from tests.store.test_groups import LEASE, WAIT, due_in, firing, one, owe, tell

HUSH = Hush("silenced", NOON, NOON + minutes(60), "maria", "key rotation", watched=True)
HUSHED = {"fp-a": HUSH, "fp-b": HUSH, "fp-c": Hush("inhibited", NOON)}


async def hushed(store, clock, **timings):
    """A group put off for an hour because of what is suppressed in it."""
    await firing(store, clock, **timings)
    clock.pass_(WAIT)
    group = replace(await one(store), hushed=HUSHED)
    assert await store.keep_hushed(group)
    assert await store.defer(group, clock() + minutes(60))
    return group


async def test_what_is_suppressed_is_there_at_the_next_look_and_gone_when_it_is_taken_back(store, clock):
    await hushed(store, clock)
    clock.pass_(minutes(60))
    group = await one(store)
    await store.keep_hushed(replace(group, hushed={}))
    await store.defer(group, clock())

    assert group.hushed == HUSHED
    assert (await one(store)).hushed == {}


async def test_only_whoever_holds_the_group_says_what_is_suppressed(store, clock):
    late = await hushed(store, clock)

    assert not await store.keep_hushed(replace(late, hushed={}))


async def test_a_change_makes_due_what_is_suppressed_and_nothing_else(store, clock):
    await hushed(store, clock)
    await owe(store, clock, row("firing", entry("z"), target(group="g2", wait=minutes(5))))

    await store.rouse("ops")

    group = await one(store)
    assert (group.id, group.hushed) == ("ops-g1", HUSHED)


async def test_a_change_does_not_hurry_the_ladder(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    group = replace(await one(store), hushed=HUSHED)
    await store.keep_hushed(group)
    await store.postpone(await store.freeze(group, message()), clock() + minutes(2), failed("HTTP 503"))

    await store.rouse("ops")

    assert await due_in(store, clock) == minutes(2)


async def test_a_change_during_a_look_is_not_put_off_by_it(store, clock):
    await hushed(store, clock)
    clock.pass_(minutes(60))
    group = await one(store)
    await store.rouse("ops")
    await store.defer(group, clock() + minutes(60))

    assert await due_in(store, clock) == seconds(0)


async def test_a_message_that_says_nothing_makes_nobody_wait_for_the_next(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    await tell(store, clock)
    clock.pass_(minutes(2))
    await firing(store, clock, "b")
    group = await one(store)
    frozen = await store.freeze(group, replace(message(), alerts=(), keys=(group.news[0].key,)))
    await store.settle(frozen, {}, None)
    await firing(store, clock, "c")

    assert await due_in(store, clock) == seconds(0)


async def test_more_news_are_read_on_request(store, clock):
    names = [f"n{number}" for number in range(NEWS_READ_MAX + 3)]
    await owe(store, clock, *(row("firing", entry(name), target()) for name in names))
    clock.pass_(WAIT)
    [group] = await store.claim_groups("ops", 10, LEASE)

    more = await store.read_on(group)

    assert [item.entry.id for item in more.news] == [f"alr_{name}1" for name in names]
    assert await store.read_on(more) == more


async def test_looking_at_what_is_suppressed_uses_up_no_rate(store, clock):
    await firing(store, clock)
    clock.pass_(WAIT)
    for _ in range(5):
        [group] = await store.claim_groups("ops", 10, LEASE, (1, minutes(1)))
        await store.defer(replace(group, hushed=HUSHED), clock())

    await owe(store, clock, row("firing", entry("z"), target(group="g2", wait=seconds(0))))
    assert len(await store.claim_groups("ops", 10, LEASE, (1, minutes(1)))) == 1


async def test_the_route_is_kept_with_the_group(store, clock):
    await owe(store, clock, row("firing", entry(), replace(target(), route="r7")))
    clock.pass_(WAIT)

    assert (await one(store)).route == "r7"
