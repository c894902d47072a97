"""What people are told of the guard, and the small periodic work for it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from monitor.concerns import Concerns
from monitor.duties import Duty
from monitor.engine.guardports import GuardStore, Quarantine, Tended, reasons
from monitor.engine.ports import Clock
from monitor.engine.switch import Switchboard
from monitor.guard import units
from monitor.guard.hold import Debit, Hold, Terms
from monitor.plan import Crew
from monitor.store.url import address
from monitor.store.wakes import Wakes

log = structlog.get_logger("monitor.guardwatch")

#: How soon a switch that was thrown elsewhere counts here, and how often a bankroll is judged.
SWITCH_EVERY = timedelta(seconds=0.5)
#: Each partition is tended once in so long, a few at a time.
ROUND, TEND_EVERY = timedelta(seconds=5), timedelta(seconds=0.5)
#: It cannot be undone, so what is told of it ends by itself.
LATE_TOLD = timedelta(hours=1)

#: Wallet → what is told of it.
_Told = Mapping[str, str]


def listen(url: str, crew: Callable[[], Crew]) -> asyncio.Task[None]:
    """Hear from other processes who waits for a poll, for as long as the task is let run."""

    def hear(provider: str | None, partition: int) -> None:
        pollers = crew().pollers
        if provider is None:
            # Such a word may have been lost.
            for poller in pollers.values():
                poller.wake()
        elif provider in pollers:
            crew().store.hurry(provider, partition)
            crew().wake(provider)

    return asyncio.create_task(Wakes(address(url), hear).run())


@dataclass(slots=True)
class GuardWatch:
    """Tells of a guard that is closed or in quarantine, of debits that came too late, and of those nobody sees.

    `bell` asks for a look at the switch at once.
    """

    concerns: Concerns
    clock: Clock
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    _bound: dict[int, Quarantine] = field(default_factory=dict)
    _unsettled: dict[int, _Told] = field(default_factory=dict)
    _next: int = 0

    def duties(self, crew: Callable[[], Crew]) -> tuple[Duty, ...]:
        """What is to be done from time to time."""

        async def look() -> None:
            await self.look(crew().guard.switchboard)

        async def tend() -> None:
            store, guard = crew().store, crew().config.guard
            await self.tend(store, len(store.partitions), guard.terms(), guard.unsettled_limit)

        return Duty("switch", look, SWITCH_EVERY, self.bell), Duty("tend", tend, TEND_EVERY)

    async def look(self, board: Switchboard) -> None:
        """Refresh the switchboard and tell what closes the guard."""
        await board.refresh()
        known = self.concerns.abouts("GuardClosed")
        for cause, why in board.causes.items():
            if cause not in known:
                log.warning("guard.closed", cause=cause, why=why)
            self.concerns.report("GuardClosed", why, about=cause)
        for cause in known:
            if cause not in board.causes:
                log.info("guard.opened", cause=cause)
                self.concerns.settle("GuardClosed", about=cause)

    def late(self, call: str, hold: Hold) -> None:
        """A commit or settled came after its hold had expired."""
        amount = units.text(hold.amount, hold.decimals)
        log.warning("guard.late", call=call, account=hold.account, asset=hold.asset, hold=hold.id, amount=amount)
        why = f"{call} of {amount} {hold.asset} of {hold.account}, hold {hold.id} of {hold.caller}"
        self.concerns.report("GuardLateCommit", why, about=f"{hold.caller}/{hold.id}", lasts=LATE_TOLD)

    async def tend(self, store: GuardStore, partitions: int, terms: Terms, limit: timedelta) -> None:
        """Tend the next few partitions; all of them once in a ROUND."""
        now = self.clock()
        for _ in range(max(1, -(-partitions * TEND_EVERY // ROUND))):
            number, self._next = self._next % partitions, (self._next + 1) % partitions
            self._take(number, await store.tend(number, now - limit, terms))
        self._tell_quarantine(partitions)

    def _take(self, partition: int, tended: Tended) -> None:
        now = self.clock()
        if tended.bound is not None and tended.bound.until > now:
            self._bound[partition] = tended.bound
        else:
            self._bound.pop(partition, None)
        told = _unseen(tended)
        for wallet, why in told.items():
            self.concerns.report("GuardUnsettled", why, about=wallet)
        for wallet in self._unsettled.get(partition, {}):
            if wallet not in told:
                self.concerns.settle("GuardUnsettled", about=wallet)
        self._unsettled[partition] = told

    def _tell_quarantine(self, partitions: int) -> None:
        if bound := self._bound.values():
            until = f"until {max(one.until for one in bound):%H:%M:%SZ} and until they are read anew"
            self.concerns.report(
                "GuardQuarantined", f"{len(bound)} of {partitions} partitions, {until}: {reasons(bound)}"
            )
        else:
            self.concerns.settle("GuardQuarantined")


def _unseen(tended: Tended) -> _Told:
    """Of each wallet how much is unsettled, and since when."""
    debits: dict[str, list[Debit]] = {}
    for account, asset, debit in tended.unsettled:
        debits.setdefault(f"{account} {asset}", []).append(debit)
    return {wallet: _sum(them) for wallet, them in debits.items()}


def _sum(debits: list[Debit]) -> str:
    first = min(debits, key=_since)
    amount = units.text(sum(debit.amount for debit in debits))
    booked = "committed" if first.posted_at is None else "booked"
    since = f"the oldest {booked} {_since(first):%Y-%m-%d %H:%M:%SZ} (hold {first.hold} of {first.caller})"
    return f"{amount} in {len(debits)}, {since}"


def _since(debit: Debit) -> datetime:
    return debit.posted_at or debit.committed_at
