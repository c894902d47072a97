"""The virtual clock: what a rule over several accounts reads there is what it would read from a store."""

import asyncio

import pytest

from monitor.engine.sumreader import SumReader
from monitor.errors import ProviderUnreachable
from monitor.model.record import Record
from monitor.virtual import Shelf, at_once
from tests.builders import seconds
from tests.facts import account
from tests.office import Office, drain, low

ACCOUNTS = (
    account("hot-1", labels={"role": "hot"}),
    account("hot-2", labels={"role": "hot"}, assets=("BTC",)),
    account("cold-1", labels={"role": "cold"}),
)
AWAY = ProviderUnreachable("away")
#: Who is read, what is said, and how much later that is; stale after three minutes.
STEPS = [
    ("hot-1", {"USDT": "60", "BTC": "1"}, 0),
    ("hot-2", AWAY, 1),
    ("cold-1", {"USDT": "900"}, 1),
    ("hot-2", {"USDT": "70", "BTC": "0"}, 30),
    ("hot-1", {"USDT": "20", "BTC": "1"}, 30),
    ("hot-1", {"USDT": "20", "BTC": "1"}, 100),
    ("hot-2", AWAY, 19),
    ("hot-2", AWAY, 1),
    ("cold-1", {"USDT": "300"}, 5),
    ("hot-2", {"USDT": "70", "BTC": "0"}, 1),
    ("hot-1", AWAY, 3_700),
    ("cold-1", {"USDT": "300"}, 0),
]


def told(reading):
    """Everything a rule is judged by; how far the movements were read is for the store to say."""
    events = sorted((event.account, event.asset, event.amount, event.occurred_at) for event in reading.events)
    sums = {
        name: {asset: (one.interval(), one.parts) for asset, one in by.items()} for name, by in reading.sums.items()
    }
    return {"at": reading.at, "sums": sums, "events": events, "unknown": reading.unknown, "prices": reading.prices}


@pytest.mark.parametrize(
    "rule", [low(match={}), low(aggregate={"by": ["role", "asset"]}), drain(), drain(match={"role": "hot"})]
)
async def test_a_sum_reads_the_same_from_a_shelf_as_from_a_store(open_store, clock, rule):
    one = Office(await open_store(), clock, [rule], ACCOUNTS)
    shelf, account = Shelf(clock()), one.sums["aggregate:Tested"]
    readers = [SumReader(place, {rule.alert: rule}) for place in (one.store, shelf)]
    ledgers, seen = [{}, {}], []
    for name, word, later in STEPS:
        clock.now += seconds(later)
        polled = await one.reads(name, word)
        shelf.write(one.accounts[name], polled.commit, clock())
        shelf.now = clock()
        both = [
            await reader.poll(account, Record(account.name, ledgers=known), None, clock())
            for reader, known in zip(readers, ledgers, strict=True)
        ]
        ledgers = [reading.ledgers for reading in both]
        assert told(both[1]) == told(both[0]), (name, word)
        seen.append({key: str(value) for key, value in told(both[1]).items()})
        if rule.flow():
            recalled = [await reader.recall(account, clock() - seconds(120)) for reader in readers]
            assert sorted(e.amount for e in recalled[0]) == sorted(e.amount for e in recalled[1])

    key = "events" if rule.flow() else "sums"
    assert len({one[key] for one in seen}) > 1, "something did happen"
    assert any("amount=None" in one["sums"] or one["unknown"] != "{}" for one in seen)


async def test_on_a_virtual_clock_nothing_waits():
    async def done():
        return 5

    assert at_once(done()) == 5
    with pytest.raises(AssertionError, match="nothing to wait for"):
        at_once(asyncio.sleep(0))
