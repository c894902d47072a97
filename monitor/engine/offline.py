"""Whether it is we who are offline: every provider is out of reach at once, and nobody else answers either. Pure.

    online ──▶ offline ──▶ returning ──▶ online
                  ▲            │
                  └────────────┘ silent again

What a provider did not answer meanwhile says nothing of the provider, so it is not held against it (`blame`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from monitor.model.record import Account

#: Whose doing it is that a provider does not answer: the provider's own, ours, or too early to tell.
Blame = Literal["theirs", "ours", "unsure"]

#: Between two looks at the control targets: while somebody waits for the verdict, and while there is none to wait for.
LOOK_SOON, LOOK_LATER = timedelta(seconds=1), timedelta(seconds=10)
#: How long the accounts that could not be read have for it once the network is back: two intervals, within bounds.
GRACE_MIN, GRACE_MAX = timedelta(seconds=20), timedelta(minutes=10)
#: A provider that has not been asked for two intervals (within bounds) is asked by another process, or too seldom.
PATIENCE_MIN, PATIENCE_MAX = timedelta(seconds=10), timedelta(minutes=2)


@dataclass(slots=True)
class Sight:
    """What one process has seen of the world. `intervals` are provider → its shortest interval, of those polled here;
    `grace` is how long the return may take. Without `armed` there is nothing to compare with: failures are theirs."""

    armed: bool = False
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    grace: timedelta = GRACE_MIN
    #: Since when we are offline, and since when somebody answers again.
    offline_since: datetime | None = None
    back_at: datetime | None = None
    _failing: dict[str, datetime] = field(default_factory=dict)
    _answered: dict[str, datetime] = field(default_factory=dict)
    _blind: set[tuple[str, str]] = field(default_factory=set)
    _witness_at: datetime | None = None
    _looked_at: datetime | None = None
    _reached: bool = True

    def expect(self, accounts: Iterable[Account], *, armed: bool) -> None:
        """These accounts are polled here from now on; what was seen of them stays."""
        shortest: dict[str, timedelta] = {}
        longest = timedelta(0)
        for account in accounts:
            shortest[account.provider] = min(account.interval, shortest.get(account.provider, account.interval))
            longest = max(longest, account.interval)
        self.armed, self.intervals = armed and bool(shortest), shortest
        self.grace = min(max(2 * longest, GRACE_MIN), GRACE_MAX)
        self._failing = {name: since for name, since in self._failing.items() if name in shortest}
        self._blind = {(provider, name) for provider, name in self._blind if provider in shortest}

    def heard(self, provider: str, account: str, at: datetime) -> None:
        """A provider has answered, whatever it said."""
        self._answered[provider] = self._witness_at = at
        self._failing.pop(provider, None)
        self._blind.discard((provider, account))
        if self.offline_since is not None and self.back_at is None:
            self.back_at = at

    def missed(self, provider: str, account: str, at: datetime) -> bool:
        """A provider has not answered; whether that is news."""
        news = provider not in self._failing
        self._failing.setdefault(provider, at)
        self._blind.add((provider, account))
        return news

    def looked(self, at: datetime, *, reached: bool) -> None:
        """The control targets were tried, since `at`; `reached`: one of them is there."""
        self._looked_at, self._reached = at, reached
        if reached:
            self._witness_at = at
            if self.offline_since is not None and self.back_at is None:
                self.back_at = at

    def look_at(self, now: datetime) -> datetime | None:
        """When to try the control targets next; None while every provider answers."""
        if not self.armed or (not self._failing and self.offline_since is None):
            return None
        doubtful = self.offline_since is not None or any(map(self._unsure, self._failing))
        if not doubtful and not self._all_silent(now):
            return None
        if self._looked_at is None or self._looked_at > now:
            return now
        return self._looked_at + (LOOK_SOON if doubtful else LOOK_LATER)

    def blame(self, provider: str) -> Blame:
        """Whose doing it is that this provider does not answer."""
        if not self.armed:
            return "theirs"
        if self.offline_since is not None:
            return "ours"
        return "unsure" if self._unsure(provider) else "theirs"

    def judge(self, now: datetime) -> bool:
        """Whether we are offline by all that is known now."""
        lost = self.armed and self._all_silent(now) and self._lost()
        if self.offline_since is None:
            self.offline_since = now if lost else None
        elif lost:
            self.back_at = None
        elif self._settled(now):
            # Who does not answer by now does so without our doing, and since we are back.
            self._failing = dict.fromkeys(self._failing, self.back_at or now)
            self._blind.clear()
            self.offline_since = self.back_at = None
        return self.offline_since is not None

    def _unsure(self, provider: str) -> bool:
        """Whether nobody has answered since this provider stopped doing so."""
        since = self._failing.get(provider)
        return since is not None and (self._witness_at is None or self._witness_at < since)

    def _lost(self) -> bool:
        """Whether the targets did not answer either, since the last provider stopped doing so."""
        looked = self._looked_at
        return looked is not None and not self._reached and looked >= max(self._failing.values())

    def _all_silent(self, now: datetime) -> bool:
        """Whether every provider has stopped to answer, as far as it was asked from here."""
        if not self._failing:
            return False
        first = min(self._failing.values())
        return all(
            name in self._failing or self._elsewhere(name, interval, first, now)
            for name, interval in self.intervals.items()
        )

    def _elsewhere(self, provider: str, interval: timedelta, first: datetime, now: datetime) -> bool:
        answered = self._answered.get(provider)
        asked = answered is not None and answered >= first
        return not asked and now - first > min(max(2 * interval, PATIENCE_MIN), PATIENCE_MAX)

    def _settled(self, now: datetime) -> bool:
        """Whether everybody who was out of reach has been read since we are back, or has had the time for it."""
        if self.back_at is None:
            return not self.armed
        return not (self._failing or self._blind) or now - self.back_at >= self.grace


def theirs() -> Blame:
    """Where nobody asks whether it is we who are offline."""
    return "theirs"
