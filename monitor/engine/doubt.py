"""Readings too bad to be believed at once: a sudden zero, or every asset of an account gone. Pure.

A provider whose database is being restored says zero a few times a day. So what is doubted is read once more
before it is judged. Nothing here may hold up a real drain: two readings that agree are believed, and so is a
zero that could not be read again for a few seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from monitor.model.record import Account, Answer, Confirm, Reading, Record
from monitor.model.snapshot import Change, Snapshot, diff

#: The measures that say how much there is. Others come and go with what they are about: `margin_used` of a
#: position that was closed is zero, and that is good.
MONEY = ("total", "available", "equity")
#: How long after the first reading the second one is taken; never longer than the account's own interval.
PAUSE = timedelta(seconds=2)
#: A zero is doubted no longer than this, however often reading it again failed.
DOUBTED_FOR = timedelta(seconds=10)
#: What nobody could read since is read again this often at least: not only tomorrow, where that is the timetable.
DOUBTED_EVERY = timedelta(minutes=1)

#: Asset → when a reading of it was first doubted.
Doubts = Mapping[str, datetime]
NO_DOUBTS: Doubts = {}
#: What a second reading says of the first: the same, or not, or nothing.
DoubtOutcome = Literal["confirmed", "refuted", "failed"]


def pause_of(account: Account) -> timedelta:
    """How long to wait before an account is read again."""
    return min(PAUSE, account.interval)


def suspects(before: Snapshot | None, after: Snapshot, changes: Iterable[Change]) -> tuple[str, ...]:
    """Assets that held money and hold none now, by every measure there is; all of them when none is left at all.

    An asset that is missing while others are there is unknown and never becomes a zero: it needs no doubt.
    Neither does what was missing before. `changes` are those between the two.
    """
    if before is None:
        return ()
    if before.amounts.keys().isdisjoint(after.amounts):
        return tuple(asset for asset in before.amounts if asset not in before.seen and _holds_money(before, asset))
    fallen = dict.fromkeys(
        change.asset for change in changes if change.measure in MONEY and not change.after and change.before > 0
    )
    return tuple(asset for asset in fallen if not any(after.of(asset, measure) for measure in MONEY))


def unbelieved(found: Iterable[str], record: Record, doubts: Doubts, now: datetime) -> tuple[str, ...]:
    """Those of the suspects that neither `doubts`, an earlier reading of this poll, nor earlier polls agree on."""
    return tuple(asset for asset in found if asset not in doubts and _young(record.doubts.get(asset, now), now))


def confirm(assets: tuple[str, ...], record: Record, snapshot: Snapshot, now: datetime) -> Confirm:
    """The demand to read an account again. A doubt of a clock that was ahead begins anew."""
    why = "is suddenly zero" if any(asset in snapshot.amounts for asset in assets) else "is suddenly gone"
    doubts = {asset: min(record.doubts.get(asset, now), now) for asset in assets}
    return Confirm(doubts, why=f"{', '.join(assets)} {why}")


def set_aside(snapshot: Snapshot, assets: tuple[str, ...]) -> Snapshot:
    """The reading without what is not believed: that is unknown, neither zero nor what it was."""
    amounts = {asset: measures for asset, measures in snapshot.amounts.items() if asset not in assets}
    missing = (*snapshot.missing, *(asset for asset in assets if asset not in snapshot.missing))
    why = "; ".join(filter(None, (snapshot.why, f"not confirmed: {', '.join(assets)}")))
    return replace(snapshot, amounts=amounts, missing=missing, why=why)


def verdict(record: Record, reading: Reading, doubts: Doubts) -> DoubtOutcome:
    """What the second reading says of the first one's doubts: refuted when any of them was wrong."""
    if not isinstance(reading, Answer):
        return "failed"
    again = suspects(record.snapshot, reading.snapshot, diff(record.snapshot, reading.snapshot))
    return "confirmed" if doubts.keys() <= set(again) else "refuted"


def hurry(record: Record, doubts: Doubts, account: Account, now: datetime) -> timedelta:
    """How soon an account with doubts is read again, whatever its timetable says; `doubts` are those of this poll."""
    fresh = doubts or any(_young(at, now) for at in record.doubts.values())
    return pause_of(account) if fresh else DOUBTED_EVERY


def _young(at: datetime, now: datetime) -> bool:
    return now - at < DOUBTED_FOR


def _holds_money(snapshot: Snapshot, asset: str) -> bool:
    return any((snapshot.of(asset, measure) or 0) > 0 for measure in MONEY)
