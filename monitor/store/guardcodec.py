"""What the guard's functions take and answer, and what polls tell them.

Amounts are texts of 45 digits and times of 16, which the functions cut by place: see `lua/wallet.lua` and
`lua/record.lua`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from monitor.engine.guardports import Quarantine
from monitor.guard import units
from monitor.guard.hold import Ask, Balance, Debit, Hold, Lock, Outcome, Resolution, State, Terms, Verdict
from monitor.guard.reasons import Reason
from monitor.model.feed import Feed
from monitor.model.window import MICROSECOND, micros, moment

_MILLISECOND = timedelta(milliseconds=1)
#: How long a debit that only `settled` covers is remembered by its id.
UNSETTLED_IDS = timedelta(days=366)
#: How much longer than its record an id is known to be of an account.
INDEX_LONGER = timedelta(hours=1)

#: Where a reply's head ends, with the store's time, and the sums that follow in a verdict.
_HEAD, _SUMS = 48, 138
NOW = slice(32, _HEAD)

Argument = str | bytes | int


def us(time: timedelta) -> int:
    """Whole microseconds."""
    return time // MICROSECOND


def ms(time: timedelta) -> int:
    """Whole milliseconds, as keys expire by; at least one."""
    return max(1, time // _MILLISECOND)


def _keep(terms: Terms) -> timedelta:
    """How long the record of a commit is kept after it."""
    return terms.hold_ids if terms.posting_delay is not None else max(terms.hold_ids, UNSETTLED_IDS)


@lru_cache(maxsize=64)
def index_ms(terms: Terms, *, committed: bool = False) -> int:
    """How long an id is known to be of an account."""
    kept = _keep(terms) if committed else terms.hold_max + terms.hold_ids
    return ms(max(kept, terms.hold_max + terms.hold_ids) + INDEX_LONGER)


@lru_cache(maxsize=64)
def record_ms(terms: Terms, *, committed: bool = False) -> int:
    """How long a record is kept from now on."""
    return ms(_keep(terms) if committed else terms.hold_ids)


@lru_cache(maxsize=64)
def quarantine_us(terms: Terms) -> int:
    """How long a quarantine lasts by these terms."""
    return us(terms.quarantine)


@lru_cache(maxsize=64)
def terms_text(terms: Terms, quarantine: int) -> str:
    """What of the settings every function is told, and how long a quarantine lasts."""
    return f"{quarantine:016d}{us(terms.read_lag):016d}{terms.max_holds:06d}{terms.locked}"


# Callers use the same few times for ever.
_us = lru_cache(maxsize=1024)(us)


@lru_cache(maxsize=1024)
def _kept_ms(ttl: timedelta, hold_ids: timedelta) -> int:
    return ms(ttl + hold_ids)


def ask_args(ask: Ask) -> list[Argument]:
    """A question as `check` in `hold.lua` takes it."""
    return [
        ask.asset, units.padded(ask.amount), _us(ask.max_age), ask.early or "", "1" if ask.declared else "0", ask.whose,
    ]  # fmt: skip


def hold_args(ask: Ask, terms: Terms) -> list[Argument]:
    """A question as `hold` takes it."""
    return [
        *ask_args(ask), f"{ask.caller}/{ask.hold}", ask.account, f"{ask.decimals:02d}", _us(ask.ttl),
        ask.decision, _kept_ms(ask.ttl, terms.hold_ids),
        "" if ask.exposed is None else "1" if ask.exposed else "0",
    ]  # fmt: skip


def version_and_mark(reply: bytes) -> tuple[int, int]:
    """How every reply begins."""
    return int(reply[:16]), int(reply[16:32])


def now_of(reply: bytes) -> datetime:
    """The store's time, which follows."""
    return moment(int(reply[NOW]))


def verdict(ask: Ask, terms: Terms, reply: bytes) -> tuple[Verdict, str]:
    """What `check` and `hold` answer, and the record of the hold; empty where there is none."""
    text = reply.decode()
    reason, flag, asset, fed, rest = text[_SUMS:].split("\n", 4)
    networks = tuple(rest.split("\n")) if flag == "networks" else ()
    state, _, record = ("" if networks else rest).partition("\n")
    return Verdict(
        cast(Reason, reason),
        None if networks or (state == "tombstone" and not flag) else balance(asset, fed, text[_HEAD:_SUMS], terms),
        hold(ask.caller, ask.hold, state, record) if record else None,
        moment(int(text[NOW])),
        flag == "replayed",
        flag == "reused",
        networks,
    ), record


def balance(asset: str, fed: str, sums: str, terms: Terms) -> Balance:
    """A wallet as the functions cut it."""
    held, unsettled = _units(sums[:45]), _units(sums[45:])
    if not fed:
        return Balance(asset, None, held, unsettled, 0, None)
    last_seen, locked, as_of, decimals = _reading(fed)
    return Balance(asset, last_seen, held, unsettled, locked if terms.locked == "subtract" else 0, as_of, decimals)


# Mostly nothing is unsettled, and stakes are the same few.
_units = lru_cache(maxsize=4096)(int)


# Many bets are decided on the same reading.
@lru_cache(maxsize=10_000)
def _reading(fed: str) -> tuple[int, int, datetime, int]:
    return int(fed[80:]), int(fed[35:80]), moment(int(fed[:16])), int(fed[32:34])


def hold(caller: str, name: str, state: str, record: str) -> Hold:
    """A hold out of its record, in the state that it has now."""
    reason, account, _, decimals, decision, asset, debit = record[64:].split("\n")
    expires_at, posted_at = int(record[48:64]), int(debit[61:] or 0)
    return Hold(
        caller, name, account, asset, cast(State, state),
        _units(record[3:48]), int(decimals),
        decision,
        moment(expires_at) if expires_at else None,
        int(debit[:45]) if debit else None,
        moment(posted_at) if posted_at else None,
        cast(Reason, reason) if reason else None,
        record[2:3] == "1",
    )  # fmt: skip


def tombstone(caller: str, name: str) -> Hold:
    """An id that was released before anybody had said of which account it is."""
    return Hold(caller, name, "", "", "tombstone", 0, 0, "")


def resolution(caller: str, name: str, reply: bytes) -> Resolution:
    """What the functions answer that end a hold."""
    outcome, late, rest = reply[_HEAD:].decode().split("\n", 2)
    state, _, record = rest.partition("\n")
    known = hold(caller, name, state, record) if record else None
    return Resolution(cast(Outcome, outcome), known, now_of(reply), late == "1")


def feed_args(feed: Feed | None, claimed_at: datetime, token: int) -> list[Any]:
    """What a commit tells the guard, and before it how many arguments that are.

    The request began after the claim. A reading that the provider says is older is as old as it says.
    """
    if feed is None:
        return [0]
    fence = f"{micros(min(claimed_at, feed.as_of) if feed.as_of else claimed_at):016d}"
    head = f"{fence}{token:016d}"
    args: list[Any] = [3 + 2 * len(feed.assets), fence, "1" if feed.whole else "0", feed.whose]
    for asset, told in feed.assets.items():
        args += [f"f:{asset}", head + _told(str(told.available), str(told.locked), str(told.apart))]
    return args


@lru_cache(maxsize=20_000)
def _told(available: str, locked: str, apart: str) -> str:
    """Most polls read what the last one did: texts are compared, since 0.10 is 0.1 but not written like it."""
    there, off = Decimal(available), Decimal(locked)
    flag = "1" if off > 0 or Decimal(apart) > 0 else "0"
    return f"{units.decimals(there):02d}{flag}{units.padded(units.ceil(off))}{units.padded(units.floor(there))}"


def name_of(tail: bytes) -> tuple[str, str]:
    """Caller and id out of the end of a member of `held` or `debits`."""
    caller, _, name = tail.split(b" ", 1)[0].decode().rpartition("/")
    return caller, name


def debits_of_assets(flat: Sequence[bytes]) -> Iterator[tuple[str, Debit]]:
    """Members of `debits` and their scores, each with its asset."""
    for member, score in zip(flat[::2], flat[1::2], strict=True):
        caller, name = name_of(member[61:])
        posted_at = None if score == b"inf" else moment(int(float(score)))
        yield member[61:].split(b" ", 1)[1].decode(), Debit(
            name, caller, int(member[16:61]), moment(int(member[:16])), posted_at
        )  # fmt: skip


def quarantine(guard: bytes) -> Quarantine | None:
    """Until when a partition refuses new holds, or did last; None where nobody has bet yet."""
    mark = guard[:16]
    return Quarantine(moment(int(guard[32:48])), guard[48:64] == mark) if int(mark) else None


def debits(flat: Sequence[bytes]) -> Iterator[Debit]:
    """The same of one asset."""
    return (debit for _, debit in debits_of_assets(flat))


def locks(flat: Sequence[bytes]) -> Iterator[Lock]:
    """Sources and until when they lock."""
    for source, until in zip(flat[::2], flat[1::2], strict=True):
        yield Lock(source.decode(), moment(int(until)) if int(until) else None)
