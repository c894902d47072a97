"""Expected transfers: a silence with a budget. What uses it is not judged; what goes beyond it is."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from monitor.model.asset import selects
from monitor.model.event import MONEY_KINDS, Event, Use
from monitor.model.money import ZERO, add, subtract
from monitor.model.window import micros

#: Windows remembered of each transfer. A movement found so late that its window may have been forgotten has no
#: budget: it is judged in full.
WINDOWS_KEPT = 16


class Used(NamedTuple):
    """What was used of one window's budget, of which asset, and when last (µs since 1970)."""

    amount: Decimal
    asset: str
    at: int


#: Transfer → when a window began, µs since 1970 → what was used of it.
Budgets = Mapping[str, Mapping[int, Used]]


@dataclass(frozen=True, slots=True)
class Expected:
    """Up to an amount of an asset that may leave an account in each window, if given to some addresses only.

    `window` tells when the window of a moment began, in µs since 1970; None outside all windows. Of what was only
    noticed at that moment and may have been at any time since another one, it is the last window between the two.
    """

    name: str
    asset: str
    up_to: Decimal
    window: Callable[[datetime, datetime | None], int | None]
    to: frozenset[str] = frozenset()

    def covers(self, event: Event) -> bool:
        """Whether a movement is of this sort, at whatever time."""
        if event.direction != "out" or event.kind not in MONEY_KINDS:
            return False
        if not selects(self.asset, event.asset):
            return False
        return not self.to or (bool(event.to) and self.to.issuperset(map(address, event.to)))


def address(text: str) -> str:
    """An address to compare by: the case of hexadecimal ones is a checksum, that of others part of the name."""
    return text.lower() if text[:2] in ("0x", "0X") else text


def expect(
    transfers: tuple[Expected, ...], budgets: Budgets, events: Iterable[Event]
) -> tuple[tuple[Event, ...], Budgets]:
    """The events, each with what is expected of it, and what is used of the budgets then.

    Budgets of transfers that are no longer configured are dropped.
    """
    used = {one.name: dict(budgets[one.name]) for one in transfers if one.name in budgets}
    told = tuple(_covered(transfers, used, event) for event in events)
    return told, budgets if used == budgets else used


def _covered(transfers: tuple[Expected, ...], used: dict[str, dict[int, Used]], event: Event) -> Event:
    uses: list[Use] = []
    left = event.amount
    for transfer in transfers:
        window = transfer.window(event.occurred_at, event.since) if left and transfer.covers(event) else None
        if window is None:
            continue
        windows = used.get(transfer.name, {})
        amount = min(left, _left(transfer, windows, window))
        if amount > 0:
            uses.append(Use(transfer.name, amount, window))
            left = subtract(left, amount)
            used[transfer.name] = _newest(_use(windows, window, amount, event))
    return replace(event, expected=tuple(uses)) if uses else event


def _left(transfer: Expected, windows: Mapping[int, Used], window: int) -> Decimal:
    if window in windows:
        return subtract(transfer.up_to, windows[window].amount)
    forgotten = len(windows) >= WINDOWS_KEPT and window < min(windows)
    return ZERO if forgotten else transfer.up_to


def _use(windows: Mapping[int, Used], window: int, amount: Decimal, event: Event) -> dict[int, Used]:
    was, at = windows.get(window), micros(event.occurred_at)
    if was is None:
        return {**windows, window: Used(amount, event.asset, at)}
    return {**windows, window: Used(add(was.amount, amount), event.asset, max(was.at, at))}


def _newest(windows: Mapping[int, Used]) -> dict[int, Used]:
    return {window: windows[window] for window in sorted(windows)[-WINDOWS_KEPT:]}


def give_back(budgets: Budgets, event: Event) -> Budgets:
    """The budgets as if a movement that was taken back had not used them."""
    return _returned(budgets, event, back=True)


def take_again(budgets: Budgets, event: Event) -> Budgets:
    """The budgets with a movement in them that was taken back and stands again, though that may overdraw them."""
    return _returned(budgets, event, back=False)


def _returned(budgets: Budgets, event: Event, *, back: bool) -> Budgets:
    after = {name: dict(windows) for name, windows in budgets.items()}
    for use in event.expected:
        was = after.get(use.by, {}).get(use.window)
        if was is not None:
            amount = subtract(was.amount, use.amount) if back else add(was.amount, use.amount)
            after[use.by][use.window] = was._replace(amount=amount)
    return after
