"""What closes the guard for everybody: an operator, or a bankroll that is too low."""

from datetime import timedelta

from monitor.engine.guardports import Solvency
from monitor.guard import units
from monitor.guard.hold import Ask, Balance, Switch, Terms
from monitor.model.window import micros, moment
from monitor.store.guarding import GuardingStore
from monitor.store.keys import GUARD


class SwitchingStore(GuardingStore):
    """Implements the switch and the bankroll of the guard's port."""

    async def switch(self) -> Switch:
        """The operator's switch."""
        since, comment, author = await self._guard_calls.command("HMGET", GUARD, "since", "comment", "author")
        if not since:
            return Switch()
        return Switch(moment(int(since)), (comment or b"").decode(), (author or b"").decode())

    async def close_guard(self, switch: Switch) -> None:
        """No new holds anywhere."""
        assert switch.since is not None, "closed at some time"
        told = ("since", micros(switch.since), "comment", switch.comment, "author", switch.author)
        await self._guard_calls.command("HSET", GUARD, *told)

    async def open_guard(self) -> None:
        """As before."""
        await self._guard_calls.command("HDEL", GUARD, "since", "comment", "author")

    async def bankroll(
        self, account: str, asset: str, close_below: int, open_above: int, whose: str, terms: Terms, max_age: timedelta
    ) -> tuple[Solvency, Balance | None]:
        """Judge the house's balance with hysteresis, for all processes; see the port."""
        ask = Ask("", "", account, asset, 0, 0, timedelta(0), max_age, "", declared=True, whose=whose)
        found = await self.check(ask, terms)
        balance = found.balance
        if balance is None or balance.last_seen is None or balance.as_of is None:
            return "unknown", None
        if found.now - balance.as_of > max_age:
            return "unknown", balance
        low = await self._guard_calls.fcall(
            "bm_bankroll",
            [GUARD],
            self._now,
            f"{account} {asset}",
            units.padded(balance.last_seen),
            micros(balance.as_of),
            units.padded(close_below),
            units.padded(open_above),
        )
        return ("low" if low == b"1" else "solvent"), balance
