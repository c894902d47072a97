"""The crew of one configuration: what keeps running, and what is retried."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from structlog.testing import capture_logs

from monitor.errors import StoreUnavailable
from monitor.plan import AGAIN, MENDED_AFTER, Crew
from tests.fakes import loop_clock, virtual_time


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
    crew = Crew(None, None, loop_clock, *[None] * 3, roles=frozenset())
    with capture_logs() as logs:
        task = asyncio.create_task(crew._keep("provider casino", part))
        await asyncio.sleep(2 * AGAIN.total_seconds() + 0.1)

    assert [(line["event"], line["part"]) for line in logs] == [("part.bug", "provider casino")] * 2
    assert part.started == 3
    assert crew.ailing() == ["provider casino"]
    await asyncio.sleep(MENDED_AFTER.total_seconds())
    assert crew.ailing() == []
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
async def test_a_bug_in_enrolling_is_logged_and_enrolling_goes_on():
    class Buggy(Enrolling):
        async def enrol(self):
            await asyncio.sleep(0)
            self.tries += 1
            if self.tries < 3:
                raise AssertionError("a schedule nobody understands")

    crew = Buggy(*[None] * 6, roles=frozenset())
    with capture_logs() as logs:
        await crew._begin()

    assert [line["event"] for line in logs] == ["accounts.bug"] * 2
    assert crew.tries == 3


@dataclass
class Channel:
    """A deliverer whose messages take their time on the way out."""

    takes: float
    left: int = 2

    async def drain(self):
        await asyncio.sleep(self.takes)
        self.left -= 1
        return not self.left


@virtual_time
async def test_on_the_way_out_a_slow_channel_takes_no_time_from_the_others():
    slow, quick = Channel(20), Channel(0.1)
    crew = Crew(*[None] * 6, roles=frozenset(), deliverers={"slow": slow, "quick": quick})

    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            await crew.flush()

    assert (slow.left, quick.left) == (1, 0)


@virtual_time
async def test_or_until_nobody_wants_it_any_more():
    crew = Enrolling(*[None] * 6, roles=frozenset())
    begun = asyncio.create_task(crew._begin())
    await asyncio.sleep(0)

    await crew.stop()
    await begun

    assert crew.tries == 1


async def test_a_reload_tries_channels_at_once_that_refused_us(store, clock):
    await store.pause("ops", clock() + AGAIN * 600)
    crew = Crew(None, store, *[None] * 4, roles=frozenset(), deliverers={"ops": None})

    await crew.probe()

    assert await store._batch.command("HGET", "{bm:c:ops}:clock", "pause") is None


async def test_a_reload_does_not_end_for_a_store_that_is_away():
    class Away:
        async def pause(self, *_):
            raise StoreUnavailable("away")

    crew = Crew(None, Away(), *[None] * 4, roles=frozenset(), deliverers={"ops": None})
    with capture_logs() as logs:
        await crew.probe()

    assert [line["event"] for line in logs] == ["channels.not_probed"]
