"""Where people sit who are told of one account on a real store: it is polled, they are told, they answer."""

from monitor.engine.acknowledge import acknowledge_alert
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.poll import Polling, poll
from monitor.engine.route import Route
from monitor.engine.suppress import NOTHING_SUPPRESSED
from monitor.engine.watch import Watch
from tests.builders import minutes, seconds
from tests.facts import account, answer, policy, rule
from tests.fakes import RecordingChannel

LEVELS = {"warning": {"below": 50}, "critical": {"below": 20}}
ROUTE = Route(group_wait="0s", group_interval="1s", repeat_interval="10m")


def low(**settings):
    return rule("low_balance", alert="Low", **{"levels": LEVELS, **settings})


LOW = low()


class Desk:
    """An account with one rule on a real store: polled, told, acknowledged."""

    def __init__(self, store, clock, rules=(LOW,), chats=("ops",), route=ROUTE):
        self.store, self.clock, self.reads = store, clock, "40"
        self.account = account("hot", interval=minutes(1))
        watch = Watch(policy(*chats, route=route), rules, lambda one, now: now + one.interval)
        self.polling = Polling("casino", self, seconds(5), store, watch, clock)
        self.chats = {name: RecordingChannel() for name in chats}
        self.suppress = NOTHING_SUPPRESSED

    async def _no_rest(self, _time):
        pass

    async def begin(self, word="40"):
        await self.store.enrol("casino", {"hot": self.clock()})
        await self.polls(word)
        return self

    async def polls(self, word):
        self.reads = word
        await self.store.poll_now("casino", "hot")
        [claim] = (await self.store.claim("casino", 1, self.polling.lease)).claims
        return await self._polled(claim)

    async def _polled(self, claim):
        # Ourselves as the provider: `poll` is below.
        return await poll(self.polling, self.account, claim, None, self._no_rest)

    async def poll(self, one, record, budget, now):
        word = self.reads
        if callable(word):
            word = await word()
        return answer({"USDT": word}, at=now)

    async def tell(self):
        await self.store.sweep(10)
        for name, chat in self.chats.items():
            for group in await self.store.claim_groups(name, 20, LEASE):
                await tell_safely(self.store, Destination(name, chat, suppress=self.suppress), group, self.clock)

    async def passes(self, time):
        """Time goes by minute by minute, and what is due is told."""
        for _ in range(time // minutes(1)):
            self.clock.pass_(minutes(1))
            await self.tell()

    async def alert(self):
        record = await self.store.load("hot")
        return record.alerts[0] if record.alerts else None

    async def acks(self, wanted=None, by="maria", store=None):
        wanted = wanted or (await self.alert()).id
        known = {"hot": self.account}.get
        return await acknowledge_alert(store or self.store, known, wanted, by, "on it", self.clock)

    def heard(self, name="ops"):
        return [message.type.removeprefix("alert.") for message in self.chats[name].arrived]
