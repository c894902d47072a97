"""What the guard needs of the store, and of those who know the accounts, poll them and keep the switch."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from monitor.guard.hold import Ask, Balance, Debit, Hold, Lock, Outcome, Resolution, Switch, Terms, Verdict, Wallet
from monitor.guard.reasons import Reason
from monitor.model.record import Account

#: What came of a refresh: the account was read anew · it was not in time · the quota's part for refreshes is spent ·
#: its provider is failing and left alone.
Refreshed = Literal["read", "late", "spent", "failing"]
#: What came of one that nobody waits for: it was asked for · the rest as above.
Behind = Literal["asked", "spent", "failing"]

#: Whether the house can pay: it has enough · too little · nobody knows.
Solvency = Literal["solvent", "low", "unknown"]
#: The calls that end a hold.
Call = Literal["commit", "settled", "release"]
#: What became of a hold whose answer came too late: refused · expired before that · forgotten, as there were too many.
Undone = Literal["refused", "expired", "forgotten"]


class Quarantine(NamedTuple):
    """Until when a partition refuses new holds: they may have been lost there, or its clock was `set_forward`."""

    until: datetime
    set_forward: bool = False


class Tended(NamedTuple):
    """What the janitor found in one partition: debits older than allowed, by account and asset, and its quarantine."""

    unsettled: Sequence[tuple[str, str, Debit]]
    bound: Quarantine | None


def reasons(bound: Iterable[Quarantine]) -> str:
    """What they are for, for people."""
    whys = {"the store's clock was set forward" if one.set_forward else "holds may have been lost" for one in bound}
    return " and ".join(sorted(whys))


class SwitchStore(Protocol):
    """What closes the guard for everybody. Raises StoreUnavailable when there is no answer."""

    async def switch(self) -> Switch:
        """The operator's switch."""
        ...

    async def close_guard(self, switch: Switch) -> None:
        """No new holds anywhere."""
        ...

    async def open_guard(self) -> None:
        """As before."""
        ...

    async def bankroll(
        self, account: str, asset: str, close_below: int, open_above: int, whose: str, terms: Terms, max_age: timedelta
    ) -> tuple[Solvency, Balance | None]:
        """Judge the house's balance with hysteresis, for all processes. `unknown`: never seen, or too old to say.

        `whose` money the account stands for, as in `Ask`: what was read of other money is not known.
        """
        ...


class GuardStore(SwitchStore, Protocol):
    """The guard's half of the store: each call decides in one atomic function call, besides the index of hold ids.

    Raises StoreUnavailable when there is no answer: then nobody knows whether it was done, and every call may be
    repeated. Times are the store's own.
    """

    async def check(self, ask: Ask, terms: Terms) -> Verdict:
        """May this be spent? Reserves nothing, remembers nothing."""
        ...

    async def hold(self, ask: Ask, terms: Terms) -> Verdict:
        """Check and reserve. The same id and fingerprint (caller, account, asset, amount) get the same answer."""
        ...

    def open_holds(self) -> int:
        """How many holds that this process has made are open, as far as it remembers: some thousands, and none that
        another process has ended is taken off."""
        ...

    async def refuse_hold(self, caller: str, hold: str, decision: str, terms: Terms, reason: Reason) -> None:
        """Undo what may have been reserved, and refuse this id from now on.

        As HOLD_TOMBSTONED (nobody was answered in time) only what this very decision has reserved and nobody was told
        since: a hold of an earlier decision, or one that was replayed, stands behind somebody's bet. As
        BANKROLL_INSUFFICIENT whatever is held.
        """
        ...

    async def commit_hold(self, caller: str, hold: str, amount: int | None, terms: Terms) -> Resolution:
        """The bet stands with this amount (None: all of it); the rest returns at once."""
        ...

    async def settle_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Its debit is booked at the provider, as of now."""
        ...

    async def release_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Roll back. An id that is unknown gets a tombstone."""
        ...

    async def find_hold(self, caller: str, hold: str, terms: Terms) -> tuple[Hold | None, datetime]:
        """What became of a hold, and the store's time."""
        ...

    async def wallet(self, account: str, asset: str, terms: Terms, whose: str = "") -> Wallet | None:
        """Everything about a wallet; None when the account has not this asset. `asset` is a full name.

        `whose` money the account stands for, as in `Ask`: None too until that is read.
        """
        ...

    async def seen_at(self, account: str) -> tuple[datetime | None, datetime]:
        """When the newest request began that told a balance of this account, and the store's time."""
        ...

    async def resolve_asset(self, account: str, asset: str) -> tuple[str, ...]:
        """The full names that an asset without its network may mean for this account; empty when none is known."""
        ...

    async def lock(self, account: str, asset: str, lock: Lock) -> bool:
        """Hold to this until its source says otherwise; the last word of a source counts. False: too many lock it."""
        ...

    async def unlock(self, account: str, asset: str, source: str) -> bool:
        """Whether there was such a lock."""
        ...

    async def tend(self, partition: int, older_than: datetime, terms: Terms) -> Tended:
        """Give back what has expired and strike off what is covered in quiet wallets of one partition, and notice that
        it may have lost holds or its clock was set forward, though nobody bets there any more."""
        ...


class Accounts(Protocol):
    """The accounts there are: those of the configuration, and those made at run time."""

    def get(self, name: str) -> Account | None:
        """An account that this process knows of."""
        ...

    async def find(self, name: str) -> Account | None:
        """The same; asks the store when it is unknown here, since another process may just have made it."""
        ...

    def session_over(self, name: str) -> bool:
        """Whether it was watched for a time that is over; then `get` and `find` know it no more."""
        ...


class Refreshing(Protocol):
    """Reads accounts anew. Single flight: whoever asks meanwhile joins the poll there is."""

    def soon(self, account: Account, tell: Callable[[Behind], None]) -> None:
        """In the background; nobody waits, and nothing is raised. Told what came of it, unless it was just done."""
        ...

    async def now(self, account: Account, within: timedelta, since: datetime | None = None) -> Refreshed:
        """First in line; waits for a reading that began after this call was made, no longer than this.

        With `since` for one that began then or later: a poll under way will do. Raises StoreUnavailable.
        """
        ...


class SwitchBoard(Protocol):
    """Whether anything may be held at all: the operator's switch, and the bankroll's."""

    async def closed(self, now: datetime) -> str | None:
        """Why the guard is closed, for people; None while it is open. As a rule at most half a second old: asks the
        store where it is too old to rely on. StoreUnavailable where that does not answer."""
        ...

    @property
    def switch(self) -> Switch:
        """The operator's part of it, as old."""
        ...

    async def close(self, comment: str, author: str) -> Switch:
        """No new holds anywhere, in this process from now on."""
        ...

    async def open(self) -> None:
        """As before; a bankroll that is too low still keeps it closed."""
        ...


class Meter(Protocol):
    """Counts what the guard does. Methods are named for what has just happened."""

    def decided(self, reason: Reason, took: timedelta, age: timedelta | None) -> None:
        """A bet was allowed (`OK`) or refused. `age` is how old the facts were, None when there were none."""
        ...

    def undecided(self, why: str, took: timedelta) -> None:
        """There was no decision: the name of the problem that was answered instead."""
        ...

    def resolved(self, call: Call, outcome: Outcome) -> None:
        """A commit, a settled or a release was answered."""
        ...

    def refreshed(self, outcome: Refreshed | Behind) -> None:
        """Somebody waited for a refresh, or it was made in the background."""
        ...

    def undone(self, outcome: Undone) -> None:
        """What became of a hold whose answer came too late."""
        ...

    def unaudited(self, count: int) -> None:
        """So many decisions were not logged: there was no room."""
        ...
