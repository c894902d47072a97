"""Which accounts stand for one wallet. The guard counts each by its name, so that two would promise its money twice."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter

from monitor.model.asset import bare
from monitor.model.record import Account

#: Accounts looked at before bets have their turn.
CHUNK = 1_000


@dataclass(slots=True)
class Owners:
    """Accounts by the wallet they stand for: `where` it is, which tells wallets of one target apart, and that target.

    `first` are those there are from the beginning; they are taken in when somebody first asks, as few ever do.
    """

    first: Iterator[Account]
    where: Callable[[Account], object] = attrgetter("provider")
    _known: dict[tuple[object, object], tuple[Account, ...]] = field(default_factory=dict)

    async def ready(self) -> None:
        """`twin` knows all of them when this returns."""
        # Whoever else waits here meanwhile goes on where this one is.
        while chunk := tuple(islice(self.first, CHUNK)):
            for account in chunk:
                self.change(None, account)
            await asyncio.sleep(0)

    def twin(self, account: Account) -> Account | None:
        """Another account that stands for the same money; not one that has other assets of the same wallet."""
        known = self._known.get((self.where(account), account.target), ())
        return next((one for one in known if one.name != account.name and _share(one, account)), None)

    def change(self, before: Account | None, now: Account | None) -> None:
        """An account has come, is another, or has gone."""
        if before is not None:
            place = (self.where(before), before.target)
            left = tuple(one for one in self._known.pop(place, ()) if one.name != before.name)
            if left:
                self._known[place] = left
        # What has no target is no wallet of a provider.
        if now is not None and now.target is not None:
            place = (self.where(now), now.target)
            self._known[place] = (*self._known.get(place, ()), now)


def _share(one: Account, other: Account) -> bool:
    """Whether both have an asset. Who names none has all of them; a network may be left out."""
    names, others = ({bare(asset) for asset in account.assets} for account in (one, other))
    return not names or not others or not names.isdisjoint(others)
