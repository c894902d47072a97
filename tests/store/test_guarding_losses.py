"""The store forgets what it acknowledged: whoever remembers notices, and no new hold is made until that is harmless."""

import asyncio

import pytest

from monitor.engine.guardports import Quarantine
from monitor.model.window import micros
from monitor.store.guardkeys import index
from monitor.store.life import new_life
from monitor.store.redis import RedisStore
from tests.builders import minutes, seconds
from tests.conftest import PARTITIONS
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()
#: The longest hold, posting delay and read lag.
QUARANTINE = minutes(15) + seconds(12)


@pytest.fixture
async def guard(store):
    await reads(store, {"USDT": fed("100")})
    return store


class Backup:
    """All that a server knows of the guard at one instant, to go back to it."""

    def __init__(self, store):
        self.store, self.kept = store, {}

    async def take(self):
        for key in await self._keys():
            self.kept[key] = await self.store._calls.command("DUMP", key)
        return self

    async def restore(self):
        for key in await self._keys():
            await self.store._calls.command("DEL", key)
        for key, dumped in self.kept.items():
            await self.store._calls.command("RESTORE", key, 0, dumped)

    async def _keys(self):
        found = await self.store._calls.command("KEYS", "*")
        return [key for key in found if b":guard" in key or b"player" in key or b":hold:" in key or b"{bm:h:" in key]


async def reason(store, name="check", **changes):
    return (await store.hold(ask("1", name, **changes), TERMS)).reason


async def test_a_wallet_that_went_back_is_noticed_and_the_hold_is_said_again(guard):
    backup = await Backup(guard).take()
    await guard.hold(ask("60"), TERMS)
    await backup.restore()

    found = await guard.hold(ask("60", "other"), TERMS)

    assert found.reason == "STATE_QUARANTINED"
    assert (await guard.check(ask(), TERMS)).balance.held == amount("60")
    assert (await guard.hold(ask("60"), TERMS)).replayed
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "done"


@pytest.mark.parametrize("used", [True, False], ids=["used before", "used for the first time"])
async def test_a_wallet_that_others_have_pushed_up_again_is_noticed_by_the_hold_that_is_gone(open_store, clock, used):
    ours, theirs = await open_store(), await open_store()
    await reads(ours, {"USDT": fed("100")})
    if used:
        await ours.check(ask(), TERMS)
    backup = await Backup(ours).take()
    await ours.hold(ask("60"), TERMS)
    await backup.restore()
    clock.pass_(seconds(1))
    assert (await theirs.hold(ask("60", "theirs"), TERMS)).allowed, "nobody who would know has been here"

    assert await reason(ours) == "STATE_QUARANTINED"
    assert await reason(theirs, "new") == "STATE_QUARANTINED"
    balance = (await ours.check(ask(), TERMS)).balance
    assert (balance.held, balance.spendable) == (amount("120"), 0)


async def test_quarantine_ends_with_a_reading_that_began_after_it(guard, clock):
    await guard.quarantine_partitions(range(PARTITIONS), TERMS)
    assert (await guard.wallet("player-7", "USDT", TERMS)).bound_until == clock() + QUARANTINE
    assert (await guard.tend(0, clock(), TERMS)).bound == Quarantine(clock() + QUARANTINE)

    clock.pass_(QUARANTINE - seconds(0.000001))
    await reads(guard, {"USDT": fed("100")})
    assert await reason(guard, "a") == "STATE_QUARANTINED"

    clock.pass_(seconds(0.000001))
    assert await reason(guard, "b") == "STATE_QUARANTINED"
    await reads(guard, {"USDT": fed("100")})
    assert await reason(guard, "c") == "STATE_QUARANTINED"

    clock.pass_(seconds(0.000001))
    await reads(guard, {"USDT": fed("100")})
    assert await reason(guard, "d") == "OK"
    assert (await guard.wallet("player-7", "USDT", TERMS)).bound_until is None
    assert (await guard.tend(0, clock(), TERMS)).bound is None


@pytest.mark.parametrize("noticed_by", ["bet", "janitor", "emptied"])
async def test_after_a_reload_a_quarantine_is_as_long_as_holds_made_before_it_may_be_open(guard, clock, noticed_by):
    shorter = terms(hold_max=minutes(1))
    assert shorter.quarantine < TERMS.quarantine
    await guard.check(ask(), TERMS)
    backup = await Backup(guard).take()
    assert (await guard.hold(ask("60", ttl=minutes(15)), TERMS)).allowed
    await guard.check(ask(), shorter)
    clock.pass_(minutes(14))
    where = guard.partition("player-7").number

    async def lose():
        match noticed_by:
            case "bet":
                await backup.restore()
                await guard.check(ask(), shorter)
            case "janitor":
                key = guard.partition("player-7").tag + ":guard"
                known = await guard._calls.command("GET", key)
                await guard._calls.command("SET", key, b"%016d" % 1 + known[16:])
            case "emptied":
                await guard.quarantine_partitions([where], shorter)
        return (await guard.tend(where, clock(), shorter)).bound.until - clock()

    assert await lose() == TERMS.quarantine
    clock.pass_(TERMS.quarantine + seconds(1))
    await reads(guard, {"USDT": fed("100")})
    backup = await Backup(guard).take()
    assert (await guard.hold(ask("1", "new"), shorter)).allowed
    assert await lose() == shorter.quarantine


async def test_a_quarantine_stops_new_holds_only(guard):
    for name in ("a", "b", "c"):
        await guard.hold(ask("10", name), TERMS)
    await guard.quarantine_partitions(range(PARTITIONS), TERMS)

    assert (await guard.commit_hold("casino", "a", None, TERMS)).outcome == "done"
    assert (await guard.settle_hold("casino", "b", TERMS)).outcome == "done"
    assert (await guard.release_hold("casino", "c", TERMS)).outcome == "done"
    assert (await guard.hold(ask("10", "a"), TERMS)).allowed


async def test_one_loss_is_one_quarantine_however_many_remember_it(open_store, clock):
    stores = [await open_store() for _ in range(3)]
    await reads(stores[0], {"USDT": fed("100")})
    backup = await Backup(stores[0]).take()
    for number, store in enumerate(stores):
        await store.hold(ask("1", f"bet-{number}"), TERMS)
    await backup.restore()

    for store in stores:
        assert await reason(store) == "STATE_QUARANTINED"
        clock.pass_(minutes(5))
    clock.pass_(QUARANTINE)
    await reads(stores[0], {"USDT": fed("100")})

    assert [await reason(store, f"new-{number}") for number, store in enumerate(stores)] == ["OK"] * 3


async def test_case_10_a_store_that_was_emptied_is_noticed_by_whoever_was_there(guard):
    await guard.hold(ask("60"), TERMS)
    await guard._calls.command("FLUSHALL")
    await guard.open(PARTITIONS)
    await reads(guard, {"USDT": fed("100")})

    assert await reason(guard) == "STATE_QUARANTINED"
    assert (await guard.check(ask(), TERMS)).balance.held == amount("60")


async def test_what_a_wallet_lost_quarantines_all_of_its_partition(guard, clock):
    beside = next(f"player-{n}" for n in range(8, 99) if guard.partition(f"player-{n}") == guard.partition("player-7"))
    elsewhere = next(
        f"player-{n}" for n in range(8, 99) if guard.partition(f"player-{n}") != guard.partition("player-7")
    )
    for account in (beside, elsewhere):
        await reads(guard, {"USDT": fed("100")}, account)
        await guard.check(ask(account=account), TERMS)
    backup = await Backup(guard).take()
    await guard.hold(ask("60"), TERMS)
    await backup.restore()
    await guard.check(ask(), TERMS)

    assert await reason(guard, "a", account=beside) == "STATE_QUARANTINED"
    assert await reason(guard, "b", account=elsewhere) == "OK"


async def test_what_is_remembered_for_long_proves_nothing(guard, clock):
    await guard.hold(ask("60"), TERMS)
    clock.pass_(minutes(60 * 13))
    backup = guard._wallets("player-7")
    await guard._calls.command("DEL", backup.wallets, backup.held, backup.record("casino", "bet-1"))
    await reads(guard, {"USDT": fed("100")})

    assert await reason(guard) == "OK"


@pytest.mark.parametrize(
    ("lives", "found"),
    [
        (("one", "one"), ["OK", "OK"]),
        (("one", "two"), ["OK", "STATE_QUARANTINED"]),
    ],
    ids=["the same", "another"],
)
async def test_another_life_of_the_server_quarantines(valkey_server, clock, lives, found):
    with valkey_server.client() as client:
        client.flushall()
    for number, (life, expected) in enumerate(zip(lives, found, strict=True)):
        store = await RedisStore.connect(valkey_server.url, partitions=PARTITIONS, life=life)
        store.clock_override = clock
        clock.pass_(seconds(1))
        await reads(store, {"USDT": fed("100")})
        assert await reason(store, f"bet-{number}") == expected
        await store.close()


async def test_another_life_is_noticed_by_whoever_knows_the_one_before(guard):
    await guard.check(ask(), TERMS)
    guard.life = lambda: ("another", "1")

    assert await reason(guard) == "STATE_QUARANTINED"


@pytest.mark.parametrize(
    ("ago", "found"),
    [(seconds(0), "STATE_QUARANTINED"), (TERMS.quarantine - seconds(2), "STATE_QUARANTINED"), (TERMS.quarantine, "OK")],
    ids=["just now", "not long ago", "long ago"],
)
async def test_where_all_may_have_been_lost_nothing_is_held_until_that_can_matter_no_more(
    valkey_server, clock, ago, found
):
    with valkey_server.client() as client:
        client.flushall()
    lost = new_life(micros(clock() - ago))
    store = await RedisStore.connect(valkey_server.url, partitions=PARTITIONS, life=lost)
    store.clock_override = clock
    clock.pass_(seconds(1))
    await reads(store, {"USDT": fed("100")})

    assert await reason(store) == found
    await store.close()


async def test_a_new_store_that_keeps_nothing_is_not_trusted(valkey_server, clock):
    with valkey_server.client() as client:
        client.flushall()
    store = await RedisStore.connect(valkey_server.url, partitions=PARTITIONS)
    store.clock_override = clock
    await reads(store, {"USDT": fed("100")})

    assert await reason(store) == "STATE_QUARANTINED"
    await store.close()


async def test_own_holds_are_said_again_though_whoever_noticed_the_loss_was_not_answered_in_time(open_store):
    ours, other = await open_store(), await open_store()
    await reads(ours, {"USDT": fed("100")})
    backup = await Backup(ours).take()
    for number in range(40):
        await ours.hold(ask("1", f"bet-{number}"), TERMS)
    await backup.restore()
    together, noticed, given_up = ours._guard_calls.together, asyncio.Event(), asyncio.Event()

    async def slowly(*commands):
        noticed.set()
        await given_up.wait()
        return await together(*commands)

    ours._guard_calls.together = slowly
    call = asyncio.create_task(ours.check(ask(), TERMS))
    await noticed.wait()
    call.cancel()
    await asyncio.wait([call])
    given_up.set()
    await ours.close()

    assert (await other.check(ask(), TERMS)).balance.held == amount("40")


@pytest.mark.parametrize("call", ["commit_hold", "settle_hold"])
async def test_a_bet_whose_hold_was_lost_stands_where_its_own_process_is_the_first_to_notice(guard, call):
    backup = await Backup(guard).take()
    await guard.hold(ask("60"), TERMS)
    await backup.restore()

    args = ("casino", "bet-1", amount("50")) if call == "commit_hold" else ("casino", "bet-1")
    assert (await getattr(guard, call)(*args, TERMS)).outcome == "done"

    left = (await guard.check(ask(), TERMS)).balance
    assert (left.held, left.unsettled) == (0, amount("50" if call == "commit_hold" else "60"))
    assert await reason(guard) == "STATE_QUARANTINED"


async def test_a_hold_that_is_said_again_is_known_for_longer_than_it_lasts(guard):
    brief = terms(hold_ids=minutes(1))
    backup = await Backup(guard).take()
    await guard.hold(ask("60", ttl=minutes(10)), brief)
    await backup.restore()
    await guard.check(ask(), brief)

    left_ms = await guard._calls.command("PTTL", guard._wallets("player-7").record("casino", "bet-1"))
    assert left_ms > 10.9 * 60_000


async def test_what_is_said_again_is_neither_over_nor_ended(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await reads(ours, {"USDT": fed("100")})
    for name in ("over", "released", "committed", "open"):
        await ours.hold(ask("10", name, ttl=seconds(10) if name == "over" else minutes(5)), TERMS)
    clock.pass_(seconds(20))
    await theirs.release_hold("casino", "released", TERMS)
    await theirs.commit_hold("casino", "committed", amount("9"), TERMS)
    for _ in range(2):
        await theirs.quarantine_partitions(range(PARTITIONS), TERMS)
        await ours.check(ask(), TERMS)

    left = (await theirs.check(ask(), TERMS)).balance
    assert (left.held, left.unsettled) == (amount("10"), amount("9"))


@pytest.mark.parametrize(("before", "after"), [(minutes(1), minutes(60 * 24)), (minutes(60 * 24), minutes(1))])
async def test_other_settings_are_no_loss(guard, clock, before, after):
    await guard.hold(ask("10"), terms(hold_ids=before))
    await guard.release_hold("casino", "bet-1", terms(hold_ids=before))
    wallets = guard._wallets("player-7")
    clock.pass_(minutes(2))
    # As a record that was kept for a minute; the server's own clock stands still here.
    await guard._calls.command("DEL", wallets.record("casino", "bet-1"), wallets.wallets)
    await reads(guard, {"USDT": fed("100")})

    assert (await guard.hold(ask("10", "next"), terms(hold_ids=after))).reason == "OK"


@pytest.mark.parametrize("open_store", ["cluster3"], indirect=True)
@pytest.mark.parametrize("call", ["commit_hold", "settle_hold"])
async def test_a_bet_stands_though_a_node_has_lost_whose_it_is(open_store, call):
    ours, theirs = await open_store(), await open_store()
    await reads(ours, {"USDT": fed("100")})
    await ours.hold(ask("90"), TERMS)
    await ours._guard_calls.command("DEL", index("casino", "bet-1"))

    args = ("casino", "bet-1", None) if call == "commit_hold" else ("casino", "bet-1")
    assert (await getattr(theirs, call)(*args, TERMS)).outcome == "done"

    assert (await theirs.check(ask(), TERMS)).balance.unsettled == amount("90")
    assert (await theirs.find_hold("casino", "bet-1", TERMS))[0].account == "player-7"
    assert (await getattr(theirs, call)("casino", "other", *args[2:], TERMS)).outcome == "hold-unknown"


async def test_a_settled_bet_is_remembered_for_no_longer_than_others(guard):
    only = terms(posting_delay=None)
    await guard.hold(ask("10"), only)
    ids = index("casino", "bet-1"), guard._wallets("player-7").record("casino", "bet-1")

    async def kept_days():
        return [await guard._calls.command("PTTL", one) // 86_400_000 for one in ids]

    await guard.commit_hold("casino", "bet-1", None, only)
    assert min(await kept_days()) >= 365
    await guard.settle_hold("casino", "bet-1", only)
    assert max(await kept_days()) <= 1
