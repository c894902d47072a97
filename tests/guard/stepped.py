"""The simulator's schedules where the clock of the store is set forward while bets are placed.

What is promised goes by the true time. A hold that ends early is excused: its commit is refused, so nobody relies on
it. That its money, or that of a debit which is not booked yet, is promised to somebody else is not.
"""

from datetime import datetime
from random import Random

from tests.builders import seconds
from tests.fakes import FakeClock
from tests.guard.grounds import StoreGround
from tests.guard.simulator import PLAYED, Result, Schedule


class SteppedSchedule(Schedule):
    """On the store alone. No hold is longer than the schedule's, so that bets are placed after the quarantine too."""

    def __init__(self, seed: int, clock: FakeClock, ground: StoreGround) -> None:
        super().__init__(seed, clock, ground)
        self.terms = self.terms._replace(hold_max=seconds(self.habits.ttl))
        self._ground, self._steps = ground, Random(-seed - 1)
        self._last: datetime | None = None
        self._made: dict[str, datetime] = {}

    async def run(self) -> Result:
        self._ground.apart(self.clock)
        for _ in range(self._steps.choice((1, 1, 2))):
            self.later(self._steps.uniform(0, PLAYED), self.step)
        return await super().run()

    async def step(self) -> None:
        """Far enough that it must be noticed."""
        self._ground.ahead += seconds(self._steps.choice((2.2, 5, 20, 600)))
        self._last = self.clock()

    def promise(self, name: str, amount: int, until: datetime) -> None:
        super().promise(name, amount, until)
        self._made[name] = self.clock()

    def excused(self, name: str) -> bool:
        return self._last is not None and self._made[name] <= self._last
