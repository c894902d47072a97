"""One process that polls accounts and judges rules over them, on a real store and a virtual clock, step by step."""

from dataclasses import dataclass, field

from monitor.engine.poll import Polling, poll
from monitor.engine.sumreader import SumReader
from monitor.engine.watch import STORE_PROVIDER, StoreReader, Watch, aggregates
from tests.builders import seconds
from tests.facts import account, answer, policy, rule

LEASE = seconds(60)
HOT, COLD = (account(name, labels={"role": role}) for name, role in (("hot-1", "hot"), ("cold-1", "cold")))
HOT2 = account("hot-2", labels={"role": "hot"})


@dataclass
class Book:
    """Answers what it is told to, for the account that is asked."""

    words: dict = field(default_factory=dict)

    async def poll(self, asked, record, budget, now):
        word = self.words[asked.name]
        if isinstance(word, BaseException):
            raise word
        if callable(word):
            return word(now)
        amounts, events = word if isinstance(word, tuple) else (word, None)
        return answer(amounts, at=now, events=events)


async def _no_rest(_time):
    """A second reading is taken at once."""


class Office:
    """One process that polls some accounts and judges the rules over them, step by step."""

    def __init__(self, store, clock, rules, accounts):
        self.store, self.clock, self.book = store, clock, Book()
        self.accounts = {one.name: one for one in accounts}
        self.sums = aggregates(rules, self.accounts)
        self.policy = policy("ops")
        watch = Watch(self.policy, rules, lambda one, now: now + one.interval)
        reader = SumReader(store, {one.alert: one for one in rules})
        self.reader = reader
        self.pollings = {
            name: Polling(name, self.book, seconds(10), store, watch, clock)
            for name in {one.provider for one in accounts}
        }
        judging = StoreReader(store, reader)
        self.judging = Polling(STORE_PROVIDER, judging, seconds(10), store, watch, clock, recall=reader.recall)

    async def _poll(self, polling, one):
        await self.store.enrol(polling.provider, {one.name: self.clock()})
        await self.store.poll_now(polling.provider, one.name)
        claims = (await self.store.claim(polling.provider, 100, LEASE)).claims
        [claim] = [each for each in claims if each.account == one.name]
        await self.store.release(polling.provider, [each for each in claims if each is not claim])
        polled = await poll(polling, one, claim, None, _no_rest)
        assert polled.result == "written"
        return polled

    async def reads(self, name, word):
        self.book.words[name] = word
        one = self.accounts[name]
        return await self._poll(self.pollings[one.provider], one)

    async def judged(self, name="Tested"):
        polled = await self._poll(self.judging, self.sums[f"aggregate:{name}"])
        assert polled.commit.record.outage is None, polled.commit.record.outage
        return polled

    async def judges(self, name="Tested"):
        """What the rule owes now: (news, subject or asset, value)."""
        polled = await self.judged(name)
        return [(row.news, row.entry.asset, row.entry.value) for row in polled.commit.rows]

    async def alerts(self, name="Tested"):
        return (await self.store.load(f"aggregate:{name}")).alerts


def low(**settings):
    settings = {
        "below": 100,
        "resolve_above": 120,
        "aggregate": {"by": ["asset"]},
        "match": {"role": "hot"},
        **settings,
    }
    return rule("low_balance", **settings)


def drain(**settings):
    settings = {"above": 100, "within": "1h", "aggregate": {"by": ["asset"]}, **settings}
    return rule("large_outflow", **settings)
