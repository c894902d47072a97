"""A reading that cannot be judged or stored must page like an outage, not repeat a crash in silence."""

import asyncio

import fakeredis
from structlog.testing import capture_logs

from monitor.engine.poll import Polling, poll
from monitor.engine.watch import Watch
from monitor.store.redis import RedisStore
from tests.builders import NOON, seconds
from tests.facts import account, answer, policy, rule
from tests.fakes import FakeLine, loop_clock, virtual_time

HOT = account(interval=seconds(10), stale_after=seconds(30))
#: Each is an amount; their difference has more digits than an exact number may have.
HUGE, TINY = "1E+45", f"1.{'0' * 58}1E-45"


class Liar:
    """Its totals in turn, the last one for ever."""

    def __init__(self, *totals):
        self.totals = list(totals)

    async def poll(self, account, record, budget, now):
        total = self.totals.pop(0) if len(self.totals) > 1 else self.totals[0]
        return answer({"USDT": total}, at=now)


async def polls(bank, count):
    """What became of so many polls, 10 s apart."""
    store = RedisStore(FakeLine(fakeredis.FakeServer()))
    await store.open(4)
    store.clock_override = loop_clock
    watch = Watch(policy(), (rule("stale"),), lambda one, now: now + one.interval)
    polling = Polling("casino", bank, seconds(5), store, watch, loop_clock)
    await store.enrol("casino", {HOT.name: NOON})
    found = []
    for _ in range(count):
        [claim] = (await store.claim("casino", 1, polling.lease)).claims
        found.append(await poll(polling, HOT, claim, None))
        await asyncio.sleep(10)
    await store.close()
    return found


@virtual_time
async def test_an_unjudgeable_reading_is_an_outage_that_stale_tells_of():
    with capture_logs() as logs:
        found = await polls(Liar(HUGE, TINY), 6)

    assert [getattr(one.reading, "why", "good") for one in found] == ["good"] + ["bug in the judging: Inexact"] * 5
    assert [row.news for one in found for row in one.commit.rows] == ["firing"]
    assert [line["log_level"] for line in logs if line["event"] == "decide.bug"] == ["error"] * 5


@virtual_time
async def test_the_next_reading_that_can_be_judged_is_judged_against_the_last_good_one():
    *_, last = await polls(Liar(HUGE, TINY, "7"), 3)

    assert str(last.commit.events[0].amount) == str(10**45 - 7)
