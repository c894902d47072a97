"""What the API needs from the rest of the process."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from monitor.api.auth import Token
from monitor.api.signing import Signers
from monitor.engine.guarding import Guard
from monitor.engine.notice import Rules
from monitor.engine.ports import Clock
from monitor.engine.reader import Reader
from monitor.engine.watchports import Kept
from monitor.model.group import Hush
from monitor.model.labels import Match
from monitor.model.ledger import Delivery, DeliveryState, Notification, Place
from monitor.model.record import Account, Amended, Commit
from monitor.model.silence import Silence
from monitor.model.story import Told
from monitor.model.watch import Ended

if TYPE_CHECKING:
    from monitor.api.callbacks import Caller


class Store(Reader, Protocol):
    """The store as the API uses it. Every method raises StoreUnavailable when the store does not answer."""

    async def poll_now(self, provider: str, account: str) -> None:
        """Make an account due now; during its poll, one more follows."""
        ...

    async def open_accounts(self) -> list[str]:
        """Accounts that have alerts, pending ones included, in no order."""
        ...

    async def amend(self, provider: str, commit: Commit) -> Amended:
        """Write the alerts of a record and the rows they owe, if the version is the one read."""
        ...

    async def move(self, account: str) -> int:
        """Apply the account's outstanding rows to their groups."""
        ...

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Those made at run time, oldest first."""
        ...

    async def add_silence(self, silence: Silence) -> bool:
        """Keep it; False when there are too many."""
        ...

    async def end_silence(self, name: str, now: datetime) -> Silence | None:
        """End a silence now; None when there is none of that id."""
        ...

    async def story(self, alert: str) -> tuple[Told, ...]:
        """What an alert went through, oldest first; empty when nothing is known of it (any more)."""
        ...

    async def notifications_about(self, alert: str, channels: Iterable[str]) -> tuple[Notification, ...]:
        """What told of an alert in these channels, as far as it is still logged, oldest first."""
        ...

    async def notification(self, name: str, channels: Iterable[str]) -> Notification | None:
        """The notification of that id; None when it is logged no more."""
        ...

    async def waits(self, channel: str, group: str, keys: Sequence[str]) -> bool:
        """Whether any of these news is untold yet, in that group of a channel."""
        ...

    async def hushed(self, channel: str, group: str) -> Mapping[str, Hush]:
        """What is suppressed in a group."""
        ...

    async def deliveries(
        self, channels: Collection[str], states: Iterable[DeliveryState], after: Place | None, limit: int
    ) -> tuple[list[Delivery], Place | None]:
        """Deliveries of these channels in these states, the worst and newest first, and where to go on."""
        ...

    async def find_dead(self, name: str, channels: Iterable[str]) -> str | None:
        """In which of these channels a notification is a dead letter; None when in none."""
        ...

    async def replay(self, channel: str, name: str) -> bool:
        """A dead letter goes out again as it was; False when it is none (any more)."""
        ...


class Watching(Protocol):
    """The accounts made at run time. Raises StoreUnavailable when the store does not answer."""

    async def find(self, name: str) -> Account | None:
        """An account, configured or watched; asks the store when it is unknown here."""
        ...

    def is_configured(self, name: str) -> bool:
        """Whether it is no watch, but an account of the configuration."""
        ...

    def expires_at(self, name: str) -> datetime | None:
        """When a watch ends by itself; None for one that does not, and for what is configured."""
        ...

    async def put(self, name: str, provider: str, settings: str, expires_in: timedelta | None) -> Kept:
        """Watch an account, or watch it otherwise. WatchRefused or WatchesFull where that cannot be."""
        ...

    async def remove(self, name: str) -> Ended | None:
        """End a watch now; None when there is none."""
        ...


class Exposition(Protocol):
    """The process's metrics."""

    def hung_up(self, who: str) -> None:
        """There was no room for a connection."""
        ...

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The page for a scraper and its content type."""
        ...

    def answered(self, status: int) -> None:
        """A request was answered."""
        ...


class Check(NamedTuple):
    """One condition of being ready."""

    name: str
    ok: bool
    detail: str = ""


Readiness = Callable[[], Awaitable[Sequence[Check]]]


def _nobody(_provider: str) -> None:
    return


def _nothing(_match: Match) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Everything a request may use. A reload makes a new one and hands it to `server.swap`.

    `others` are the accounts whose provider is the store (providers as a whole, the monitor itself): they
    have alerts but no balances. `accounts` are those of the configuration and those of `watches`. `callers` are the
    providers that may call back. `wake` tells this process's poller that an account of a provider was made due.
    `signers` None: nothing has to be signed. `rules` (by name) and `silences` are those of the configuration; `odd`
    says of a silence's match what no alert has.
    """

    accounts: Mapping[str, Account]
    store: Store
    clock: Clock
    metrics: Exposition
    readiness: Readiness
    watches: Watching
    guard: Guard
    callers: Mapping[str, "Caller"] = field(default_factory=dict)
    tokens: tuple[Token, ...] = ()
    signers: Signers | None = None
    others: Mapping[str, Account] = field(default_factory=dict)
    wake: Callable[[str], None] = _nobody
    rules: Rules = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    channels: Sequence[str] = ()
    odd: Callable[[Match], list[str]] = _nothing
