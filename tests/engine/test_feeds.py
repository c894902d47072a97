"""Fetched prices: who fetches, who knows them, and what remains when nobody answers."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import fakeredis
import pytest
from structlog.testing import capture_logs

from monitor.engine.feeds import FeedReader, account_of_feed, refresh
from monitor.engine.poll import Polling, poll
from monitor.engine.poller import Poller
from monitor.engine.pricing import Feed, PriceBook
from monitor.engine.watch import Watch
from monitor.errors import ProviderUnreachable
from monitor.model.price import Fetched, Posted, Quote
from monitor.model.record import Record
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.facts import policy, rule, snapshot
from tests.fakes import FakeLine, loop_clock, virtual_time


@dataclass
class Market:
    """A source of prices that answers in turn; the last answer for ever. None: it is down."""

    answers: list
    asked: list = field(default_factory=list)

    async def fetch(self, budget, now):
        await budget.spend(1)
        self.asked.append(now)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if said is None:
            raise ProviderUnreachable("no connection")
        prices, note = said if isinstance(said, tuple) else (said, "")
        return Fetched({asset: Decimal(price) for asset, price in prices.items()}, note)


class Free:
    async def spend(self, cost):
        pass

    async def correct(self, remaining):
        pass


def feed(of="a"):
    return Feed("market", minutes(15), of)


def price(known, now, asset="BTC"):
    return PriceBook([known]).prices(snapshot({asset: "1"}), now).get(asset)


async def new_store(server):
    store = RedisStore(FakeLine(server))
    await store.open(4)
    store.clock_override = loop_clock
    return store


@asynccontextmanager
async def processes(market, count):
    """As many processes on one store, each with its own feed, polling it every five minutes."""
    server, them, running, pollers = fakeredis.FakeServer(), [], [], []
    for _ in range(count):
        store, known = await new_store(server), feed()
        account = account_of_feed(known, minutes(5))
        watch = Watch(policy(), (rule("stale"),), lambda one, now: now + one.interval)
        polling = Polling(account.provider, FeedReader(store, known, market), seconds(10), store, watch, loop_clock)
        poller = Poller(
            polling, {account.name: account}, 1, (), 1,
            lambda *_: None, lambda: None, lambda now: None, lambda took: None,
        )  # fmt: skip
        await store.enrol(account.provider, {account.name: loop_clock()})
        pollers.append(poller)
        running.append(asyncio.create_task(poller.run()))
        them.append((store, known))
    yield them
    for poller in pollers:
        poller.stop()
    await asyncio.gather(*running)
    for store, _ in them:
        await store.close()


@virtual_time
async def test_one_of_several_processes_fetches_and_all_know_the_prices():
    market = Market([{"BTC": "60000"}, {"BTC": "61000"}])
    async with processes(market, 3) as them:
        await asyncio.sleep(1)
        for store, known in them:
            await refresh(known, store)
        assert len(market.asked) == 1
        assert [price(known, loop_clock()) for _, known in them] == [60_000] * 3

        await asyncio.sleep(301)
        for store, known in them:
            await refresh(known, store)
        assert len(market.asked) == 2
        assert [price(known, loop_clock()) for _, known in them] == [61_000] * 3


@virtual_time
async def test_while_it_is_down_the_last_prices_hold_until_they_are_too_old_and_the_log_says_so_twice():
    market = Market([{"BTC": "60000"}, None, None, None, None, {"BTC": "50000"}])
    async with processes(market, 1) as [(_, known)]:
        with capture_logs() as logs:
            await asyncio.sleep(14 * 60)
            assert price(known, loop_clock()) == 60_000
            await asyncio.sleep(2 * 60)
            assert price(known, loop_clock()) is None
            await asyncio.sleep(10 * 60)
            assert price(known, loop_clock()) == 50_000

    said = [(line["event"], line["account"]) for line in logs if line["event"].startswith("account.")]
    assert said == [("account.failing", "prices:market"), ("account.recovered", "prices:market")]


@virtual_time
async def test_no_rule_of_the_user_judges_a_source_of_prices():
    market = Market([None])
    async with processes(market, 1) as [(store, _)]:
        await asyncio.sleep(60 * 60)

        assert (await store.load("prices:market")).alerts == ()


async def test_a_fetch_that_one_process_has_claimed_is_nobody_elses(open_store, clock):
    market, known, one = Market([{"BTC": "60000"}]), [feed(), feed()], account_of_feed(feed(), minutes(5))
    stores = [await open_store(), await open_store()]
    for store in stores:
        await store.enrol(one.provider, {one.name: NOON})
    claims = [(await store.claim(one.provider, 5, seconds(30))).claims for store in stores]

    for store, mine, claimed in zip(stores, known, claims, strict=True):
        watch = Watch(policy(), (), lambda account, now: now + account.interval)
        polling = Polling(one.provider, FeedReader(store, mine, market), seconds(10), store, watch, clock)
        for claim in claimed:
            assert (await poll(polling, one, claim, Free())).result == "written"
    clock.pass_(minutes(4))
    later = [(await store.claim(one.provider, 5, seconds(30))).claims for store in stores]
    for store, mine in zip(stores, known, strict=True):
        await refresh(mine, store)

    assert [len(claimed) for claimed in claims] == [1, 0]
    assert (len(market.asked), later) == (1, [(), ()])
    assert [price(mine, clock()) for mine in known] == [60_000, 60_000]


async def polled(reader, now):
    return await reader.poll(account_of_feed(reader.feed, minutes(5)), Record("prices:market"), Free(), now)


async def test_a_price_that_an_answer_lacks_stays_until_it_is_too_old(store):
    market = Market([{"BTC": "60000", "ETH": "3000"}, ({"ETH": "3100"}, "BTC at 0")])
    reader = FeedReader(store, feed(), market)

    await polled(reader, NOON)
    first = await polled(reader, NOON + minutes(10))
    again = await polled(reader, NOON + minutes(11))
    assert (price(reader.feed, NOON + minutes(15)), price(reader.feed, NOON + minutes(15), "ETH")) == (60_000, 3_100)
    # What has to be said is said once, not at every fetch.
    assert (first.notes, again.notes) == (("BTC at 0",), ())

    await polled(reader, NOON + minutes(20))
    assert set(reader.feed.quotes) == {"ETH"}


async def test_who_starts_later_reads_what_is_known(open_store):
    ours, theirs = await open_store(), await open_store()
    await polled(FeedReader(ours, feed(), Market([{"BTC": "60000.000000000000000001"}])), NOON)

    known = feed()
    await refresh(known, theirs)

    assert known.quotes == {"BTC": Quote(Decimal("60000.000000000000000001"), NOON)}
    assert known.at == NOON


async def test_prices_fetched_by_other_settings_are_not_used(store):
    await polled(FeedReader(store, feed(of="another path"), Market([{"BTC": "1"}])), NOON)

    known = feed()
    await refresh(known, store)

    assert known.quotes == {}


async def test_what_is_known_already_is_not_read_again(store):
    posted = Posted("a", NOON, {"BTC": Quote(Decimal(2), NOON)})
    assert await store.posted_prices("market", None) is None

    await store.post_prices("market", posted, minutes(15))

    assert await store.posted_prices("market", None) == posted
    assert await store.posted_prices("market", NOON) is None
    assert await store.posted_prices("market", NOON - minutes(5)) == posted
    assert await store.posted_prices("other", None) is None


@pytest.mark.parametrize("text", ["{", '{"of": "a"}', "[]"])
async def test_what_cannot_be_read_is_no_price(store, text):
    await store._calls.command("HSET", "{bm:x}:prices:market", "at", "1", "posted", text)

    assert await store.posted_prices("market", None) is None
