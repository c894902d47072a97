"""The keys of the guard, in the partition of their account; and the index of hold ids, each in a slot of its own."""

from dataclasses import dataclass
from functools import cached_property

from monitor.store.keys import Partition


@dataclass(frozen=True)
class WalletKeys:
    """Keys of one account's wallets."""

    where: Partition
    account: str

    @cached_property
    def all(self) -> tuple[str, ...]:
        """In the order in which every function takes them; the record of a hold follows."""
        return (self.wallets, self.held, self.debits, self.tending, self.guard)

    @property
    def wallets(self) -> str:
        """Hash of what the guard counts: `v` version, when the next hold expires, and when the janitor looks at it;
        `at` when the newest reading began, and of whose money; `n` how many assets were read. Of each asset `f:` what
        was read, `s:` sums, `k:` each source's lock, `l:` the longest; `b:` what a name without network may mean."""
        return f"{self.where.tag}:wallets:{self.account}"

    @property
    def held(self) -> str:
        """Sorted set `<amount><caller>/<hold> <asset>` → its deadline, of the open holds. Whatever ends a hold removes
        it; what has expired, whoever touches the wallet next, or the janitor."""
        return f"{self.where.tag}:held:{self.account}"

    @property
    def debits(self) -> str:
        """Sorted set `<committed at><amount><caller>/<hold> <asset>` → when it is booked, of the debits that no reading
        is known to contain. Removed as `held` are."""
        return f"{self.where.tag}:debits:{self.account}"

    @property
    def guard(self) -> str:
        """String of the partition: the mark of the last quarantine, that of its first use, until when it lasts, the
        mark of the last one for a clock set forward, and the life of the server that it last vouched for. For ever."""
        return guard(self.where)

    @property
    def tending(self) -> str:
        """Sorted set of the partition: account → when the janitor looks at its wallets. It removes those that have
        neither holds nor debits."""
        return tending(self.where)

    @property
    def left(self) -> str:
        """Sorted set of the partition: account → since when it is gone. The janitor forgets its wallets once they are
        of no use any more."""
        return left(self.where)

    def record(self, caller: str, hold: str) -> str:
        """String: what became of a hold, as `lua/record.lua` says. Expires `guard.hold_ids` after it was refused or has
        ended; a year after the commit where only `settled` says that a debit is booked."""
        return f"{self.where.tag}:hold:{caller}/{hold}"


def guard(where: Partition) -> str:
    """See WalletKeys.guard."""
    return f"{where.tag}:guard"


def tending(where: Partition) -> str:
    """See WalletKeys.tending."""
    return f"{where.tag}:tending"


def left(where: Partition) -> str:
    """See WalletKeys.left."""
    return f"{where.tag}:left"


def index(caller: str, hold: str) -> str:
    """String: `+` and the account that a hold id is of, `-` where it was released before it came. Expires an hour after
    the record could."""
    return f"{{bm:h:{caller}:{hold}}}"
