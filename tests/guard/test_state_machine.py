"""The guard against a model of big integers: any operations in any order, on every server.

`GUARD_EXAMPLES=1000 pytest tests/guard/test_state_machine.py` looks that many times as hard (sequences per server).
"""

import asyncio
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from monitor.model.feed import Fed
from tests.guard.machine import GuardMachine
from tests.guard.model import ModelGuard

EXAMPLES = int(os.environ.get("GUARD_EXAMPLES", "12"))


class _Itself:
    """The model as a store: what is said of every answer is true of the model too."""

    def __init__(self, clock):
        self.guard = ModelGuard(clock)

    async def feed(self, account: str, assets: dict[str, Fed], fence) -> None:
        self.guard.feed(account, assets, fence)

    async def tend(self, terms) -> None:
        await self.guard.tend(0, self.guard.clock(), terms)


def run(runner, opened, examples, phases=tuple(Phase)):
    machine = type("Machine", (GuardMachine,), {"runner": runner, "opened": staticmethod(opened)})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            phases=phases,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=checks,
            database=None,
        ),
    )


def test_the_model_keeps_every_promise():
    async def opened(clock):
        return _Itself(clock)

    with asyncio.Runner() as runner:
        run(runner, opened, EXAMPLES)


def test_the_store_answers_as_the_model_does(bench):
    run(bench.runner, bench.opened, EXAMPLES)
