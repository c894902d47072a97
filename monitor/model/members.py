"""The accounts that a rule is over, some of which come and go."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.model.record import Account

#: Members that have left and are still known.
FORMER_MAX = 10_000


class Members(dict[str, "Account"]):
    """The accounts that a rule is over, by name; some come and go.

    `touched` are those that did, for whoever adds them up; `guests` those that came, and may go; `former` the last that
    left, for what moved in them is not undone by that.
    """

    def __init__(self, accounts: "Mapping[str, Account] | None" = None) -> None:
        super().__init__(accounts or {})
        self.touched: set[str] = set()
        self.guests: set[str] = set()
        self.former: dict[str, Account] = {}

    def come(self, account: "Account") -> None:
        """One is a member from now on, or another than before."""
        self[account.name] = account
        self.former.pop(account.name, None)
        self.touched.add(account.name)
        self.guests.add(account.name)

    def leave(self, name: str) -> bool:
        """It is a member no more; whether it was."""
        account = self.pop(name, None)
        if account is None:
            return False
        self.touched.add(name)
        self.guests.discard(name)
        self.former[name] = account
        if len(self.former) > FORMER_MAX:
            del self.former[next(iter(self.former))]
        return True

    def whose(self, name: str) -> "Account | None":
        """A member, or one that has left lately: the account that something moved in."""
        return self.get(name) or self.former.get(name)
