"""What sums over accounts ask of a store, and what commits tell them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from monitor.engine.records import Records
from monitor.model.event import Event
from monitor.model.record import Commit
from monitor.model.snapshot import Snapshot

#: Processes and the store agree about the time to this much.
CLOCKS_DIFFER = timedelta(seconds=2)


class Cursor(NamedTuple):
    """How far somebody knows a partition: up to which version, as of when, and of which life of the store."""

    version: int
    at: datetime
    epoch: str = ""

    def leads_to(self, later: "Cursor") -> bool:
        """Whether what happened from here to there can be told: nothing was lost, and no clock was set back."""
        return (
            self.epoch == later.epoch and self.version <= later.version and later.at >= self.at - CLOCKS_DIFFER
        )  # fmt: skip


class SumNews(NamedTuple):
    """What is new of a partition for sums: who has another value or is back, who has gone stale.

    `cursor` is how far it goes. `whole` says that nobody knows what is new: all of it must be read.
    """

    changed: tuple[str, ...]
    stale: tuple[str, ...]
    cursor: Cursor
    whole: bool = False


class Moves(NamedTuple):
    """Movements, and by partition how far they go. `cut`: they were so many that some are not kept any more."""

    events: tuple[Event, ...]
    read: Mapping[int, int]
    cut: bool = False


class SumStore(Records, Protocol):
    """The part of the store that sums are read from. Every method raises StoreUnavailable when it does not answer."""

    async def sum_news(self, since: Mapping[int, Cursor]) -> Mapping[int, SumNews]:
        """By partition, what is new for sums since then; `whole` where nothing is known."""
        ...

    async def expect_readings(self, stale_at: Mapping[str, datetime]) -> None:
        """Count these accounts as stale from then on, or from earlier; their next reading says otherwise."""
        ...

    async def moves(self, since: Mapping[int, int], at_least: datetime) -> Moves:
        """By partition, the movements since those versions, none recorded before `at_least`."""
        ...


class Stamp(NamedTuple):
    """What sums are told of a reading: when it is stale, and whether it is another one than before."""

    stale_at: datetime
    changed: bool


def stamp(commit: Commit, stale_after: timedelta | None) -> Stamp | None:
    """What sums are told of a commit; None for one without a reading, and of an account that nobody sums up."""
    before, after = commit.before, commit.record
    known, read = before.snapshot, after.snapshot
    if stale_after is None or read is None or read is known:
        return None
    # What was stale meanwhile, or may have been by another clock, has been taken for unknown.
    same = (
        known is not None
        and known.amounts == read.amounts
        and known.seen == read.seen
        and before.gap == after.gap
        and (before.provider, before.wallet) == (after.provider, after.wallet)
        and stale_at(known, stale_after) > read.observed_at + CLOCKS_DIFFER
    )
    return Stamp(stale_at(read, stale_after), changed=not same)


def stale_at(snapshot: Snapshot, stale_after: timedelta) -> datetime:
    """When the next of its amounts is stale, of those that were not when it was read."""
    read_at = snapshot.observed_at
    if not snapshot.seen:
        return read_at + stale_after
    lately = [seen for seen in snapshot.seen.values() if seen + stale_after > read_at]
    return min(lately, default=read_at) + stale_after
