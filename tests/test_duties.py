"""What a process does from time to time, for all of its accounts."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from structlog.testing import capture_logs

from monitor.concerns import Concerns
from monitor.config.guard_settings import GuardSettings
from monitor.duties import Duties, Duty
from monitor.engine.guardports import Quarantine
from monitor.gauges import Gauges
from monitor.metrics import Metrics


class Crew:
    """Whoever enrols the accounts of a process."""

    enrolled = 0
    config = SimpleNamespace(guard=GuardSettings())

    async def enrol(self):
        self.enrolled += 1


async def test_case_10_the_loss_of_any_partition_is_told_once_and_its_accounts_are_enrolled_again(store, clock):
    crew, metrics, concerns = Crew(), Metrics("1.0"), Concerns(clock, "web-1:7")
    duties = Duties(crew, store, Gauges(metrics, clock, concerns), metrics, clock, concerns)
    await duties._look_for_loss()
    await store._calls.command("DEL", store.partitions[2].epoch)

    with capture_logs() as logs:
        for _ in range(3):
            await duties._look_for_loss()

    assert [(line["event"], line["partitions"], line["of"]) for line in logs] == [("state.lost", 1, 4)]
    assert [(one.name, one.why) for one in await store.reports(clock())] == [
        ("StateLost", "1 of its 4 partitions were found empty")
    ]
    assert crew.enrolled == 1
    assert all(await store.epochs())
    terms = crew.config.guard.terms()
    bound = [(await store.tend(number, clock(), terms)).bound for number in range(4)]
    assert bound == [None, None, Quarantine(clock() + terms.quarantine), None], "holds were lost there"


async def test_whoever_rings_says_nothing_when_all_ends_in_the_turn_of_a_ring(store, clock, caplog):
    """Its words would be in our log, as an error."""
    metrics, concerns = Metrics("1.0"), Concerns(clock, "web-1:7")
    rung = []

    async def work():
        rung.append(1)

    for most in (6, 12):
        duties = Duties(Crew(), store, Gauges(metrics, clock, concerns), metrics, clock, concerns)
        await duties.start(Duty("bells", work, timedelta(milliseconds=1)))
        while len(rung) < most:
            await asyncio.sleep(0.001)
        stopping = asyncio.create_task(duties.stop())
        duties._scheduler.get_jobs()[0].modify(next_run_time=datetime.now(UTC))
        await stopping
        count = len(rung)
        await asyncio.sleep(0.05)

    assert count == len(rung), "and nothing rings any more"
    assert caplog.messages == []
