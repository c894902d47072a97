"""Gathers what a heartbeat is withheld for: this process's own life, and work that nobody does."""

import asyncio
from dataclasses import dataclass

from monitor.connectivity import Lookout
from monitor.duties import Duties
from monitor.engine.deliver import LEASE
from monitor.model.vital import LATE_MIN, Signs, troubles
from monitor.plan import Crew


@dataclass(frozen=True, slots=True)
class Vitals:
    """Looks at one process and at the store it shares: late polls and unsent messages are everybody's trouble."""

    duties: Duties
    lookout: Lookout

    async def __call__(self) -> tuple[str, ...]:
        """What does not work, see `troubles`. StoreUnavailable when the store does not answer."""
        duties, crew = self.duties, self.duties.crew
        if crew is None:
            return ("not started yet",)
        await duties.store.ping()
        return troubles(await self._signs(crew))

    async def _signs(self, crew: Crew) -> Signs:
        duties, now = self.duties, self.duties.clock()
        store, channels = duties.store, list(crew.config.channels)
        accounts = {**crew.config.accounts, **crew.stand_ins}
        providers = {account.provider for account in accounts.values()}
        found = await asyncio.gather(*(store.late_polls(provider, now - LATE_MIN) for provider in providers))
        since = {name: at for late in found for name, at in late.items() if name in accounts}
        waiting = await asyncio.gather(*map(store.waiting, channels))
        return Signs(
            now=now,
            rung_at=duties.rung_at,
            lag=duties.lag,
            store_up=duties.store_up,
            ailing=crew.ailing(),
            offline=self.lookout.offline,
            late={name: (now - at, accounts[name].interval) for name, at in since.items()},
            unmoved=await store.unmoved(),
            waiting=dict(zip(channels, waiting, strict=True)),
            lease=LEASE,
        )
