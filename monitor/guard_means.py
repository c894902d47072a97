"""What the pre-bet guard needs of a crew: polls for whoever waits, and the switchboard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from monitor.config import Config
from monitor.engine.bet import owner
from monitor.engine.lane import Lane
from monitor.engine.poll import Polled
from monitor.engine.ports import Claim, Clock
from monitor.engine.refresher import Refresher
from monitor.engine.switch import Bankroll, Switchboard
from monitor.guard import units
from monitor.model.record import Account
from monitor.store.redis import RedisStore


@dataclass(frozen=True, slots=True)
class GuardMeans:
    """Of one configuration. `house_read` is told that the bankroll was read."""

    refresher: Refresher
    switchboard: Switchboard
    house_read: Callable[[], None]

    @classmethod
    def of(
        cls,
        config: Config,
        store: RedisStore,
        wake: Callable[[str], None],
        clock: Clock,
        house_read: Callable[[], None],
    ) -> Self:
        """What this configuration needs; `wake` makes this process look for what is due."""
        lanes = {
            name: Lane.of(store, name, settings.quota(), settings.poll_cost())
            for name, settings in config.providers.items()
        }
        guard = config.guard
        switchboard = Switchboard(store, clock, guard.terms(), guard.max_age, _bankroll(config))
        return cls(Refresher(store, lanes, wake, clock), switchboard, house_read)

    def lane(self, provider: str) -> Lane | None:
        """The lane of a provider; None of what is none, the store for one."""
        return self.refresher.lanes.get(provider)

    def observe(self, account: Account, claim: Claim, polled: Polled) -> None:
        """A poll of this process has ended."""
        self.refresher.observe(account, claim, polled)
        house = self.switchboard.house
        if house is not None and account.name == house.account:
            self.house_read()


def _bankroll(config: Config) -> Bankroll | None:
    house = config.guard.bankroll
    if house is None:
        return None
    close_below, open_above = units.ceil(house.close_below), units.ceil(house.open_above)
    return Bankroll(house.account, house.asset, close_below, open_above, owner(config.accounts.get(house.account)))
