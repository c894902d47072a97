"""What sums over accounts ask of a store, and what commits tell them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from monitor.model.event import Event
from monitor.model.record import Commit, Record


class SumNews(NamedTuple):
    """What sums need to know of a partition: who has another value, and who is stale. `version` is how far it goes."""

    changed: tuple[str, ...]
    stale: frozenset[str]
    version: int


class SumStore(Protocol):
    """The part of the store that sums are read from. Every method raises StoreUnavailable when it does not answer."""

    async def sum_news(self, since: Mapping[int, int]) -> Mapping[int, SumNews]:
        """By partition, what is new for sums since those versions (none: from the beginning)."""
        ...

    async def expect_readings(self, stale_at: Mapping[str, datetime]) -> None:
        """Count these accounts as stale from then on, unless a reading has already said otherwise."""
        ...

    async def moves(self, since: Mapping[int, int], at_least: datetime) -> tuple[tuple[Event, ...], Mapping[int, int]]:
        """By partition, the movements since those versions, none recorded before `at_least`; and how far it goes."""
        ...

    async def load_many(self, accounts: Sequence[str]) -> list[Record]:
        """Records in the order asked, version 0 for those never written."""
        ...


class Stamp(NamedTuple):
    """What sums are told of a reading: when it is stale, and whether it is another one than before."""

    stale_at: datetime
    changed: bool


def stamp(commit: Commit, stale_after: timedelta | None) -> Stamp | None:
    """What sums are told of a commit; None for one without a reading, and of an account that nobody sums up."""
    before, after = commit.before.snapshot, commit.record.snapshot
    if stale_after is None or after is None or after is before:
        return None
    oldest = min(after.seen.values(), default=after.observed_at)
    same = before is not None and before.amounts == after.amounts and before.usd == after.usd
    settled = same and not after.seen and before is not None and not before.seen
    return Stamp(oldest + stale_after, changed=not settled)
