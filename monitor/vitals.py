"""Gathers what a heartbeat is withheld for: this process's own life, and work that nobody does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.config import Config
from monitor.connectivity import Lookout
from monitor.duties import Duties
from monitor.engine.deliver import LEASE
from monitor.engine.route import compile_route
from monitor.model.channel import ChannelHealth
from monitor.model.vital import LATE_MIN, Signs, troubles
from monitor.rules.self_alert import NOTIFICATION_FAILING

#: The labels of the alert that a channel is failing, but for which.
_SAID_OF_IT = {"rule": NOTIFICATION_FAILING, "rule_type": "self", "severity": "critical"}


@dataclass(frozen=True, slots=True)
class Vitals:
    """Looks at one process and at the store it shares: late polls and unsent messages are everybody's trouble."""

    duties: Duties
    lookout: Lookout

    async def __call__(self) -> tuple[str, ...]:
        """What does not work, see `troubles`. StoreUnavailable when the store does not answer."""
        await self.duties.store.ping()
        return troubles(await self._signs())

    async def _signs(self) -> Signs:
        duties, crew, now = self.duties, self.duties.crew, self.duties.clock()
        store, channels = duties.store, list(crew.config.channels)
        accounts = {**crew.accounts, **crew.stand_ins}
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
            failing=audiences(crew.config, await store.channel_health(channels)),
        )


def audiences(config: Config, health: Mapping[str, ChannelHealth]) -> dict[str, tuple[str, ...]]:
    """Channels that take no messages → the others that are told of it at once."""
    failing = [name for name, one in health.items() if one.state != "ok"]
    if not failing:
        return {}
    router = compile_route(config.route, tuple(config.channels), config.escalations, config.fallback_channel)
    told = {name: router({**_SAID_OF_IT, "channel": name}) for name in failing}
    return {name: tuple(target.channel for target in targets if not target.after) for name, targets in told.items()}
