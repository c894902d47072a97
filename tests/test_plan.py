"""The crew of one configuration: what keeps running, and what is retried."""

import asyncio
from dataclasses import dataclass, field

from structlog.testing import capture_logs

from monitor.errors import StoreUnavailable
from monitor.plan import AGAIN, Crew, _kept
from tests.fakes import virtual_time


@dataclass
class Part:
    """Fails as often as it is told to, then runs until it is stopped."""

    failures: int
    started: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self):
        self.started += 1
        if self.started <= self.failures:
            raise ValueError("a row nobody can read")
        await self.stopped.wait()


@virtual_time
async def test_a_bug_in_a_poller_or_a_deliverer_is_logged_and_does_not_silence_it_for_good():
    part = Part(failures=2)
    with capture_logs() as logs:
        task = asyncio.create_task(_kept(part))
        await asyncio.sleep(2 * AGAIN.total_seconds() + 0.1)

    assert [line["event"] for line in logs] == ["part.bug"] * 2
    assert part.started == 3
    part.stopped.set()
    await task


class Enrolling(Crew):
    """A crew whose store is away for its first tries."""

    tries = 0

    async def enrol(self):
        self.tries += 1
        if self.tries < 3:
            raise StoreUnavailable("away")


@virtual_time
async def test_enrolling_goes_on_until_the_store_is_there():
    crew = Enrolling(*[None] * 6, roles=frozenset())

    await crew._begin()

    assert crew.tries == 3


@virtual_time
async def test_or_until_nobody_wants_it_any_more():
    crew = Enrolling(*[None] * 6, roles=frozenset())
    begun = asyncio.create_task(crew._begin())
    await asyncio.sleep(0)

    await crew.stop()
    await begun

    assert crew.tries == 1
