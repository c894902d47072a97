"""What the API needs from the rest of the process."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from monitor.api.auth import Token
from monitor.engine.ports import Clock, Reader
from monitor.model.record import Account, Amended, Commit
from monitor.model.silence import Silence


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


class Exposition(Protocol):
    """The process's metrics."""

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


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Everything a request may use. A reload makes a new one and hands it to `server.swap`.

    `others` are the accounts whose provider is the store (providers as a whole, the monitor itself): they
    have alerts but no balances. `wake` tells this process's poller that an account of a provider was made due.
    `silences` are those of the configuration.
    """

    accounts: Mapping[str, Account]
    store: Store
    clock: Clock
    metrics: Exposition
    readiness: Readiness
    tokens: tuple[Token, ...] = ()
    others: Mapping[str, Account] = field(default_factory=dict)
    wake: Callable[[str], None] = _nobody
    silences: tuple[Silence, ...] = ()
