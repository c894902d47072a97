"""Whether the guard is open at all, as this process last heard it from the store."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.engine.guardports import SwitchStore
from monitor.engine.ports import Clock
from monitor.guard import units
from monitor.guard.hold import Switch, Terms

#: What was heard longer ago is not relied on.
TRUSTED_FOR = timedelta(seconds=2)
_NOTHING = timedelta(0)

_OPEN = Switch()

#: What can close the guard: an operator, or the bankroll → why, for people.
Causes = Mapping[str, str]


class Bankroll(NamedTuple):
    """The wallet that pays what players win, and between which amounts the guard stays as it is (units).

    `whose` money that account stands for, as in `Ask`.
    """

    account: str
    asset: str
    close_below: int
    open_above: int
    whose: str = ""


def told(switch: Switch) -> str:
    """Why an operator's switch is closed, for people."""
    return f"closed by {switch.author or 'an operator'}: {switch.comment}"


@dataclass(slots=True)
class Switchboard:
    """Implements SwitchBoard. `refresh` is to be called twice a second; `max_age` is that of the bankroll's balance."""

    store: SwitchStore
    clock: Clock
    terms: Terms
    max_age: timedelta
    house: Bankroll | None = None
    _switch: Switch = _OPEN
    _causes: dict[str, str] = field(default_factory=dict)
    _why: str | None = None
    _heard_at: datetime | None = None
    _asked: int = 0
    _heard: int = 0

    @property
    def switch(self) -> Switch:
        """The operator's part of it."""
        return self._switch

    @property
    def causes(self) -> Causes:
        """What closes it: `operator`, `bankroll`."""
        return self._causes

    async def closed(self, now: datetime) -> str | None:
        """Why the guard is closed; None while it is open. Asks the store where what is known is too old: after a pause
        of this process it always is, and after the clock was set back. StoreUnavailable where that does not answer."""
        if self._heard_at is None or not _NOTHING <= now - self._heard_at <= TRUSTED_FOR:
            await self.refresh()
        return self._why

    async def refresh(self) -> None:
        """Hear from the store how it stands, and judge the bankroll."""
        self._asked += 1
        asked, asked_at = self._asked, self.clock()
        switch, house = await asyncio.gather(self.store.switch(), self._judge())
        causes = {}
        if switch.since is not None:
            causes["operator"] = told(switch)
        if house:
            causes["bankroll"] = house
        if asked > self._heard:
            # Else somebody has asked later and heard earlier: after a close, say.
            self._switch, self._causes, self._heard, self._heard_at = switch, causes, asked, asked_at
            self._why = "; ".join(causes.values()) or None

    async def close(self, comment: str, author: str) -> Switch:
        """No new holds anywhere, in this process from now on."""
        switch = Switch(self.clock(), comment, author)
        await self.store.close_guard(switch)
        await self.refresh()
        return self._switch

    async def open(self) -> None:
        """As before; a bankroll that is too low still keeps it closed."""
        await self.store.open_guard()
        await self.refresh()

    async def _judge(self) -> str:
        """Why the bankroll closes the guard; empty when it does not."""
        house = self.house
        if house is None:
            return ""
        solvency, _ = await self.store.bankroll(*house, self.terms, self.max_age)
        if solvency == "solvent":
            return ""
        if solvency == "unknown":
            return f"nothing is known of the bankroll, or nothing new: {house.asset} of {house.account}"
        low, again = units.text(house.close_below), units.text(house.open_above)
        return f"the bankroll, {house.asset} of {house.account}, fell below {low}; it opens again at {again}"
