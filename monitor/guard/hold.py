"""What a caller asks, what it is told, and what the guard keeps of a hold. Amounts are units, see `units`."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from monitor.guard.reasons import Reason

#: States only move forward: held → committed → settled → covered, held → released, held → expired. `tombstone`: it was
#: released before it came. `denied`: it was refused, and stays so.
State = Literal["held", "committed", "settled", "covered", "released", "expired", "denied", "tombstone"]

#: What a call on a hold came to, but for a decision. The names are those of the API's problems.
Outcome = Literal[
    "done",
    "hold-unknown",
    "hold-expired",
    "hold-already-released",
    "hold-already-committed",
    "commit-exceeds-hold",
]


#: More open holds of a wallet than these the store does not count.
HOLDS_MAX = 999_999


class Terms(NamedTuple):
    """The guard's settings that the store's functions go by.

    `posting_delay` None: only `settled` says that a debit is booked. `hold_max` is the longest ttl that can be given.
    """

    posting_delay: timedelta | None
    read_lag: timedelta
    hold_ids: timedelta
    hold_max: timedelta
    max_holds: int
    locked: Literal["subtract", "deny"]

    @property
    def quarantine(self) -> timedelta:
        """How long a hold that was lost may still become a debit, and that be hidden from the provider's reads.

        Where debits have no bound but `settled`, what was lost is bounded by the longest hold alone.
        """
        return self.hold_max + (self.posting_delay or timedelta(0)) + self.read_lag


class Ask(NamedTuple):
    """A question before a bet. `hold` is empty for a check. `asset` is as the caller wrote it, maybe without network.

    `amount` counts units, `decimals` is how it was written. `max_age` is how old the facts may be. `early` is the first
    reason to refuse that is known without the wallet. `declared`: the configuration names this asset. `whose` money the
    account stands for, see `monitor.model.feed`: what was read of other money is not known. Empty: of any.
    `exposed`: an exposure is stated, as it must be or must not be each time; None where nobody looks at it.
    """

    caller: str
    hold: str
    account: str
    asset: str
    amount: int
    decimals: int
    ttl: timedelta
    max_age: timedelta
    decision: str
    early: Reason | None = None
    declared: bool = False
    whose: str = ""
    exposed: bool | None = None


class Balance(NamedTuple):
    """A wallet at one instant. `last_seen` None: never seen. `as_of` is when the request began that showed it.

    `locked` is what is taken off: zero unless `locked: subtract` and the provider's `available` still contains it.
    `decimals` is how the provider writes amounts.
    """

    asset: str
    last_seen: int | None
    held: int
    unsettled: int
    locked: int
    as_of: datetime | None
    decimals: int = 0

    @property
    def spendable(self) -> int:
        """What may still be promised; never negative, and nothing of what was never seen."""
        return max(0, (self.last_seen or 0) - self.held - self.unsettled - self.locked)


class Hold(NamedTuple):
    """A hold as it is known. `reason` is set where it was denied. `posted_at` is when its debit counts as booked.

    `posted_at` is None while it is not committed, or waits for `settled`. `committed` is the final amount. `exposed`:
    the house was to cover it.
    """

    caller: str
    id: str
    account: str
    asset: str
    state: State
    amount: int
    decimals: int
    decision: str
    expires_at: datetime | None = None
    committed: int | None = None
    posted_at: datetime | None = None
    reason: Reason | None = None
    exposed: bool = False


class Verdict(NamedTuple):
    """A decision. `hold` is None for a check. `now` is the store's time.

    `reused`: another bet has this id, nothing happened. `networks`: the asset is on several, nothing was decided.
    """

    reason: Reason
    balance: Balance | None
    hold: Hold | None
    now: datetime
    replayed: bool = False
    reused: bool = False
    networks: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.reason == "OK"


class Resolution(NamedTuple):
    """What became of a commit, a settled or a release. `hold` as it is now; None where nothing is known of it.

    `late`: it came after the hold had expired, and its amount counts as unsettled all the same.
    """

    outcome: Outcome
    hold: Hold | None
    now: datetime
    late: bool = False


class Lock(NamedTuple):
    """Somebody's word that a wallet must not be used: until then, or until it is taken back."""

    source: str
    until: datetime | None = None


class Debit(NamedTuple):
    """A committed amount that no snapshot is known to contain. `posted_at` None: nobody has said that it is booked.

    A reading that began after `posted_at` and `read_lag` covers it.
    """

    hold: str
    caller: str
    amount: int
    committed_at: datetime
    posted_at: datetime | None


class Wallet(NamedTuple):
    """All there is to know of a wallet; lists are cut at a hundred, `more` says how many are left out.

    `token` is the epoch of the snapshot: the fencing token of the poll that brought it. `bound_until` is when a
    quarantine ends at the earliest.
    """

    balance: Balance
    now: datetime
    version: int
    token: int | None
    holds: tuple[Hold, ...]
    debits: tuple[Debit, ...]
    locks: tuple[Lock, ...]
    bound_until: datetime | None
    more: int = 0


class Switch(NamedTuple):
    """The operator's switch. `since` None: the guard is open."""

    since: datetime | None = None
    comment: str = ""
    author: str = ""
