"""Rows reach their groups in order, each with effect once, whoever moves them and dies at it."""

import asyncio
import itertools

import pytest

from monitor.errors import StoreUnavailable
from monitor.store import codec
from monitor.store.keys import ChannelKeys
from tests.builders import commit, entry, message, minutes, row, seconds, target

LEASE = seconds(30)
OVERDUE = seconds(5)


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


def cut_power(store, blow):
    """Let the store die at the `blow`-th chance: two for every call, before and after."""
    chances, calls = itertools.count(), store._calls

    def spark():
        if next(chances) == blow:
            raise PowerCut

    class Fused:
        def __getattr__(self, name):
            async def call(*args):
                spark()
                result = await getattr(calls, name)(*args)
                spark()
                return result

            return call

    store._calls = Fused()
    return calls


async def owe(store, clock, *rows, account="hot"):
    """One poll of the account that owes these rows."""
    await store.enrol("casino", {account: clock()})
    await store.poll_now("casino", account)
    claims = (await store.claim("casino", 100, LEASE)).claims
    claim = next(one for one in claims if one.account == account)
    record = await store.load(account)
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(60)) == "written"


async def told(store, channel="ops", group=None):
    """What lies in a group, in order: the news' kinds and alerts."""
    where = ChannelKeys(channel)
    name = group or f"{channel}-g1"
    keys = await store._calls.command("LRANGE", where.news(name), 0, -1)
    assert len(keys) == len(set(keys)) == await store._calls.command("HLEN", where.items(name))
    items = [codec.item(await store._calls.command("HGET", where.items(name), key)) for key in keys]
    return [(one.news, one.entry.id) for one in items]


def episode(number, *targets):
    return (
        row("firing", entry("a", episode=number), *targets),
        row("resolved", entry("a", "resolved", episode=number), *targets),
    )


async def test_rows_arrive_in_the_order_in_which_they_were_owed(store, clock):
    await owe(store, clock, *episode(1))
    await owe(store, clock, *episode(2))

    assert await store.move("hot") == 4
    assert await told(store) == [
        ("firing", "alr_a1"), ("resolved", "alr_a1"), ("firing", "alr_a2"), ("resolved", "alr_a2"),
    ]  # fmt: skip


async def test_more_than_ten_rows_of_one_poll_keep_their_order(store, clock):
    await owe(store, clock, *(row("event", entry(f"{number}")) for number in range(12)))

    await store.move("hot")

    assert await told(store) == [("event", f"alr_{number}1") for number in range(12)]


async def test_moving_again_has_no_effect(store, clock):
    await owe(store, clock, *episode(1))

    moved = [await store.move("hot") for _ in range(3)]

    # Only the sweep strikes rows off: they would heal a failover that lost the first application.
    assert moved == [2, 2, 2]
    assert await told(store) == [("firing", "alr_a1"), ("resolved", "alr_a1")]


async def test_every_target_gets_its_rows_and_only_those(store, clock):
    first, second = target("ops"), target("chat")
    await owe(store, clock, row("firing", entry("a"), first, second), row("firing", entry("b"), second))

    await store.move("hot")

    assert await told(store, "ops") == [("firing", "alr_a1")]
    assert await told(store, "chat") == [("firing", "alr_a1"), ("firing", "alr_b1")]


async def test_two_accounts_with_equal_row_numbers_share_a_group(store, clock):
    accounts = ["hot", "cold", "warm", "x"]
    for account in accounts:
        await owe(store, clock, row("firing", entry(account)), account=account)
        await store.move(account)

    assert sorted(await told(store)) == sorted(("firing", f"alr_{account}1") for account in accounts)


async def test_a_slow_mover_that_saw_only_the_first_rows_changes_nothing(open_store, clock):
    slow, fast = await open_store(), await open_store()
    await owe(fast, clock, *episode(1))
    gate, reached, fcall = asyncio.Event(), asyncio.Event(), slow._calls.fcall

    async def late(function, *args):
        if function == "bm_apply":
            reached.set()
            await gate.wait()
        return await fcall(function, *args)

    slow._calls.fcall = late
    slowly = asyncio.create_task(slow.move("hot"))
    await reached.wait()
    await owe(fast, clock, *episode(2))
    await fast.move("hot")
    gate.set()

    assert await slowly == 2
    assert [news for news, _ in await told(fast)] == ["firing", "resolved"] * 2


async def test_a_sweep_moves_what_a_dead_committer_left_behind_and_strikes_it_off(open_store, clock):
    dead, alive = await open_store(), await open_store()
    await owe(dead, clock, *episode(1))

    early = await alive.sweep(10)
    clock.pass_(OVERDUE)
    swept = [await alive.sweep(10), await alive.sweep(10)]

    assert (early, swept) == (0, [1, 0])
    assert await told(alive) == [("firing", "alr_a1"), ("resolved", "alr_a1")]
    assert await alive.move("hot") == 0


async def test_a_sweep_heals_a_channel_that_lost_what_was_applied(store, clock):
    await owe(store, clock, *episode(1))
    await store.move("hot")
    await store._calls.command(
        "DEL", *(getattr(ChannelKeys("ops"), what)("ops-g1") for what in ("group", "news", "items", "marks"))
    )

    clock.pass_(OVERDUE)
    await store.sweep(10)

    assert await told(store) == [("firing", "alr_a1"), ("resolved", "alr_a1")]


async def test_rows_that_come_during_a_sweep_are_not_struck_off_with_the_others(open_store, clock):
    sweeper, other = await open_store(), await open_store()
    await owe(other, clock, *episode(1))
    clock.pass_(OVERDUE)
    fcall = sweeper._calls.fcall

    async def interrupted(function, *args):
        if function == "bm_strike":
            await owe(other, clock, *episode(2))
        return await fcall(function, *args)

    sweeper._calls.fcall = interrupted
    await sweeper.sweep(10)
    left = await other.move("hot")
    clock.pass_(OVERDUE)

    assert left == 2
    assert await other.sweep(10) == 1
    assert [news for news, _ in await told(other)] == ["firing", "resolved"] * 2


async def test_a_sweep_is_bounded(store, clock):
    for number in range(7):
        await owe(store, clock, row("firing", entry(str(number))), account=f"acc-{number}")
    clock.pass_(OVERDUE)

    assert [await store.sweep(3) for _ in range(4)] == [3, 3, 1, 0]


async def test_one_channel_in_trouble_does_not_keep_the_rows_of_another(store, clock):
    await owe(store, clock, row("firing", entry("a"), target("broken"), target("ops")))
    await store._calls.command("SET", ChannelKeys("broken").news("broken-g1"), "not a list")

    with pytest.raises(StoreUnavailable):
        await store.move("hot")
    clock.pass_(OVERDUE)
    with pytest.raises(StoreUnavailable):
        await store.sweep(10)
    await store._calls.command("DEL", ChannelKeys("broken").news("broken-g1"))
    await store.sweep(10)

    assert await told(store, "ops") == [("firing", "alr_a1")]
    assert await told(store, "broken") == [("firing", "alr_a1")]


async def test_a_clock_set_back_does_not_delay_the_sweep(store, clock):
    await owe(store, clock, *episode(1))
    await store.sweep(10)

    clock.pass_(-minutes(60))
    await store.sweep(10)
    clock.pass_(OVERDUE)

    assert await store.sweep(10) == 1


async def test_no_crash_of_a_mover_loses_repeats_or_reorders_a_row(open_store, clock):
    for blow in itertools.count():
        dying, healthy = await open_store(), await open_store()
        await healthy._calls.everywhere("FLUSHALL")
        await healthy.seed_epochs()
        await owe(healthy, clock, *episode(1, target("ops"), target("chat")))
        await owe(healthy, clock, *episode(2, target("ops"), target("chat")))
        clock.pass_(OVERDUE)
        whole = cut_power(dying, blow)
        died = False
        try:
            await dying.move("hot")
            await dying.sweep(10)
        except PowerCut:
            died = True
        dying._calls = whole
        await whole.drain()
        clock.pass_(OVERDUE)
        await healthy.move("hot")
        await healthy.sweep(10)
        clock.pass_(OVERDUE)
        await healthy.sweep(10)

        expected = [(news, f"alr_a{number}") for number in (1, 2) for news in ("firing", "resolved")]
        for channel in ("ops", "chat"):
            assert await told(healthy, channel) == expected, f"the power failed at point {blow}"
        assert await healthy.move("hot") == 0
        if not died:
            break
    assert blow > 15, "the fuse never reached the interesting places"


async def test_a_group_forgets_rows_an_hour_after_it_fell_silent_and_no_sooner(store, clock):
    await owe(store, clock, *episode(1))
    await store.move("hot")
    clock.pass_(seconds(10))
    [group] = await store.claim_groups("ops", 10, LEASE)
    frozen = await store.freeze(group, message(keys=tuple(item.key for item in group.news)))
    await store.settle(frozen, {}, None)

    clock.pass_(minutes(59))
    early = await store.tidy("ops")
    await store.sweep(10)
    repeated = await told(store)
    clock.pass_(minutes(2))

    assert (early, repeated) == (0, [])
    assert await store.tidy("ops") == 1
    assert await store._calls.command("KEYS", "{bm:c:ops}:*:ops-g1") == []


async def test_a_group_that_owes_or_knows_something_is_never_forgotten(store, clock):
    await owe(store, clock, row("firing", entry()))
    await store.move("hot")

    clock.pass_(minutes(600))

    assert await store.tidy("ops") == 0
