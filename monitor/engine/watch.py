"""Which rules judge which account, and the pseudo accounts that stand for providers and for the monitor itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from monitor.engine.policy import Policy
from monitor.engine.ports import ALONE, Budget, PollStore, Summing
from monitor.engine.sumreader import SumReader, reach
from monitor.model.members import Members
from monitor.model.record import (
    Account,
    Health,
    MonitorWatch,
    PriceWatch,
    ProviderWatch,
    Record,
    Roundup,
    RuleWatch,
)
from monitor.model.report import Reports
from monitor.rules.base import RuleBase
from monitor.rules.event_gap import LEDGER_RULES
from monitor.rules.price_missing import PriceMissing
from monitor.rules.reported import REPORTED_RULES

#: The provider name of accounts that are read from the store itself.
STORE_PROVIDER = "@store"
#: How their names begin. No account name may hold a colon, so these are never taken.
CHECKUP = "provider:"
#: How often a provider's health is judged: as often as its accounts, within these bounds.
CHECKUP_FASTEST, CHECKUP_SLOWEST = timedelta(seconds=1), timedelta(seconds=15)
#: The account that stands for the monitor itself, and how often what it reports is judged when nobody is in a hurry.
MONITOR, MONITOR_EVERY = "monitor:self", timedelta(seconds=5)

#: How the names of rules over several accounts begin.
SUM = "aggregate:"
#: How often such a rule is judged when nothing changes: its windows roll on, and its members go stale.
SUM_FASTEST, SUM_SLOWEST = timedelta(seconds=1), timedelta(seconds=15)
_NOBODY: Mapping[str, Account] = {}
#: What accounts that come and go have left behind in common is thrown away from so much on.
SHARED_MAX = 10_000


@dataclass
class Watch:
    """What the polls of one provider need of a configuration; immutable but for its memory of who matches what.

    `ledgers` says that the provider tells events, so that some may be missing.
    """

    policy: Policy
    rules: Sequence[RuleBase]
    due: Callable[[Account, datetime], datetime]
    ledgers: bool = False
    _matched: dict[str, tuple[RuleBase, ...]] = field(default_factory=dict)
    _sums: dict[str, tuple[Summing, tuple[str, ...]]] = field(default_factory=dict)
    _sums_shared: dict[tuple[Summing, tuple[str, ...]], tuple[Summing, tuple[str, ...]]] = field(default_factory=dict)
    _shared: dict[tuple[tuple[RuleBase, ...], ...], tuple[RuleBase, ...]] = field(default_factory=dict)

    def rules_for(self, account: Account) -> tuple[RuleBase, ...]:
        """The rules that judge this account, in the order of the files, then those that are built in."""
        known = self._matched.get(account.name)
        if known is None:
            known = self._matched[account.name] = self._match(account)
        return known

    def _match(self, account: Account) -> tuple[RuleBase, ...]:
        if isinstance(account.target, MonitorWatch):
            return REPORTED_RULES
        if isinstance(account.target, PriceWatch):
            return ()
        if isinstance(account.target, RuleWatch):
            return tuple(rule for rule in self.rules if rule.alert == account.target.rule)
        labels = match_labels(account)
        whole = isinstance(account.target, ProviderWatch)
        found = tuple(r for r in self.rules if r.judges_provider == whole and not r.spans and r.matches(labels))
        # Also of those that judge a sum over it.
        priced = () if whole else tuple(r for r in self.rules if r.in_usd and r.matches(labels))
        # A hundred thousand accounts share a few tuples.
        known = self._shared.get((found, priced))
        if known is None:
            known = self._shared[found, priced] = (*found, *self._built_in(priced, whole=whole))
        return known

    def _built_in(self, priced: tuple[RuleBase, ...], *, whole: bool) -> Iterator[RuleBase]:
        """Alerts about the monitor itself, where they can matter."""
        if priced:
            yield PriceMissing(rules=priced)
        if self.ledgers and not whole:
            yield from LEDGER_RULES

    def forget(self, name: str) -> None:
        """An account of this name is another now, or gone."""
        self._matched.pop(name, None)
        if self._sums.pop(name, None) and len(self._sums_shared) > SHARED_MAX:
            self._sums_shared.clear()

    def summing(self, account: Account) -> Summing:
        """What sums over accounts want of this one."""
        return self._summed(account)[0] if self._spanning else ALONE

    def sums_over(self, account: Account) -> tuple[str, ...]:
        """The pseudo accounts of the rules that add this one up."""
        return self._summed(account)[1] if self._spanning else ()

    def _summed(self, account: Account) -> tuple[Summing, tuple[str, ...]]:
        known = self._sums.get(account.name)
        if known is None:
            labels = match_labels(account)
            ours = () if account.provider.startswith("@") else self._spanning
            over = tuple(rule for rule in ours if rule.matches(labels))
            # Who is on the other end of a transfer is not known before it is seen there.
            ends = tuple(rule for rule in ours if nets(rule))
            moves = self._moves_kept if ends or any(rule.flow() for rule in over) else None
            summing = Summing(account.stale_after if over else None, moves) if over or ends else ALONE
            found = summing, tuple(dict.fromkeys(SUM + rule.alert for rule in (*over, *ends)))
            # As above.
            known = self._sums[account.name] = self._sums_shared.setdefault(found, found)
        return known

    @cached_property
    def _spanning(self) -> tuple[RuleBase, ...]:
        return tuple(rule for rule in self.rules if rule.spans)

    @cached_property
    def _moves_kept(self) -> timedelta:
        """For the rule that looks back furthest: all of them read the same stream."""
        return max(reach(spec) for rule in self._spanning if (spec := rule.flow()))

    def next_due(self, account: Account, now: datetime) -> datetime:
        return self.due(account, now)


def nets(rule: RuleBase) -> bool:
    """Whether a rule is about what leaves the accounts altogether, and so must hear of all of them."""
    spec = rule.flow()
    return spec is not None and spec.settle is not None


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


def account_of_monitor() -> Account:
    """The pseudo account of the monitor itself."""
    return Account(
        name=MONITOR,
        provider=STORE_PROVIDER,
        interval=MONITOR_EVERY,
        stale_after=MONITOR_EVERY * 3,
        target=MonitorWatch(),
    )


def aggregates(rules: Iterable[RuleBase], accounts: Mapping[str, Account]) -> dict[str, Account]:
    """One pseudo account per rule over several accounts, with those that it matches."""
    found: dict[str, Account] = {}
    for rule in rules:
        if rule.spans:
            members = {name: one for name, one in accounts.items() if rule.matches(match_labels(one))}
            account = account_of_sum(rule.alert, members, accounts if nets(rule) else {})
            found[account.name] = account
    return found


def account_of_sum(rule: str, members: Mapping[str, Account], everyone: Mapping[str, Account] = _NOBODY) -> Account:
    """The pseudo account of a rule over these accounts, out of all that it must know."""
    quickest = min((member.interval for member in members.values()), default=SUM_SLOWEST)
    every = min(max(quickest, SUM_FASTEST), SUM_SLOWEST)
    target = RuleWatch(rule=rule, members=Members(members), everyone=everyone)
    return Account(SUM + rule, STORE_PROVIDER, interval=every, stale_after=every * 3, target=target)


def stand_ins(accounts: Mapping[str, Account], rules: Iterable[RuleBase]) -> dict[str, Account]:
    """Every pseudo account that a configuration with these accounts and rules has."""
    return {**checkups(accounts.values()), **aggregates(rules, accounts), MONITOR: account_of_monitor()}


@dataclass(frozen=True, slots=True)
class StoreReader:
    """Reads what a pseudo account stands for from the store, as if it were a balance."""

    store: PollStore
    sums: SumReader | None = None

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Health | Reports | Roundup:
        """The state that the pseudo account stands for."""
        if isinstance(account.target, RuleWatch):
            assert self.sums is not None, "there are sums only where there are rules"
            return await self.sums.poll(account, record, budget, now)
        if isinstance(account.target, MonitorWatch):
            return Reports(now, await self.store.reports(now), running=await self.store.running())
        watch = account.target
        assert isinstance(watch, ProviderWatch)
        return await self.store.health(watch.provider)
