"""When the accounts of a configuration are due, as the store is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from monitor.config import Config
from monitor.engine.ports import Clock
from monitor.model.record import Account, PriceWatch
from monitor.schedule import Every, Timetable, first_due, next_due
from monitor.store.redis import RedisStore

#: Accounts enrolled in one call to the store.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The timetables of one configuration, and what the store is told by them."""

    config: Config
    store: RedisStore
    clock: Clock
    #: Those of accounts made at run time, as they are at any time.
    guests: Mapping[str, Timetable] = field(default_factory=dict)

    async def enrol(self, provider: str, accounts: Mapping[str, Account]) -> None:
        """Give every account that has none a due time."""
        # Some may come and go meanwhile.
        now, accounts = self.clock(), dict(accounts)
        names = iter(accounts)
        while chunk := list(islice(names, CHUNK)):
            plans = {name: self._timetable(accounts[name]) for name in chunk}
            due = {name: first_due(plan, name, now) for name, plan in plans.items()}
            latest = {name: next_due(plan, name, now) for name, plan in plans.items()}
            await self.store.enrol(provider, due, latest)

    def next_due(self, account: Account, now: datetime) -> datetime:
        """When an account is polled next."""
        return next_due(self._timetable(account), account.name, now)

    def _timetable(self, account: Account) -> Timetable:
        at_once = isinstance(account.target, PriceWatch)
        known = self.config.timetables.get(account.name) or self.guests.get(account.name)
        return known or Every(account.interval, *((0,) if at_once else ()))
