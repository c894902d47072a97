"""The crew of one configuration: what keeps running, and what is retried."""

import asyncio
import gc
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from monitor.config.guard_settings import GuardSettings
from monitor.engine.kicks import Kicker
from monitor.engine.poll import Polling
from monitor.errors import StoreUnavailable
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.plan import AGAIN, MENDED_AFTER, Crew
from monitor.schedule import Every
from monitor.store.claiming import SILENT_AFTER
from tests.builders import minutes, seconds
from tests.facts import account
from tests.fakes import loop_clock, paused, virtual_time

#: The configuration of a crew that has nothing to do.
NOTHING = SimpleNamespace(meaning="nothing", accounts={}, guard=GuardSettings())


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
    crew = Crew(NOTHING, None, loop_clock, *[None] * 3, roles=frozenset())
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
    crew = Enrolling(NOTHING, *[None] * 5, roles=frozenset())

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

    crew = Buggy(NOTHING, *[None] * 5, roles=frozenset())
    with capture_logs() as logs:
        await crew._begin()

    assert [line["event"] for line in logs] == ["accounts.bug"] * 2
    assert crew.tries == 3


@dataclass
class Channel:
    """A deliverer whose messages take their time on the way out."""

    takes: float
    left: int = 2

    async def exhaust(self):
        while self.left:
            await asyncio.sleep(self.takes)
            self.left -= 1


@virtual_time
async def test_case_49_on_the_way_out_what_is_due_is_told_and_a_slow_channel_takes_no_time_from_the_others():
    slow, quick = Channel(20), Channel(0.1)
    crew = Crew(NOTHING, *[None] * 5, roles=frozenset(), deliverers={"slow": slow, "quick": quick})

    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            await crew.flush()

    assert (slow.left, quick.left) == (1, 0)


@virtual_time
async def test_or_until_nobody_wants_it_any_more():
    crew = Enrolling(NOTHING, *[None] * 5, roles=frozenset())
    begun = asyncio.create_task(crew._begin())
    await asyncio.sleep(0)

    await crew.stop()
    await begun

    assert crew.tries == 1


async def test_a_reload_tries_channels_at_once_that_refused_us(store, clock):
    await paused(store, clock() + AGAIN * 600)
    crew = Crew(NOTHING, store, *[None] * 4, roles=frozenset(), deliverers={"ops": None})

    await crew.probe()

    assert await store._calls.command("HGET", "{bm:c:ops}:clock", "pause") is None


async def test_a_reload_does_not_end_for_a_store_that_is_away():
    class Away:
        async def try_now(self, *_):
            raise StoreUnavailable("away")

    crew = Crew(NOTHING, Away(), *[None] * 4, roles=frozenset(), deliverers={"ops": None})
    with capture_logs() as logs:
        await crew.probe()

    assert [line["event"] for line in logs] == ["channels.not_probed"]


@dataclass(slots=True)
class Hiring(Crew):
    """A crew that only notes whom it would have seen off."""

    hired: list = field(default_factory=list)

    def _poller(self, provider, accounts):
        self.hired.append(provider)
        return SimpleNamespace(accounts=accounts, run=Part(0).run, stop=list, wake=list)


def crew_of(store, clock, digest, *accounts):
    """A poller's crew whose configuration has these accounts, all of one provider."""
    config = SimpleNamespace(
        meaning=digest,
        accounts={name: account(name) for name in accounts},
        timetables={name: Every(minutes(1)) for name in accounts},
        guard=GuardSettings(),
    )
    gauges = Gauges(Metrics("1"), clock, None)
    return Hiring(config, store, clock, gauges, *[None] * 2, roles=frozenset({"poll"}))


async def claimed(store, clock, name):
    await store.enrol("casino", {name: clock()})
    [claim] = (await store.claim("casino", 1, seconds(30))).claims
    return claim


def polling(store, clock):
    return Polling("casino", None, seconds(10), store, None, clock)


@pytest.mark.parametrize("there", [(), ("player-7",)], ids=["removed", "moved to another provider"])
async def test_an_account_that_a_reload_brings_back_while_it_is_seen_off_is_polled_again(store, clock, there):
    before = crew_of(store, clock, "without it", *there)
    await before._begin()
    claim = await claimed(store, clock, "player-7")

    class Reloading:
        """Somebody else's reload, just before the account is dismissed."""

        def __getattr__(self, name):
            return getattr(store, name)

        async def dismiss(self, *args, **how):
            await store.enter("another", "with it")
            await store.enrol("casino", {"player-7": clock()})
            await store.dismiss(*args, **how)

    before._member.store = Reloading()
    await before._member.see_off(polling(before._member.store, clock), claim)

    assert await store.enrolled("casino") == ["player-7"]


async def test_an_older_configuration_that_enrols_after_a_loss_turns_nobody_out(store, clock):
    older, newer = crew_of(store, clock, "older"), crew_of(store, clock, "newer", "player-7")
    await older._begin()
    await newer._begin()
    await store.enrol("casino", {"player-7": clock()})

    await older.enrol()

    assert older.hired == []
    assert not older._member.standing.newest


async def test_nobody_is_turned_out_whom_another_process_knows_until_that_one_leaves(store, clock):
    """In the middle of a deploy an old process that restarts is the newest; what only the new one has goes on."""
    new, restarted = crew_of(store, clock, "new", "player-7"), crew_of(store, clock, "old")
    await store.enrol("casino", {"player-7": clock()})
    new.pollers = {"casino": SimpleNamespace(accounts=new.config.accounts, wake=list, stop=list)}
    await new._begin()
    await restarted._begin()
    assert restarted._member.standing.newest
    assert restarted.hired == []

    claim = await claimed(store, clock, "player-7")
    await restarted._member.see_off(polling(store, clock), claim)
    assert await store.enrolled("casino") == ["player-7"]

    new.kicker = SimpleNamespace(stop=list)
    await new.stop()
    await restarted.hold()
    await restarted._running[0]

    assert restarted.hired == ["casino"]


async def test_an_older_configuration_takes_over_when_nobody_runs_the_newest_any_more(store, clock):
    older, newest = crew_of(store, clock, "older"), crew_of(store, clock, "newest")
    with capture_logs() as logs:
        for crew in (older, newest):
            await crew._begin()
        for _ in range(3):
            await older.hold()
        clock.pass_(SILENT_AFTER)
        await older.hold()
        assert not older._member.standing.newest
        clock.pass_(seconds(1))
        await older.hold()

    assert (older._member.standing.generation, newest._member.standing.generation) == (3, 2)
    assert [line["event"] for line in logs] == ["config.outdated", "config.newest"], "news twice"


async def test_a_process_that_was_taken_for_gone_enrols_its_accounts_again_when_it_is_back(store, clock):
    """Two configurations for good: each has accounts of its own. One is paused, and the other sees off its accounts."""
    mine, other = crew_of(store, clock, "mine", "player-7"), crew_of(store, clock, "other")
    mine.pollers = {"casino": SimpleNamespace(accounts=mine.config.accounts, wake=list, stop=list)}
    await mine._begin()
    await other._begin()
    await mine.hold()
    await mine._running[-1]
    clock.pass_(SILENT_AFTER + seconds(1))
    await other.hold()
    await other._running[0]
    claim = await claimed(store, clock, "player-7")
    await other._member.see_off(polling(store, clock), claim)
    assert await store.enrolled("casino") == []

    await mine.hold()
    await asyncio.gather(*mine._running)

    assert await store.enrolled("casino") == ["player-7"]
    before = len(mine._running)
    await mine.hold()
    assert len(mine._running) == before, "once"


async def test_what_a_poll_learned_of_the_others_is_news_to_the_crew_too(store, clock):
    mine, other = crew_of(store, clock, "mine"), crew_of(store, clock, "other", "player-7")
    await other._begin()
    await mine._begin()
    await store.enrol("gone", {"player-7": clock()})
    await other._member.leave()

    assert await mine._member.may_close(), "somebody saw off an account"
    await mine.hold()
    await asyncio.gather(*mine._running[:1])

    assert mine.hired == ["gone"]
    for task in mine._running:
        task.cancel()


async def test_an_emptied_store_hears_what_is_run_before_what_is_due(store, clock):
    """Else an older configuration takes itself for the only one, and sees off what it does not know."""
    said = []

    class Hearing:
        def __getattr__(self, name):
            said.append(name)
            return getattr(store, name)

    crew = crew_of(Hearing(), clock, "mine", "player-7")
    crew.pollers = {"casino": SimpleNamespace(accounts=crew.config.accounts, wake=list)}

    await crew.enrol()

    assert said.index("enter") < said.index("enrol")


async def test_a_crew_that_was_let_go_leaves_nothing_behind_that_only_the_collector_would_find(store, clock):
    crew = crew_of(store, clock, "mine", "player-7")
    crew.kicker = Kicker(store, partial(crew.wake, "@store"))
    part = Part(0)
    part.tell, part.accounts, part.wake, part.stop = crew._ring_deliverers, {}, list, part.stopped.set
    crew.pollers, gone = {"casino": part}, weakref.ref(part)
    del part
    await crew._begin()
    await crew.stop()

    gc.disable()
    try:
        crew.dissolve()
        del crew
        assert gone() is None
    finally:
        gc.enable()


async def test_a_crew_that_has_stopped_hires_nobody_whom_nobody_would_stop(store, clock):
    await store.enrol("gone", {"player-7": clock()})
    crew = crew_of(store, clock, "mine")
    await crew._member.hold()
    await crew.stop()

    await crew.enrol()

    assert crew.hired == []


async def test_whoever_is_going_through_the_pollers_is_not_disturbed_by_a_new_one(store, clock):
    await store.enrol("gone", {"player-7": clock()})
    crew = crew_of(store, clock, "mine")
    crew.pollers = {"casino": crew._poller("casino", {})}
    going = iter(crew.pollers.items())

    await crew._begin()

    assert [name for name, _ in going] == ["casino"]
    assert sorted(crew.pollers) == ["casino", "gone"]
    for task in crew._running:
        task.cancel()
