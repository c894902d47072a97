"""What all processes share about a provider: its quota and its health."""

from datetime import datetime, timedelta

from monitor.engine.ports import Windows
from monitor.model.record import Health
from monitor.model.window import MICROSECOND, micros, moment
from monitor.store import keys
from monitor.store.session import Session


class BudgetStore(Session):
    """Implements quotas and health of the polling port."""

    async def take(self, provider: str, windows: Windows, cost: int, most: int) -> tuple[int, timedelta]:
        """Take up to `most` times `cost` from a provider's quota: how many times it was, and how long to wait
        for the next when it was none."""
        touched = [keys.quota(provider), *_window_keys(provider, windows)]
        times, wait = await self._calls.fcall("bm_take", touched, self._now, cost, most, *_limits(windows))
        return int(times), timedelta(microseconds=int(wait))

    async def give_back(self, provider: str, windows: Windows, cost: int) -> None:
        """Return what was taken and not used."""
        if windows and cost > 0:
            touched = _window_keys(provider, windows)
            await self._calls.fcall("bm_give_back", touched, self._now, cost, *_limits(windows))

    async def correct(self, provider: str, windows: Windows, remaining: int) -> None:
        """The provider said how much is left: believe it when that is less than we think."""
        if windows:
            touched = _window_keys(provider, windows)
            await self._calls.fcall("bm_correct", touched, self._now, remaining, *_limits(windows))

    async def throttle(self, provider: str, wait: timedelta) -> None:
        """Nobody spends this provider's budget until then."""
        await self._calls.fcall("bm_throttle", [keys.quota(provider)], self._now, wait // MICROSECOND)

    async def note(self, provider: str, health: Health) -> None:
        """Merge what polls showed of a provider (coalesced by the caller)."""
        times = (health.noted_at or health.at, health.good_at, health.failing_since, health.refused_at)
        await self._calls.fcall(
            "bm_note",
            [keys.health(provider)],
            *("" if at is None else micros(at) for at in times),
            health.why,
        )

    async def health(self, provider: str) -> Health:
        """How the provider is doing, over all processes."""
        now, *times, why = await self._calls.fcall("bm_health", [keys.health(provider)], self._now)
        noted, good, failing, refused = (_time(at) for at in times)
        return Health(
            at=moment(int(now)),
            noted_at=noted,
            good_at=good,
            failing_since=failing,
            refused_at=refused,
            why=why.decode(),
        )


def _time(stored: bytes) -> datetime | None:
    return moment(int(stored)) if stored else None


# A window named twice is one window: counted twice, it would hold half as much.
def _window_keys(provider: str, windows: Windows) -> list[str]:
    return [keys.window(provider, units, per // MICROSECOND) for units, per in dict.fromkeys(windows)]


def _limits(windows: Windows) -> list[int]:
    return [number for units, per in dict.fromkeys(windows) for number in (units, per // MICROSECOND)]
