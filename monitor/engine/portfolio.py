"""Sums over accounts, kept up with what changes: read from the store as if they were balances.

The memory of a process is a cache. What is read is newer than the record it is judged with, and movements are read
from where that record has got to, so each counts once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.engine.ports import Budget
from monitor.engine.pricing import reported
from monitor.engine.roundup import stream_of
from monitor.engine.settling import LATENESS
from monitor.engine.sums import SumStore
from monitor.model.event import Event, Ledger, digest
from monitor.model.price import Quote, Quotes
from monitor.model.record import Account, Record, Roundup, RuleWatch
from monitor.model.snapshot import Snapshot
from monitor.model.sums import Part, Sum
from monitor.rules.aggregate import apart, parts_of, subject_of_account
from monitor.rules.base import RuleBase
from monitor.rules.facts import FlowSpec

#: Records read at once.
CHUNK = 500


@dataclass(slots=True)
class Portfolio:
    """The sums of one rule. `waiting` are the members still to be read, in no order; `stream` as in `stream_of`."""

    rule: RuleBase
    members: Mapping[str, Account]
    stream: str = ""
    sums: dict[str, dict[str, Sum]] = field(default_factory=dict)
    unknown: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    prices: dict[str, tuple[Quote, str]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    _versions: dict[int, int] | None = None
    _stale: frozenset[str] = frozenset()
    _placed: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    async def refresh(self, store: SumStore, now: datetime) -> None:
        """Take over what changed since the last time; the first time, everything. Goes on where it was cut short."""
        first = self._versions is None
        news = await store.sum_news(self._versions or {})
        stale = frozenset(name for each in news.values() for name in each.stale if name in self.members)
        if first:
            self.waiting |= self.members.keys()
        else:
            self.waiting.update(name for each in news.values() for name in each.changed if name in self.members)
            # Those that have just become stale, or just come back; and those that are stale only in part.
            self.waiting |= stale ^ self._stale
            self.waiting.update(name for name in stale if self._knows(name))
        self._versions, self._stale = {number: each.version for number, each in news.items()}, stale
        while self.waiting:
            names = [name for name, _ in zip(self.waiting, range(CHUNK), strict=False)]
            expected: dict[str, datetime] = {}
            for name, record in zip(names, await store.load_many(names), strict=True):
                self.take(self.members[name], record.snapshot, now)
                if first and record.snapshot is not None:
                    expected[name] = record.snapshot.observed_at + self.members[name].stale_after
            await store.expect_readings(expected)
            self.waiting.difference_update(names)

    def take(self, account: Account, snapshot: Snapshot | None, now: datetime) -> None:
        """This is what an account has from now on."""
        for subject, asset in self._placed.pop(account.name, ()):
            self._drop(subject, asset, account.name)
        by, placed, known = self.rule.summed_by, list[tuple[str, str]](), False
        measure = next(iter(self.rule.measures()), "total")
        for part in parts_of(account, snapshot, measure, now):
            known = known or part.amount is not None
            if self.rule.watches(part.asset):
                subject = subject_of_account(by, account, part.asset)
                self.sums.setdefault(subject, {}).setdefault(part.asset, Sum()).put(part)
                placed.append((subject, part.asset))
        self._placed[account.name] = tuple(placed)
        unread = snapshot is None if self.rule.flow() is None else not known
        self._mark(account, unknown=unread and not (placed and self.rule.flow() is None))
        if snapshot is not None:
            for asset in snapshot.usd:
                self._price(asset, account.name, snapshot)

    def _price(self, asset: str, member: str, snapshot: Snapshot) -> None:
        quote = reported(asset, snapshot)
        if quote and (asset not in self.prices or self.prices[asset][0].at <= quote.at):
            self.prices[asset] = quote, "" if asset in snapshot.seen else member

    def quotes(self, now: datetime) -> Quotes:
        """What the members' providers say of prices. Who is read and not named as changed says the same again."""
        return {
            asset: quote._replace(at=now) if member and member not in self._stale else quote
            for asset, (quote, member) in self.prices.items()
        }

    def _mark(self, account: Account, *, unknown: bool) -> None:
        labels = {**account.labels, "account": account.name, "provider": account.provider}
        key = apart({label: labels.get(label, "") for label in self.rule.summed_by})
        if unknown:
            self.unknown.setdefault(key, set()).add(account.name)
        elif key in self.unknown:
            self.unknown[key].discard(account.name)
            if not self.unknown[key]:
                del self.unknown[key]

    def _knows(self, name: str) -> bool:
        """Whether any amount of an account is taken for known."""
        return any(self._part(subject, asset, name).amount is not None for subject, asset in self._placed.get(name, ()))

    def _part(self, subject: str, asset: str, name: str) -> Part:
        return self.sums[subject][asset].parts[name]

    def _drop(self, subject: str, asset: str, name: str) -> None:
        sums = self.sums[subject]
        sums[asset].drop(name)
        if not sums[asset].parts:
            del sums[asset]
        if not sums:
            del self.sums[subject]


@dataclass(slots=True)
class SumReader:
    """Reads sums from the store, as if they were balances."""

    store: SumStore
    rules: Mapping[str, RuleBase]
    _portfolios: dict[str, Portfolio] = field(default_factory=dict)

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Roundup:  # noqa: ARG002 - the port's signature
        """What the accounts of a rule have together, and what moved since the record was written."""
        watch = account.target
        assert isinstance(watch, RuleWatch)
        rule = self.rules[watch.rule]
        portfolio = self._portfolios.get(watch.rule)
        if portfolio is None:
            portfolio = self._portfolios[watch.rule] = Portfolio(rule, watch.members, _stream(rule, watch.members))
        await portfolio.refresh(self.store, now)
        prices = portfolio.quotes(now)
        spec = rule.flow()
        if spec is None:
            return Roundup(now, portfolio.sums, ledgers=record.ledgers, unknown=portfolio.unknown, prices=prices)
        stream = portfolio.stream
        since = {
            int(name.removeprefix(stream)): it.checkpoint
            for name, it in record.ledgers.items()
            if name.startswith(stream)
        }
        events, read = await self.store.moves(since, now - reach(spec))
        ledgers = {f"{stream}{number}": Ledger(version) for number, version in read.items()}
        known = watch.members if spec.settle is None else watch.everyone
        return Roundup(now, {}, _of(events, known), ledgers, portfolio.unknown, prices)

    async def recall(self, account: Account, since: datetime) -> tuple[Event, ...]:
        """The movements of a rule's accounts recorded since then."""
        watch = account.target
        assert isinstance(watch, RuleWatch)
        events, _ = await self.store.moves({}, since)
        return _of(events, watch.members)


def _stream(rule: RuleBase, members: Iterable[str]) -> str:
    spec = rule.flow()
    if spec is None:
        return ""
    # What may be a transfer is remembered with its account.
    return stream_of(rule, spec, digest(*sorted(members)) if spec.settle is None else "")


def reach(spec: FlowSpec) -> timedelta:
    """How old movements may be that still matter to a rule."""
    return spec.within + (spec.settle or timedelta(0)) + LATENESS


def _of(events: Iterable[Event], members: Mapping[str, Account]) -> tuple[Event, ...]:
    return tuple(event for event in events if event.account in members)
