"""Accounts made at run time, as every process finds them in the store."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from monitor.guard.hold import Lock
from monitor.model.record import Point
from monitor.model.watch import Ended, Place
from tests.builders import commit, entry, minutes, row, seconds
from tests.conftest import PARTITIONS
from tests.facts import event
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads
from tests.post import owe

KEPT = timedelta(hours=24)


async def watch(store, name="player-7", provider="casino", settings='{"external_id":"7"}', expires_in=None):
    watched, new, before = await store.watch(name, provider, settings, expires_in, KEPT)
    return watched, new, before


async def all_news(store, since=None):
    """Everything since a place, as names: live, ended, expired; and the place after it."""
    live, ended, expired = {}, {}, []
    while True:
        news = await store.watch_news(since, KEPT)
        live.update((one.account, one) for one in news.live)
        ended.update((one.account, one.reason) for one in news.ended)
        expired += [one.account for one in news.expired]
        since = news.place
        if not news.more:
            return live, ended, expired, news


async def test_a_watch_is_there_for_every_process_once_it_was_made(open_store):
    mine, other = await open_store(), await open_store()

    watched, new, before = await watch(mine)

    assert new
    assert before == ""
    assert watched.settings == '{"external_id":"7"}'
    assert watched.expires_at is None
    assert await other.find_watch("player-7") == watched
    assert (await all_news(other))[0] == {"player-7": watched}
    assert [one._replace(number=0) for one in await other.watched()] == [watched._replace(number=0)]


async def test_the_same_watch_again_changes_nothing_and_another_is_news(open_store):
    mine, other = await open_store(), await open_store()
    first, _, _ = await watch(mine)
    *_, news = await all_news(other)

    again, new, _ = await watch(mine)
    assert (again, new) == (first, False)
    assert (await all_news(other, news.place))[0] == {}

    changed, new, before = await watch(mine, provider="chain", settings='{"addresses":["a"]}')
    assert (new, before) == (False, "casino")
    assert (await all_news(other, news.place))[0] == {"player-7": changed}


async def test_a_watch_ends_by_itself_never_early_and_once(open_store, clock):
    mine, other = await open_store(), await open_store()
    watched, _, _ = await watch(mine, expires_in=minutes(30))
    assert watched.expires_at == clock() + minutes(30)
    await watch(mine, "player-8")

    clock.pass_(minutes(30) - timedelta(microseconds=1))
    live, _, expired, news = await all_news(mine)
    assert (set(live), expired) == ({"player-7", "player-8"}, [])

    clock.pass_(timedelta(microseconds=1))
    assert (await other.find_watch("player-7")).reason == "watch_expired", "also before anybody has ended it"
    _, ended, expired, _ = await all_news(mine, news.place)
    assert (ended, expired) == ({"player-7": "watch_expired"}, ["player-7"])
    _, ended, expired, news = await all_news(other, news.place)
    assert (ended, expired) == ({"player-7": "watch_expired"}, []), (
        "whoever ends it is told so, the others that it ended"
    )
    assert news.alive == 1


async def test_to_watch_again_renews_the_time_and_without_one_it_does_not_end(store, clock):
    await watch(store, expires_in=minutes(30))
    clock.pass_(minutes(20))
    renewed, new, _ = await watch(store, expires_in=minutes(30))
    assert (new, renewed.expires_at) == (False, clock() + minutes(30))
    clock.pass_(minutes(20))
    assert (await all_news(store))[2] == []

    await watch(store)
    clock.pass_(timedelta(hours=1000))
    assert (await all_news(store))[2] == []


async def test_a_watch_that_ran_out_unnoticed_begins_anew(store, clock):
    await watch(store, expires_in=minutes(30))
    clock.pass_(minutes(31))

    _, new, before = await watch(store, expires_in=minutes(30))

    assert (new, before) == (True, "")


async def test_a_removed_watch_is_remembered_and_may_begin_again(open_store):
    mine, other = await open_store(), await open_store()
    await watch(mine)
    *_, news = await all_news(other)

    ended = await mine.unwatch("player-7", "account_removed", KEPT)

    assert (ended.provider, ended.reason) == ("casino", "account_removed")
    assert await other.find_watch("player-7") == ended
    assert (await all_news(other, news.place))[1] == {"player-7": "account_removed"}
    assert await mine.unwatch("player-7", "account_removed", KEPT) is None
    watched, new, _ = await watch(mine)
    assert new
    assert watched.number > ended.number
    assert await other.find_watch("player-7") == watched


async def test_a_configured_account_takes_the_place_of_a_watch(store):
    await watch(store)
    await watch(store, "gone")
    await store.unwatch("gone", "account_removed", KEPT)

    assert await store.yield_watches(["player-7", "gone", "never"], KEPT) == ["player-7"]

    for name in ("player-7", "gone"):
        assert (await store.find_watch(name)).reason == "account_configured"
    assert await store.find_watch("never") is None


async def test_what_is_over_is_forgotten_when_its_time_has_come_unless_it_began_again(store, clock):
    await watch(store)
    await watch(store, "player-8")
    for name in ("player-7", "player-8"):
        await store.unwatch(name, "account_removed", KEPT)
    clock.pass_(KEPT - seconds(1))
    assert await store.over_watches(10) == []
    clock.pass_(seconds(1))
    over = {one.account: one for one in await store.over_watches(10)}
    assert set(over) == {"player-7", "player-8"}

    await watch(store)
    await store.forget_watch(over["player-7"])
    await store.forget_watch(over["player-8"], seconds(60))
    assert await store.over_watches(10) == []
    clock.pass_(seconds(60))
    [later] = await store.over_watches(10)
    await store.forget_watch(later)

    assert await store.find_watch("player-8") is None
    assert (await store.find_watch("player-7")).provider == "casino"
    names = await store._calls.command("KEYS", "{bm:x}:watches*")
    assert sorted(names) == [b"{bm:x}:watches", b"{bm:x}:watches:changes", b"{bm:x}:watches:clock"]


async def test_a_thousand_watches_are_told_page_by_page_and_end_together(store, clock):
    names = {f"player-{number}" for number in range(1_000)}
    await asyncio.gather(*(watch(store, name, expires_in=minutes(1)) for name in names))

    live, _, _, news = await all_news(store)
    assert set(live) == names
    assert news.alive == 1_000
    clock.pass_(minutes(1))
    _, ended, expired, news = await all_news(store, news.place)
    assert set(expired) == set(ended) == names
    assert (len(expired), news.alive) == (1_000, 0)


async def test_a_store_that_lost_everything_begins_anew(store):
    await watch(store)
    *_, news = await all_news(store)
    await store._calls.command("FLUSHALL")
    await store.load_functions()

    after = await store.watch_news(news.place, KEPT)

    assert (after.whole, after.alive, after.live) == (True, 0, ())
    assert (await store.watch_news(Place(after.place.life, news.place.number + 10**15), KEPT)).whole


async def test_a_clock_that_was_set_back_moves_the_end_with_it(store, clock):
    await watch(store, expires_in=minutes(30))
    *_, news = await all_news(store)
    clock.pass_(-timedelta(hours=5))

    moved = await store.watch_news(news.place, KEPT)

    assert moved.whole
    assert abs(moved.live[0].expires_at - (clock() + minutes(30))) <= seconds(1)


async def test_there_is_a_bound(store, monkeypatch):
    monkeypatch.setattr("monitor.store.watches.WATCHES_MAX", 2)
    await watch(store, "a")
    await watch(store, "b")

    assert await store.watch("c", "casino", "{}", None, KEPT) == "full"
    assert not (await watch(store, "a", settings="{}"))[1], "what there is may change"
    await store.unwatch("b", "account_removed", KEPT)
    assert (await watch(store, "c"))[1]


async def test_an_unknown_account_was_never_watched(store):
    assert await store.find_watch("nobody") is None
    assert await store.unwatch("nobody", "account_removed", KEPT) is None


@pytest.mark.parametrize("name", ["account with spaces", "ünï", "{bm:0}"])
async def test_any_name_comes_back_as_it_was(store, name):
    await watch(store, name, settings='{"labels": {"a b": "ü"}}')
    await store.unwatch(name, "account_removed", KEPT)

    assert isinstance(await store.find_watch(name), Ended)


async def read_once(store, clock, name):
    """The account is polled once, with a reading that is kept."""
    await store.enrol("casino", {name: clock()})
    [claim] = [one for one in (await store.claim("casino", 100, seconds(5))).claims if one.account == name]
    record = await store.load(name)
    points = (Point("USDT@ETH", "total", Decimal(100), clock()),)
    happened = (event(at=clock()),)
    read = commit(record)._replace(points=points, events=happened)
    assert await store.commit("casino", read, claim, clock() + minutes(1)) == "written"


async def keys_of(store, name):
    found = await asyncio.gather(*(store._calls.command("KEYS", f"{where.tag}:*{name}*") for where in store.partitions))
    return sorted(key.decode().partition(":")[2].partition(":")[2] for part in found for key in part)


async def test_what_is_known_of_an_account_goes_with_it(store, clock):
    await read_once(store, clock, "player-7")
    await store.dismiss("casino", ["player-7"])
    assert len(await keys_of(store, "player-7")) == 4

    assert await store.erase("casino", "player-7", await store.version("player-7"))

    assert await keys_of(store, "player-7") == []
    assert await store.erase("casino", "player-7", 0), "again changes nothing"


async def test_an_account_that_somebody_polls_again_keeps_what_is_known(store, clock):
    await read_once(store, clock, "player-7")
    before = await store.version("player-7")
    clock.pass_(minutes(1))
    await read_once(store, clock, "player-7")

    assert not await store.erase("casino", "player-7", before)

    assert len(await keys_of(store, "player-7")) == 4


async def test_an_account_that_still_owes_news_is_not_forgotten(store, clock):
    await owe(store, clock, [row("firing", entry())], account="player-7")
    version = await store.version("player-7")
    assert not await store.erase("casino", "player-7", version)
    clock.pass_(minutes(1))
    await store.sweep(10)

    assert await store.erase("casino", "player-7", version)


async def test_a_locked_player_whose_session_was_forgotten_is_locked_in_the_next_one(store, clock):
    await reads(store, {"USDT": fed("100")})
    await store.lock("player-7", "USDT", Lock("self-exclusion"))
    await store.dismiss("casino", ["player-7"])

    assert await store.erase("casino", "player-7", await store.version("player-7"))

    await reads(store, {"USDT": fed("100")})
    assert (await store.check(ask(), terms())).reason == "ACCOUNT_LOCKED"


async def test_a_debit_that_nobody_has_settled_outlives_its_session(store, clock):
    only = terms(posting_delay=None)
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60"), only)
    await store.commit_hold("casino", "bet-1", None, only)
    await store.dismiss("casino", ["player-7"])
    clock.pass_(minutes(60 * 25))
    for number in range(PARTITIONS):
        await store.tend(number, clock(), only)

    await store.erase("casino", "player-7", await store.version("player-7"))

    await reads(store, {"USDT": fed("100")})
    assert (await store.check(ask(), only)).balance.unsettled == amount("60")
