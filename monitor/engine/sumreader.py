"""Sums over accounts and movements of accounts, read from the store as if they were balances."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from monitor.engine.portfolio import Portfolio
from monitor.engine.ports import Budget
from monitor.engine.roundup import stream_of
from monitor.engine.settling import LATENESS
from monitor.engine.sums import SumStore
from monitor.model.event import Event, Ledger, digest
from monitor.model.members import Members
from monitor.model.record import Account, Record, Roundup, RuleWatch
from monitor.model.window import micros
from monitor.rules.aggregate import subject_of_account
from monitor.rules.base import RuleBase
from monitor.rules.facts import FlowSpec

log = structlog.get_logger("monitor.sums")

#: How the name begins of the time until which movements are missed that were not kept.
_CUT = "cut|"


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
        prices = portfolio.quotes()
        spec = rule.flow()
        if spec is None:
            return Roundup(
                now, portfolio.sums, (), record.ledgers, portfolio.unknown, prices, portfolio.accounts
            )  # fmt: skip
        stream = portfolio.stream
        since = {
            int(name.removeprefix(stream)): it.checkpoint
            for name, it in record.ledgers.items()
            if name.startswith(stream)
        }
        moves = await self.store.moves(since, now - reach(spec))
        ledgers = {f"{stream}{number}": Ledger(version) for number, version in moves.read.items()}
        # What was lost is missed for as long as it would have counted.
        cut_until = micros(now + reach(spec)) if moves.cut else record.ledgers.get(_CUT + stream, Ledger(0)).checkpoint
        cut = cut_until > micros(now)
        if cut:
            ledgers[_CUT + stream] = Ledger(cut_until)
        if moves.cut:
            log.error("sums.movements_lost", rule=rule.alert, why="more than are kept of a partition")
        events = _of(moves.events, watch, () if spec.settle is None else watch.everyone)
        return Roundup(now, {}, events, ledgers, portfolio.unknown, prices, cut=cut)

    async def recall(self, account: Account, since: datetime) -> tuple[Event, ...]:
        """The movements of a rule's accounts recorded since then."""
        watch = account.target
        assert isinstance(watch, RuleWatch)
        return _of((await self.store.moves({}, since)).events, watch)


def _stream(rule: RuleBase, members: Members) -> str:
    spec = rule.flow()
    if spec is None:
        return ""
    # What may be a transfer is remembered with its account.
    if spec.settle is not None:
        return stream_of(rule, spec)
    return stream_of(
        rule,
        spec,
        # Those who come and go make no difference: an hour would never be over.
        digest(
            *(
                f"{name}/{subject_of_account(rule.summed_by, members[name], '')}"
                for name in sorted(members.keys() - members.guests)
            )
        ),
    )


def reach(spec: FlowSpec) -> timedelta:
    """How old movements may be that still matter to a rule."""
    return spec.within + (spec.settle or timedelta(0)) + LATENESS


def _of(events: Iterable[Event], watch: RuleWatch, others: Container[str] = ()) -> tuple[Event, ...]:
    return tuple(event for event in events if watch.members.whose(event.account) or event.account in others)
