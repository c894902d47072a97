"""No schedule makes the guard promise more than there is; and each rule that looks right and is not is found out.

One seed is one schedule: the seeds that fail are in the message, and `GUARD_SEEDS=17-18` in the environment runs one
again. `GUARD_SEEDS=0-10000` runs so many; wrong rules look at as many at most.
"""

import asyncio
import os
from collections.abc import Iterator

import pytest

from monitor.store import functions
from monitor.store.guarding import GuardingStore
from monitor.store.redis import RedisStore
from tests.guard.grounds import StoreGround, emptied
from tests.guard.simulator import ModelGround, Result, run
from tests.guard.stepped import SteppedSchedule
from tests.guard.wrong import RULES, Wrong

FIRST, END = map(int, os.environ.get("GUARD_SEEDS", "0-60").split("-"))
RIGHT = Wrong("the right ones")
STEPPED = Wrong("the right ones while the clock is set forward", schedule=SteppedSchedule)


class Simulation:
    """Schedules on one server, by one set of rules."""

    def __init__(self, runner: asyncio.Runner, store: RedisStore, rules: Wrong) -> None:
        self.runner, self.store, self.ground, self.schedule = runner, store, rules.ground, rules.schedule

    def run(self, seed: int) -> Result:
        return self.runner.run(run(seed, self.opened, self.schedule))

    async def opened(self, clock) -> StoreGround:
        return await emptied(self.store, clock, self.ground)


@pytest.fixture
def simulation(request, valkey_server, monkeypatch) -> Iterator[Simulation]:
    """By the rules that the test is about: they are part of the library, so a server gets another one."""
    rules: Wrong = getattr(request, "param", RIGHT)
    code = rules.patched(functions._code())
    monkeypatch.setattr(functions, "_code", lambda: code)
    for name, wrong in rules.store.items():
        monkeypatch.setattr(GuardingStore, name, wrong)
    forget()
    with asyncio.Runner() as runner:
        store = runner.run(RedisStore.connect(valkey_server.url, partitions=1, life="test"))
        yield Simulation(runner, store, rules)
        runner.run(store._calls.command("FUNCTION", "DELETE", functions.called("balance_monitor")))
        runner.run(store.close())
    forget()


def forget() -> None:
    """What functions are called says which code they are."""
    functions.source.cache_clear()
    functions.called.cache_clear()


@pytest.mark.parametrize("simulation", [RIGHT, STEPPED], indirect=True, ids=str)
def test_no_schedule_promises_more_than_there_is(simulation):
    bad = [told for seed in range(FIRST, END) if not (told := simulation.run(seed)).good]

    assert bad == []


@pytest.mark.parametrize("simulation", RULES, indirect=True, ids=str)
def test_a_wrong_rule_is_found_out(simulation):
    assert any(not simulation.run(seed).good for seed in range(FIRST, END)), "nobody noticed"


def test_the_model_promises_no_more_than_there_is_either():
    async def all_good():
        async def opened(clock):
            return ModelGround(clock)

        return [told for seed in range(FIRST, END) if not (told := await run(seed, opened)).good]

    assert asyncio.run(all_good()) == []
