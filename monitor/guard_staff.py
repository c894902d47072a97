"""Puts the pre-bet guard together: its parts that outlive a reload, and a guard for the configuration of the day."""

import itertools
import secrets
from collections.abc import Callable
from datetime import timedelta

import structlog

from monitor.config import Config
from monitor.duties import Duty
from monitor.engine.audit import Audit
from monitor.engine.guard_undo import Undoing
from monitor.engine.guarding import Guard, LateCall
from monitor.engine.guardports import GuardStore
from monitor.engine.ports import Clock
from monitor.errors import StoreUnavailable
from monitor.metrics.guard import GuardMetrics
from monitor.plan import Crew

#: Decisions are logged this soon, and what is owed to the store is tried again so often.
AUDIT_EVERY, UNDO_EVERY = timedelta(seconds=0.1), timedelta(seconds=1)
#: A gauge that is counted, not told.
COUNT_EVERY = timedelta(seconds=5)

log = structlog.get_logger("monitor.guard")


class GuardStaff:
    """The guard of one process."""

    def __init__(self, store: GuardStore, clock: Clock, metrics: GuardMetrics, late: LateCall) -> None:
        self._store, self._clock, self._metrics = store, clock, metrics
        self._late = late
        self._audit = Audit(metrics)
        self._undoing = Undoing(self._store, clock, metrics)
        self._name = decision_names()

    def guard(self, config: Config, crew: Crew) -> Guard:
        """The guard as a configuration wants it."""
        means = crew.guard
        return Guard(
            config.guard.policy(), self._store, crew.visitors.watches, means.refresher, means.switchboard,
            self._clock, self._metrics, self._audit, self._undoing, self._late, self._name,
        )  # fmt: skip

    def duties(self) -> tuple[Duty, ...]:
        """What is to be done beside the bets."""
        return (
            Duty("audit", self._audit.write, AUDIT_EVERY),
            Duty("undo", self._undoing.work, UNDO_EVERY, self._undoing.bell),
            Duty("holds", self._count, COUNT_EVERY),
        )

    async def _count(self) -> None:
        self._metrics.open(self._store.open_holds())

    async def finish(self) -> None:
        """On the way out, once nobody asks any more: log what was decided, and give back what nobody was told of."""
        self._audit.drain()
        try:
            await self._undoing.work()
        except StoreUnavailable as error:
            log.warning("guard.not_undone", holds=len(self._undoing), why=str(error))


def decision_names() -> Callable[[], str]:
    """Ids that no other process, and no later life of this one, makes too."""
    count, life = itertools.count(1), secrets.token_hex(6)
    return lambda: f"dec_{life}{next(count):07x}"
