"""What the engine needs from the outside. Adapters implement these; tests implement them in a few lines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from monitor.engine.sums import SumStore
from monitor.model.event import Event
from monitor.model.group import Message, Receipt
from monitor.model.record import Account, Answer, Commit, Committed, Health, Record, Roundup
from monitor.model.report import Report, Reports
from monitor.model.standing import SOLE, Standing

#: A provider's quota: so many units per so long, all of them at once.
Windows = tuple[tuple[int, timedelta], ...]

#: What reading an account can answer.
Read = Answer | Health | Reports | Roundup
#: The time of this process: aware, UTC, following the store's clock.
Clock = Callable[[], datetime]


def unheard(_took: timedelta) -> None:
    """For a duration that nobody measures."""


class Budget(Protocol):
    """What one poll may spend of its provider's shared quota (requests, or the provider's credits)."""

    async def spend(self, cost: int) -> None:
        """Take `cost` from the quota of all processes; ProviderThrottled with a wait when it is spent."""
        ...

    async def correct(self, remaining: int) -> None:
        """The provider said how much is left of its quota: believe it when that is less than we think."""
        ...


class Provider(Protocol):
    """Reads balances. No retry, no log, no timer inside: failure is raised and becomes an Outage.

    Raises ProviderError; anything else is a bug and is contained by the poll.
    """

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Read:
        """One reading. `record` is what was known (its snapshot and ledgers), not to be changed.

        The caller bounds the time. The first `cost` of a poll is already paid (ProviderSettings.poll_cost).
        """
        ...


class Channel(Protocol):
    """Delivers one message. Raises DeliveryError; returns once the destination has taken it."""

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Send, and return what the destination answered."""
        ...


class Claim(NamedTuple):
    """A lease on one account's poll. `token` fences the commit; `due_at` is when it should have run. `ahead`: somebody
    waits for it. `claimed_at` is the store's time of the claim: whatever is read under it was read later."""

    account: str
    token: int
    due_at: datetime
    claimed_at: datetime
    ahead: bool = False


class Claims(NamedTuple):
    """What a call to `claim` got: `now` is the store's time, `next_at` when to ask again (None: nothing there).
    `waiting`: somebody is still first in line, maybe only until a poll under way ends."""

    now: datetime
    claims: tuple[Claim, ...]
    next_at: datetime | None
    waiting: bool = False


class Summing(NamedTuple):
    """What sums over accounts want of one: its readings, stale after that long, and its movements, for that long."""

    stale_after: timedelta | None = None
    moves: timedelta | None = None


#: Of an account that no sum is over.
ALONE = Summing()


class PollStore(SumStore, Protocol):
    """The polling half of the store. Every method raises StoreUnavailable when the store does not answer."""

    async def enrol(
        self, provider: str, due: Mapping[str, datetime], latest: Mapping[str, datetime] | None = None
    ) -> None:
        """Give accounts a first due time; those that have one, or are leased, keep it.

        One that is due only after its `latest` is due then: its interval has become shorter.
        """
        ...

    async def dismiss(self, provider: str, accounts: Sequence[str], *, moved: bool = False) -> None:
        """Forget the due times of accounts that are no longer configured; sums do too, unless they have `moved`."""
        ...

    async def claim(
        self, provider: str, limit: int, lease: timedelta, standing: Standing = SOLE, ahead: int | None = None
    ) -> Claims:
        """Lease up to `limit` due accounts of a provider, up to `ahead` (None: all) of those first in line before any
        other. An expired lease is due again. Not those that this configuration has just passed on; and where it is
        not the newest, others only when that one has left them for a moment."""
        ...

    async def take_one(self, provider: str, account: str, lease: timedelta) -> Claim | None:
        """Lease one account, due or not; None while somebody is at it, or when it is due never."""
        ...

    async def release(self, provider: str, claims: Sequence[Claim]) -> None:
        """Give unused claims back: due at once."""
        ...

    async def pass_on(self, provider: str, claim: Claim, wait: timedelta, configuration: str) -> None:
        """Give a claim back, due at once for those that run another configuration, and for this one after `wait`."""
        ...

    async def poll_now(self, provider: str, account: str) -> None:
        """Make an account due now; during its poll, one more follows."""
        ...

    async def load(self, account: str) -> Record:
        """The account's record; version 0 when there is none."""
        ...

    async def events(self, account: str, since: datetime) -> tuple[Event, ...]:
        """The stored events recorded since then, oldest first."""
        ...

    async def commit(
        self,
        provider: str,
        commit: Commit,
        claim: Claim,
        next_at: datetime,
        summing: Summing = ALONE,
        generation: int = 0,
    ) -> Committed:
        """Write one poll in one atomic call, if the version is the one read, the claim is still ours, and no newer
        generation has judged the account. `summing` says whether sums over accounts are to hear of it."""
        ...

    async def move(self, account: str) -> int:
        """Apply the account's outstanding rows to their groups, in order; returns how many there were."""
        ...

    async def take(self, provider: str, windows: Windows, cost: int, most: int) -> tuple[int, timedelta]:
        """Take up to `most` times `cost` from a provider's quota: how many times it was, and how long to wait
        for the next when it was none."""
        ...

    async def give_back(self, provider: str, windows: Windows, cost: int) -> None:
        """Return what was taken and not used."""
        ...

    async def correct(self, provider: str, windows: Windows, remaining: int) -> None:
        """The provider said how much is left: believe it when that is less than we think."""
        ...

    async def note(self, provider: str, health: Health) -> None:
        """Merge what polls showed of a provider (coalesced by the caller)."""
        ...

    async def health(self, provider: str) -> Health:
        """How the provider is doing, over all processes."""
        ...

    async def throttle(self, provider: str, wait: timedelta) -> None:
        """Nobody spends this provider's budget until then."""
        ...

    async def report(self, reports: Sequence[Report]) -> None:
        """Say these conditions, or say again that they last."""
        ...

    async def withdraw(self, reports: Sequence[Report]) -> None:
        """These conditions are over."""
        ...

    async def reports(self, now: datetime) -> tuple[Report, ...]:
        """What all processes report; what nobody has renewed in time is forgotten."""
        ...

    async def running(self) -> int:
        """How many processes that poll have said of late that they run."""
        ...
