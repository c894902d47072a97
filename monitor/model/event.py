"""One movement in a provider's ledger, and the memory that keeps it from being told twice."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from monitor.model.money import ZERO, exact, subtract, total
from monitor.model.quick import quick

Direction = Literal["in", "out"]

#: Ends the key of a row that the provider took back.
_GONE = "!"
_NAME_DIGITS = 8

#: Kinds that move money in or out of an account. Trading results, funding, fees and liquidations change a
#: balance too, but nobody sent them anywhere: a rule counts those only when its `kinds` name them.
MONEY_KINDS = frozenset(
    {"inferred", "transfer", "mining_reward", "deposit", "withdraw", "subaccount_transfer", "payout"}
)


def digest(*parts: str) -> str:
    """A short stable name for a tuple of texts: 20 hex digits, unambiguous about where a part ends."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


class Use(NamedTuple):
    """What a movement used of the budget of an expected transfer. `window` is when that began, µs since 1970."""

    by: str
    amount: Decimal
    window: int


class Telling(NamedTuple):
    """A rule that told of a movement, and as what."""

    rule: str
    severity: Literal["info", "warning", "critical"]
    value: Decimal
    threshold: Decimal | None = None
    unit: str | None = None


@quick
class Event:
    """One ledger movement of one account.

    `amount` is never negative: `direction` says which way, None when the provider does not tell. `kind` is
    the provider's own word, or `inferred` for a movement derived from two totals. `late` marks an event
    found after a gap. `account` says whose it is, where movements of several accounts are looked at together.
    `to` is where the money went, empty where the provider does not tell; `expected` is what expected transfers
    cover of it. `key` is the ledger's, where the id does not hold it. `told` are the rules that told of it. `since`
    is set where `occurred_at` is only when it was noticed: it happened between the two.

    A movement that the provider took back is stored again as `reverted`, and again when it stands after all:
    the last word on an id counts, and `revision` says how many there were before. `imported` were there before
    the first look: history that nothing counts or tells.
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
    account: str = ""
    to: tuple[str, ...] = ()
    expected: tuple[Use, ...] = ()
    key: str = ""
    told: tuple[Telling, ...] = ()
    reverted: bool = False
    revision: int = 0
    imported: bool = False
    since: datetime | None = None

    @property
    def unexpected(self) -> Decimal:
        """The part of the amount that nobody announced."""
        return subtract(self.amount, total(use.amount for use in self.expected)) if self.expected else self.amount

    def __post_init__(self) -> None:
        if exact(self.amount) < 0:
            raise ValueError("an event's amount is positive; its direction says which way")
        if self.balance_after is not None:
            exact(self.balance_after)

    @property
    def signed(self) -> Decimal:
        """How much came in; negative when it went out, zero when the provider does not tell which."""
        if self.direction is None:
            return ZERO
        return self.amount if self.direction == "in" else self.amount.copy_negate()


class Correction(NamedTuple):
    """What a provider says now of a movement that it told before, `was` its id or its key.

    `reverted`: it is gone. `restored`: it was gone and is there again. `replaced`: it is `now` another one, with
    an id of its own. `at` is when it occurred, or earlier.
    """

    what: Literal["reverted", "restored", "replaced"]
    was: str
    at: datetime
    now: Event | None = None


def standing(events: Iterable[Event]) -> tuple[Event, ...]:
    """The movements that count, out of all that was stored of them, oldest first: the last word on each."""
    last = {(event.account, event.id): event for event in events}
    return tuple(event for event in last.values() if not event.reverted and not event.imported)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How far one stream of events has been read. Times are microseconds since 1970, UTC.

    `checkpoint` is the newest row's time (never in the future). `known` holds the key of every row from
    `floor` on, each with its own time: what is at or after the floor and not known is new, what lies before
    it is history. A key that the provider took back ends in `!`: it stays known, so that it is not news
    should it return.
    """

    checkpoint: int
    known: Mapping[str, int] = field(default_factory=dict)
    floor: int = 0

    @property
    def expects_rows(self) -> bool:
        """Whether a walk from the floor has to find something again."""
        return any(not key.endswith(_GONE) for key in self.known)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row as far as de-duplication cares: the provider's tuple as one text, and its time in microseconds.

    `name` is the part of the tuple that a correction leaves alone. A known row that vanished while an
    unknown one of the same name came was changed, not replaced.
    """

    tuple_key: str
    at: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk found. `fresh` and `changed` are indexes of rows: new, and known but told differently.

    `keys` belong to the rows by position, empty for those outside the range that was read whole.
    `vanished` are known keys that are no longer there, each reported once; `times` says when they were. Those of
    `changed` rows are in `replaced`, by index. `returned` are indexes of rows that had vanished before.
    """

    fresh: tuple[int, ...]
    keys: tuple[str, ...]
    ledger: Ledger
    vanished: tuple[str, ...] = ()
    changed: tuple[int, ...] = ()
    replaced: Mapping[int, str] = field(default_factory=dict)
    returned: tuple[int, ...] = ()
    times: Mapping[str, int] = field(default_factory=dict)

    @property
    def gone(self) -> tuple[str, ...]:
        """The keys that vanished for good: nothing took their place."""
        taken = set(self.replaced.values())
        return tuple(key for key in self.vanished if key not in taken)


def numbered(rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """Keys that tell equal rows apart by their occurrence, counted over the whole walk, never per page."""
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        occurrence = seen[row.tuple_key]
        seen[row.tuple_key] += 1
        keys.append(_name(row) + digest(row.tuple_key, str(occurrence)))
    return tuple(keys)


def _name(row: LedgerRow) -> str:
    return digest(row.name or row.tuple_key)[:_NAME_DIGITS]


def walk(
    ledger: Ledger | None,
    rows: Sequence[LedgerRow],
    *,
    overlap: int,
    keep: int,
    now: int,
    since: int = 0,
    until: int | None = None,
) -> Walked:
    """Split a walk, oldest row first, into known and unknown rows.

    Every row from `since` to `until` (None: to the end) must be in it; rows outside may have been cut by a
    page and are ignored. Without a ledger this is the baseline: nothing is fresh. `keep` bounds how many
    keys are remembered, except that no instant is split and nothing unread is skipped. ValueError when the
    walk does not reach back to what is known.
    """
    if ledger is not None and since > max(ledger.checkpoint, ledger.floor):
        raise ValueError("a walk has to reach back to what is known")
    whole = [i for i, row in enumerate(rows) if row.at >= since and (until is None or row.at <= until)]
    found = dict(zip(numbered(rows[i] for i in whole), whole, strict=True))
    times = {key: rows[i].at for key, i in found.items()}
    newest = min(max(times.values(), default=0), now)
    before = ledger or Ledger(checkpoint=0, floor=since)
    live = [k for k, at in before.known.items() if at >= since and (until is None or at <= until)]
    vanished = tuple(k for k in live if k not in found and not k.endswith(_GONE))
    fresh, replaced = _sort_out(before, found, times, vanished) if ledger else ((), {})
    returned = tuple(i for key, i in found.items() if key + _GONE in before.known)
    gone = {key + _GONE: before.known[key] for key in vanished}
    told = found.keys() | set(vanished)
    known = {k: at for k, at in before.known.items() if k.removesuffix(_GONE) not in told}
    known |= gone | times
    keys = dict.fromkeys(range(len(rows)), "") | {i: key for key, i in found.items()}
    after = _remember(max(newest, before.checkpoint), known, max(before.floor, newest - overlap), keep, until)
    past = {key: before.known[key] for key in vanished}
    return Walked(fresh, tuple(keys.values()), after, vanished, tuple(replaced), replaced, returned, past)


def _sort_out(
    before: Ledger, found: Mapping[str, int], times: Mapping[str, int], vanished: Sequence[str]
) -> tuple[tuple[int, ...], dict[int, str]]:
    """Unknown rows: new ones, and corrections of a row that vanished, with its key."""
    lost: dict[str, list[str]] = {}
    for key in reversed(vanished):
        lost.setdefault(key[:_NAME_DIGITS], []).append(key)
    fresh, replaced = [], {}
    for key, index in found.items():
        if times[key] < before.floor or key in before.known or key + _GONE in before.known:
            continue
        if gone := lost.get(key[:_NAME_DIGITS]):
            replaced[index] = gone.pop()
        else:
            fresh.append(index)
    return tuple(fresh), replaced


def _remember(checkpoint: int, known: Mapping[str, int], floor: int, keep: int, until: int | None) -> Ledger:
    """Forget what lies before the floor, and raise the floor when too much is left."""
    within = sorted((at for at in known.values() if at >= floor), reverse=True)
    if len(within) > keep:
        # Not into an instant (its other rows would be news), nor past what was read (they would be lost).
        reach = checkpoint if until is None else min(checkpoint, until + 1)
        floor = max(floor, min(within[keep] + 1, reach))
    return Ledger(checkpoint, {key: at for key, at in known.items() if at >= floor}, floor)
