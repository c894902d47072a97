"""Which rules judge which account, and the pseudo accounts that stand for providers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.engine.decide import Policy
from monitor.engine.ports import Budget, PollStore
from monitor.model.record import Account, Health, ProviderWatch, Record
from monitor.rules.base import RuleBase

#: The provider name of accounts that are read from the store itself.
STORE_PROVIDER = "@store"
#: How their names begin. No account name may hold a colon, so these are never taken.
CHECKUP = "provider:"
#: How often a provider's health is judged: as often as its accounts, within these bounds.
CHECKUP_FASTEST, CHECKUP_SLOWEST = timedelta(seconds=1), timedelta(seconds=15)


@dataclass(slots=True)
class Watch:
    """What the polls of one configuration need of it; immutable but for its memory of who matches what."""

    policy: Policy
    rules: Sequence[RuleBase]
    due: Callable[[Account, datetime], datetime]
    _matched: dict[str, tuple[RuleBase, ...]] = field(default_factory=dict)
    _shared: dict[tuple[RuleBase, ...], tuple[RuleBase, ...]] = field(default_factory=dict)

    def rules_for(self, account: Account) -> tuple[RuleBase, ...]:
        """The rules that judge this account, in the order of the files."""
        known = self._matched.get(account.name)
        if known is None:
            labels = match_labels(account)
            whole = isinstance(account.target, ProviderWatch)
            found = tuple(r for r in self.rules if r.judges_provider == whole and r.matches(labels))
            # A hundred thousand accounts share a few tuples.
            known = self._matched[account.name] = self._shared.setdefault(found, found)
        return known

    def next_due(self, account: Account, now: datetime) -> datetime:
        return self.due(account, now)


def match_labels(account: Account) -> Mapping[str, str]:
    """What a rule's `match` sees of an account; a provider as a whole has only its name."""
    if isinstance(account.target, ProviderWatch):
        return {"provider": account.target.provider}
    return {**account.labels, "provider": account.provider, "account": account.name}


def checkups(accounts: Iterable[Account]) -> dict[str, Account]:
    """One pseudo account per provider, judged about as often as its accounts are polled."""
    shortest: dict[str, timedelta] = {}
    for account in accounts:
        shortest[account.provider] = min(account.interval, shortest.get(account.provider, account.interval))
    found = (account_of_checkup(provider, interval) for provider, interval in shortest.items())
    return {account.name: account for account in found}


def account_of_checkup(provider: str, interval: timedelta) -> Account:
    """The pseudo account of a provider whose quickest account is polled that often."""
    every = min(max(interval, CHECKUP_FASTEST), CHECKUP_SLOWEST)
    return Account(
        name=f"{CHECKUP}{provider}",
        provider=STORE_PROVIDER,
        interval=every,
        stale_after=every * 3,
        target=ProviderWatch(provider=provider, interval=interval),
    )


@dataclass(frozen=True, slots=True)
class HealthReader:
    """Reads how a provider is doing from the store, as if it were a balance."""

    store: PollStore

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Health:  # noqa: ARG002 - the port's signature
        watch = account.target
        assert isinstance(watch, ProviderWatch)
        return await self.store.health(watch.provider)
