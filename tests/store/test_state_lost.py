"""Case 10: what happens to one account when the store is emptied under it."""

from dataclasses import dataclass, field

from monitor.engine.poll import Polling, poll
from monitor.engine.watch import Watch
from monitor.model.event import LedgerRow, walk
from monitor.model.record import Answer
from monitor.model.window import micros
from tests.builders import NOON, minutes, seconds
from tests.facts import account, event, policy, rule, snapshot

RULES = (
    rule("low_balance", alert="Low", below=50),
    rule("event", alert="Moved"),
    rule("balance_change", alert="Fell", falls_by=30, within="1h"),
)


@dataclass
class Vendor:
    """A provider with a ledger: its rows are (name, when), all of them, for ever."""

    total: str = "100"
    rows: list = field(default_factory=list)

    async def poll(self, account, record, budget, now):
        rows = [LedgerRow(name, micros(at)) for name, at in self.rows]
        walked = walk(record.ledgers.get("all"), rows, overlap=3_600_000_000, keep=1_000, now=micros(now))
        events = tuple(event(name=self.rows[index][0], at=self.rows[index][1]) for index in walked.fresh)
        return Answer(snapshot({"USDT": self.total}, at=now), events, {"all": walked.ledger})


class Life:
    def __init__(self, store, clock):
        self.store, self.clock, self.vendor = store, clock, Vendor()
        watch = Watch(policy("ops"), RULES, lambda one, now: now + one.interval, ledgers=True)
        self.polling = Polling("casino", self.vendor, seconds(5), store, watch, clock)

    async def polled(self):
        """What one poll tells: rule and news."""
        await self.store.enrol("casino", {"hot-usdt": self.clock()})
        await self.store.poll_now("casino", "hot-usdt")
        [claim] = (await self.store.claim("casino", 1, self.polling.lease)).claims
        result = await poll(self.polling, account(), claim, None)
        self.clock.pass_(minutes(1))
        return [(row.entry.rule, row.news) for row in result.commit.rows]


async def test_case_10_an_emptied_store_begins_anew_at_now_and_not_at_genesis(store, clock):
    life = Life(store, clock)
    life.vendor.rows = [(f"old-{day}", NOON - minutes(1440 * day)) for day in range(30, 0, -1)]
    await life.polled()
    life.vendor.rows.append(("known", clock()))
    life.vendor.total = "40"
    assert await life.polled() == [("Low", "firing"), ("Fell", "firing"), ("Moved", "event")]

    await store._calls.command("FLUSHALL")

    # Levels are judged, and may be told again. What was told of the ledger is not, nor is any of its past; and
    # the first reading is no fall.
    assert await life.polled() == [("Low", "firing")]
    life.vendor.rows.append(("new", clock()))
    assert await life.polled() == [("Moved", "event")]
    life.vendor.total = "5"
    assert await life.polled() == [("Fell", "firing")]


async def test_case_10_alerts_after_a_loss_are_other_episodes_under_the_same_fingerprint(store, clock):
    life = Life(store, clock)
    life.vendor.total = "40"
    await life.polled()
    [before] = (await store.load("hot-usdt")).alerts
    await store._calls.command("FLUSHALL")
    await life.polled()
    [after] = (await store.load("hot-usdt")).alerts

    assert before.fingerprint == after.fingerprint
    assert before.id != after.id
