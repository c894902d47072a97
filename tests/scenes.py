"""One account, one provider and a store, for tests of whole polls on the loop's virtual time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import fakeredis

from monitor.engine.poll import Polling, poll
from monitor.engine.watch import Watch
from monitor.model.record import Account, Answer, Record
from monitor.schedule import Every, next_due
from monitor.store.redis import RedisStore
from tests.builders import NOON, seconds
from tests.facts import account, answer, policy
from tests.fakes import FakeLine, loop_clock

HOT = account()


class Free:
    """A budget without end."""

    async def spend(self, cost):
        pass

    async def correct(self, remaining):
        pass


@dataclass
class Bank:
    """Answers with its script, the last word for ever: an error is raised, a function is called.

    A word is an amount of USDT, or amounts by asset, or an answer whole.
    """

    script: list
    asked: list = field(default_factory=list)

    async def poll(self, account, record, budget, now):
        self.asked.append((account.name, record, now))
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(word, BaseException):
            raise word
        if callable(word):
            return await word(budget)
        if isinstance(word, Answer):
            return word._replace(snapshot=replace(word.snapshot, observed_at=now))
        return answer({"USDT": word} if isinstance(word, str) else word, at=now)


@dataclass
class Scene:
    store: RedisStore
    polling: Polling
    bank: Bank
    hot: Account = HOT

    async def claim(self):
        [claim] = (await self.store.claim("casino", 1, self.polling.lease)).claims
        return claim

    async def poll(self, claim=None):
        return await poll(self.polling, self.hot, claim or await self.claim(), Free())

    async def record(self) -> Record:
        return await self.store.load("hot-usdt")

    async def told(self, channel="ops"):
        await asyncio.sleep(60)
        groups = await self.store.claim_groups(channel, 10, seconds(30))
        return [item.news for group in groups for item in group.news]


@asynccontextmanager
async def scene(*script, rules=(), timeout=10.0, store=None, hot=HOT):
    it = store or RedisStore(FakeLine(fakeredis.FakeServer()))
    await it.open(4)
    it.clock_override = loop_clock
    watch = Watch(policy(), rules, lambda one, now: next_due(Every(one.interval, 0), one.name, now))
    bank = Bank(list(script))
    await it.enrol("casino", {hot.name: NOON})
    yield Scene(it, Polling("casino", bank, seconds(timeout), it, watch, loop_clock), bank, hot)
    await it.close()
