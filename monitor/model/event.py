"""One movement in a provider's ledger, and the memory that keeps it from being told twice."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from monitor.model.money import exact

Direction = Literal["in", "out"]


def digest(*parts: str) -> str:
    """A short stable name for a tuple of texts: 20 hex digits, unambiguous about where a part ends."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """One ledger movement of one account.

    `amount` is never negative: `direction` says which way, None when the provider does not tell. `kind` is
    the provider's own word, or `inferred` for a movement derived from two totals. `late` marks an event
    found after a gap.
    """

    id: str
    asset: str
    kind: str
    direction: Direction | None
    amount: Decimal
    occurred_at: datetime
    balance_after: Decimal | None = None
    reference: str | None = None
    late: bool = False

    def __post_init__(self) -> None:
        if exact(self.amount) < 0:
            raise ValueError("an event's amount is positive; its direction says which way")
        if self.balance_after is not None:
            exact(self.balance_after)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How far one stream of events has been read (providers.md 1.3).

    `checkpoint` is the newest row's time, `known` the keys of all rows in the overlap before it, each with
    its own time. Times are microseconds since 1970, UTC.
    """

    checkpoint: int
    known: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row as far as de-duplication cares: the provider's tuple as one text, and its time in microseconds."""

    tuple_key: str
    at: int


@dataclass(frozen=True, slots=True)
class Walked:
    """What a complete walk found: indexes of unknown rows, the ledger to store, and known keys that vanished."""

    fresh: tuple[int, ...]
    keys: tuple[str, ...]
    ledger: Ledger
    vanished: tuple[str, ...] = ()


def numbered(rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """Keys that tell equal rows apart by their occurrence, counted oldest to newest over the whole walk."""
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        occurrence = seen[row.tuple_key]
        seen[row.tuple_key] += 1
        keys.append(digest(row.tuple_key, str(occurrence)))
    return tuple(keys)


def walk(ledger: Ledger | None, rows: Sequence[LedgerRow], *, overlap: int, keep: int) -> Walked:
    """Split a complete walk, oldest row first, into known and unknown rows.

    The walk must reach back to `checkpoint - overlap` or to the start of the ledger, and contain every row
    of each instant it contains at all. Without a ledger this is the baseline: nothing is fresh.
    `keep` bounds how many keys are remembered; rows at the newest instant are always remembered.
    """
    keys = numbered(rows)
    newest = max((row.at for row in rows), default=0)
    if ledger is None:
        return Walked(fresh=(), keys=keys, ledger=_remember(newest, dict(zip(keys, (r.at for r in rows), strict=True)), overlap, keep))
    oldest = min((row.at for row in rows), default=ledger.checkpoint)
    # What a walk of this reach must not re-announce: rows older than anything we still remember.
    floor = min(ledger.known.values(), default=ledger.checkpoint)
    fresh = tuple(
        index
        for index, (key, row) in enumerate(zip(keys, rows, strict=True))
        if key not in ledger.known and row.at >= floor
    )
    found = set(keys)
    vanished = tuple(key for key, at in ledger.known.items() if at > oldest and key not in found)
    known = {**ledger.known, **{key: row.at for key, row in zip(keys, rows, strict=True)}}
    for key in vanished:
        del known[key]
    return Walked(
        fresh=fresh,
        keys=keys,
        ledger=_remember(max(newest, ledger.checkpoint), known, overlap, keep),
        vanished=vanished,
    )


def _remember(checkpoint: int, known: dict[str, int], overlap: int, keep: int) -> Ledger:
    within = {key: at for key, at in known.items() if at >= checkpoint - overlap}
    if len(within) > keep:
        # The cut must not split an instant: a half-remembered instant would announce its rows again.
        cut = sorted(within.values(), reverse=True)[keep - 1]
        within = {key: at for key, at in within.items() if at > cut or at == checkpoint}
    return Ledger(checkpoint=checkpoint, known=within)
