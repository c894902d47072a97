"""What decides besides the facts: what the configuration says, for as long as it is in force."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.engine.pricing import PriceBook
from monitor.model.expected import Expected
from monitor.model.record import Account
from monitor.model.target import Target


def _nobody(_labels: Mapping[str, str]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides besides the facts: fixed for as long as a configuration is, but for the prices in its book.

    `rules` are the names of all rules there are. `expected` are the transfers that each account is expected to make.
    `inhibits` says of an alert's labels whether others are kept quiet while it fires. `trusting` are the providers
    whose own time of a reading counts for the guard.
    """

    route: Callable[[Mapping[str, str]], tuple[Target, ...]]
    tolerance: timedelta
    rules: frozenset[str] = frozenset()
    book: PriceBook = field(default_factory=PriceBook)
    expected: Mapping[str, tuple[Expected, ...]] = field(default_factory=dict)
    inhibits: Callable[[Mapping[str, str]], bool] = _nobody
    trusting: frozenset[str] = frozenset()

    def bearable(self, account: Account) -> timedelta:
        """The longest gap between two looks at an account that still counts as having looked."""
        # Of an account that is polled every two hours, two hours without a reading are no gap.
        return max(self.tolerance, 2 * account.interval)

    def expects(self, account: Account) -> tuple[Expected, ...]:
        """The transfers that an account is expected to make."""
        return self.expected.get(account.name, ())
