"""Expected transfers as people announce them."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from monitor.engine.calendar import TimeInterval, last_window, window
from monitor.fields import Amount, Section, suggestion
from monitor.model.expected import Expected, address
from monitor.model.record import Account
from monitor.model.window import micros

#: Name → the intervals it stands for.
Intervals = Mapping[str, Sequence[TimeInterval]]


class ExpectedTransfer(Section):
    """`{name: payroll, account: hot-usdt, asset: USDT, up_to: 180_000, active: [friday-morning]}`"""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$", description="unique; told with every movement it covers")
    account: str
    asset: str = Field(min_length=1, description="a bare name stands for all networks of it")
    up_to: Annotated[Amount, Field(gt=0)] = Field(description="the budget of each window; what goes beyond is judged")
    to: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="only to these addresses; for providers that tell where money went",
    )
    active: tuple[str, ...] = Field(
        min_length=1, description="names of `time_intervals`: each range of each day is a window with its own budget"
    )

    def compiled(self, intervals: Intervals) -> Expected:
        """What the decisions work with. Every interval it names exists."""
        times = tuple(one for name in self.active for one in intervals[name])

        def began(moment: datetime, since: datetime | None) -> int | None:
            start = window(times, moment)
            if start is None and since is not None:
                start = last_window(times, since, moment)
            return None if start is None else micros(start)

        return Expected(self.name, self.asset, self.up_to, began, frozenset(map(address, self.to or ())))


def mistakes(
    transfers: Sequence[ExpectedTransfer],
    intervals: Collection[str],
    accounts: Mapping[str, Account],
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong beyond the shape: (path below `expected_transfers`, sentence)."""
    names = [one.name for one in transfers]
    for index, one in enumerate(transfers):
        if one.name in names[:index]:
            yield (index, "name"), f"there is already an expected transfer {one.name!r}"
        if one.account not in accounts:
            yield (index, "account"), f"there is no account {one.account!r}{suggestion(one.account, accounts)}"
        for place, name in enumerate(one.active):
            if name not in intervals:
                yield (index, "active", place), f"there is no {name!r} in `time_intervals`{suggestion(name, intervals)}"


def doubts(
    transfers: Sequence[ExpectedTransfer], accounts: Mapping[str, Account], telling: Container[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What will not be as somebody may think; `telling` are the providers that tell where money goes."""
    for index, one in enumerate(transfers):
        if one.to is not None and one.account in accounts and accounts[one.account].provider not in telling:
            what = "its provider never tells where money went, so this covers nothing and all of it is judged"
            yield (index, "to"), f"{what}; leave `to` out to go by amount and time alone"


def by_account(transfers: Iterable[ExpectedTransfer], intervals: Intervals) -> dict[str, tuple[Expected, ...]]:
    """Account → what it is expected to send, in the order in which budgets are used."""
    found: dict[str, tuple[Expected, ...]] = {}
    for one in transfers:
        found[one.account] = (*found.get(one.account, ()), one.compiled(intervals))
    return found
