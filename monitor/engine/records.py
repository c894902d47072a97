"""Records of accounts, read some at a time, and amended without a poll."""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Protocol

from monitor.model.record import Amended, Commit, Record

#: Records read from the store at once.
CHUNK = 500


class Records(Protocol):
    """Whence records are read. Every method raises StoreUnavailable when the store does not answer."""

    async def load_many(self, accounts: Sequence[str]) -> list[Record]:
        """Records in the order asked, version 0 for those never written."""
        ...


class Amending(Records, Protocol):
    """Where alerts are changed between two polls."""

    async def amend(self, provider: str, commit: Commit) -> Amended:
        """Write the alerts of a record and the rows they owe, if the version is the one read."""
        ...

    async def move(self, account: str) -> int:
        """Apply the account's outstanding rows to their groups."""
        ...


async def all_records(store: Records, accounts: Iterable[str]) -> AsyncIterator[Record]:
    """The records of all these accounts, in their order."""
    names = iter(accounts)
    while chunk := list(islice(names, CHUNK)):
        for record in await store.load_many(chunk):
            yield record
