"""What this process remembers of wallets it has dealt with: by it the store is caught when it has lost something."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from monitor.model.window import MICROSECOND

#: Wallets remembered, some 300 bytes each, and own open holds, twice as much.
WALLETS_MAX, HOLDS_MAX = 50_000, 20_000


class Own(NamedTuple):
    """A hold that this process has made and nobody has ended here. `record` as the store keeps it."""

    caller: str
    id: str
    account: str
    partition: int
    expires_us: int
    record: str


@dataclass(slots=True)
class _Known:
    """A wallet: its highest version, under which mark of its partition, and the newest hold of our own in it."""

    version: int
    mark: int
    newest: tuple[str, str] | None = None
    since_us: int = 0


class Memory(NamedTuple):
    """What a call says of what is remembered: a version ('' for none), the partition's mark, and a hold that must be
    there."""

    version: int | str
    mark: int
    newest: tuple[str, str] | None


class Recollection:
    """Bounded; what is older than half as long as the store keeps ids proves nothing and is not told."""

    def __init__(self) -> None:
        self._kept, self._half_us = timedelta(0), 0
        self._length_us, self._longer_us, self._longer_until = 0, 0, 0
        self._marks: dict[int, int] = {}
        self._wallets: OrderedDict[str, _Known] = OrderedDict()
        self._own: OrderedDict[tuple[str, str], Own] = OrderedDict()

    def of(self, partition: int, account: str, now_us: int | None, kept: timedelta) -> Memory:
        """What to say in a call on this account's wallets; `kept` is how long the store keeps ids."""
        if kept != self._kept:
            # What was done under other settings may be kept for less long than by these.
            self._wallets.clear()
            self._kept, self._half_us = kept, kept // MICROSECOND // 2
        mark = self._marks.get(partition, 0)
        known = self._wallets.get(account)
        if known is None or known.mark != mark or now_us is None:
            return Memory("", mark, None)
        oldest = now_us - self._half_us
        newest = known.newest if known.since_us > oldest else None
        return Memory(known.version if known.version > oldest else "", mark, newest)

    def quarantine(self, length_us: int, now_us: int) -> int:
        """How long one lasts: under settings before there may have been longer ones, and holds made by them are open as
        long as one of those."""
        if length_us != self._length_us:
            if now_us >= self._longer_until:
                self._longer_us = 0
            self._longer_us = max(self._longer_us, self._length_us)
            self._longer_until = max(self._longer_until, now_us + self._length_us)
            self._length_us = length_us
        return length_us if now_us >= self._longer_until else max(length_us, self._longer_us)

    def heard(self, partition: int, account: str, version: int, mark: int) -> bool:
        """What a call answered. True: holds of this partition may have been lost, and this process did not know."""
        known = self._wallets.get(account)
        if known is None or known.mark < mark:
            self._keep(account, _Known(version, mark))
        elif known.mark == mark and version > known.version:
            known.version = version
            self._wallets.move_to_end(account)
        return self.heard_mark(partition, mark)

    def mark(self, partition: int) -> int:
        """The partition's mark as it was heard last; 0 for none."""
        return self._marks.get(partition, 0)

    def heard_mark(self, partition: int, mark: int) -> bool:
        """The same of a call on no wallet."""
        before = self.mark(partition)
        if mark > before:
            self._marks[partition] = mark
        return 0 < before < mark

    def forget_mark(self, partition: int, mark: int) -> None:
        """What was to be said again was not: the next call hears of the loss once more."""
        if self._marks.get(partition) == mark:
            self._marks[partition] = 1

    def made(self, own: Own, now_us: int) -> None:
        """A hold is ours."""
        self._own[own.caller, own.id] = own
        # Those that nobody ends go too: else there are always as many as there may be, and counting them takes 20 ms.
        while self._own and (len(self._own) > HOLDS_MAX or next(iter(self._own.values())).expires_us <= now_us):
            self._own.popitem(last=False)
        if (known := self._wallets.get(own.account)) is not None:
            known.newest, known.since_us = (own.caller, own.id), now_us

    def ended(self, caller: str, hold: str) -> None:
        """It was committed, settled, or given back."""
        self._own.pop((caller, hold), None)

    def mine(self, caller: str, hold: str) -> Own | None:
        """One of our own holds."""
        return self._own.get((caller, hold))

    def open(self, now_us: int) -> int:
        """How many of our own holds are open, as far as they are remembered and nobody else has ended them."""
        return sum(one.expires_us > now_us for one in self._own.values())

    def own(self, partition: int, now_us: int) -> list[Own]:
        """Our own holds there that are not over."""
        return [one for one in self._own.values() if one.partition == partition and one.expires_us > now_us]

    def _keep(self, account: str, known: _Known) -> None:
        self._wallets[account] = known
        self._wallets.move_to_end(account)
        if len(self._wallets) > WALLETS_MAX:
            self._wallets.popitem(last=False)
