"""The pre-bet guard: is there money for this bet? In doubt there is no decision, which means no bet.

    early reasons ─▶ (facts too old: refresh) ─▶ the store decides ─▶ exposure ─▶ freshness ─▶ answer

One deadline is over all of it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from monitor.deadlines import Deadlines, Limit
from monitor.engine.audit import Audit, Decision
from monitor.engine.bet import Decided, Wish, declares, missing, owner
from monitor.engine.guard_undo import Undo, Undoing
from monitor.engine.guardports import Accounts, Call, GuardStore, Meter, Refreshed, Refreshing, SwitchBoard
from monitor.engine.ports import Clock
from monitor.errors import StoreUnavailable
from monitor.guard.errors import DeadlineExceeded, SeveralNetworks
from monitor.guard.freshness import freshness
from monitor.guard.hold import HOLDS_MAX, Ask, Hold, Lock, Resolution, Switch, Terms, Verdict, Wallet
from monitor.guard.policy import Policy
from monitor.guard.reasons import Reason
from monitor.model.record import Account

#: The bankroll's holds are kept apart from their players' by a caller that no token can be named like.
HOUSE_MARK = "!"
_NOTHING = timedelta(0)
#: What ends with a reading, which the schedule may bring much later.
_UNTIL_READ = ("BALANCE_NEVER_SEEN", "STATE_QUARANTINED")

T = TypeVar("T")
LateCall = Callable[[Call, Hold], None]


@dataclass(slots=True)
class Guard:
    """The guard under one configuration. `late` hears of debits that came after their hold had expired,
    `name` makes the ids of decisions.

    Every call raises DeadlineExceeded or StoreUnavailable when there is no answer: then nobody may bet on it.
    """

    policy: Policy
    store: GuardStore
    accounts: Accounts
    refreshing: Refreshing
    board: SwitchBoard
    clock: Clock
    meter: Meter
    audit: Audit
    undoing: Undoing
    late: LateCall
    name: Callable[[], str]
    deadlines: Deadlines = field(default_factory=Deadlines)

    async def check(self, caller: str, wish: Wish, decision: str) -> Decided:
        """May this be spent? Reserves nothing."""
        return await self._decide(caller, "", wish, decision)

    async def hold(self, caller: str, hold: str, wish: Wish, decision: str) -> Decided:
        """Check and reserve under the caller's own id. Whoever is not answered in time has nothing reserved."""
        return await self._decide(caller, hold, wish, decision)

    async def _decide(self, caller: str, hold: str, wish: Wish, decision: str) -> Decided:
        policy, began = self.policy, self.clock()
        if policy.house is None and wish.exposure is not None:
            # Without a bankroll the house's side is not guarded, whatever a bet may win.
            wish = wish._replace(exposure=None)
        try:
            with self.deadlines.within(policy.deadline.total_seconds()) as limit:
                ask, account = await self._ask(caller, hold, wish, decision, began)
                patient = (wish.on_stale or policy.on_stale) == "refresh"
                if patient and account is not None and await self._freshen(ask, account, limit):
                    # Meanwhile the guard may have been closed, or the session have ended.
                    ask, account = await self._ask(caller, hold, wish, decision, self.clock())
                verdict = await (self.store.hold if hold else self.store.check)(ask, policy.terms)
                if wish.exposure is not None and verdict.allowed:
                    verdict = await self._cover(ask, wish.exposure, verdict)
            took = self.clock() - began
            if _is_over(verdict, took):
                raise TimeoutError
        except TimeoutError:
            self._undo(caller, hold, wish, decision)
            self.meter.undecided("deadline-exceeded", self.clock() - began)
            raise DeadlineExceeded("no answer in time: do not bet") from None
        except asyncio.CancelledError:
            # The process ends: nobody will be answered.
            self._undo(caller, hold, wish, decision)
            raise
        except StoreUnavailable:
            # Maybe it is held: whoever asks again with this id is told, else it expires.
            self.meter.undecided("store-unavailable", self.clock() - began)
            raise
        return self._told(ask, account, verdict, took)

    async def _ask(self, caller: str, hold: str, wish: Wish, name: str, now: datetime) -> tuple[Ask, Account | None]:
        """The question for the store, with what is known by now; and the account, None where there is none."""
        policy = self.policy
        account = self.accounts.get(wish.account) or await self.accounts.find(wish.account)
        closed = await self.board.closed(now)
        max_age = policy.max_age if wish.max_age is None else min(policy.max_age, wish.max_age)
        ask = Ask(
            caller, hold, wish.account, wish.asset, wish.amount, wish.decimals, wish.ttl or policy.ttl, max_age,
            name, self._early(wish, account, closed), account is not None and declares(account, wish.asset),
            owner(account), None if policy.house is None else wish.exposure is not None,
        )  # fmt: skip
        return ask, account

    def _early(self, wish: Wish, account: Account | None, closed: str | None) -> Reason | None:
        """The first reason that is known without the wallet, in the order of `guard.reasons`."""
        over = account is None and self.accounts.session_over(wish.account)
        if account is None and not over:
            return "ACCOUNT_UNKNOWN"
        if closed is not None:
            return "GUARD_CLOSED"
        if over:
            return "SESSION_EXPIRED"
        if wish.amount < self.policy.amount_min:
            return "AMOUNT_BELOW_MIN"
        return "AMOUNT_ABOVE_MAX" if wish.amount > self.policy.amount_max else None

    async def _freshen(self, ask: Ask, account: Account, limit: Limit) -> bool:
        """Read the account anew where the facts are too old: whether that was waited for.

        Only asked for now: a refusal would stick to the id.
        """
        facts = await self.store.check(ask, self.policy.terms)
        if facts.reason not in ("BALANCE_STALE", "BALANCE_NEVER_SEEN"):
            return False
        limit.extend(self.policy.refresh_wait.total_seconds())
        # A poll under way will do, if what it reads is fresh enough for this bet.
        since = facts.now - ask.max_age
        self.meter.refreshed(await self.refreshing.now(account, self.policy.refresh_wait, since))
        return True

    async def _cover(self, ask: Ask, exposure: tuple[int, int], verdict: Verdict) -> Verdict:
        """The house's side of a bet that its player can pay: both are held, or neither.

        A crash in between is healed by the player's ttl; a retry finds the player's hold and goes on here.
        """
        held = verdict.hold
        if ask.hold and (held is None or held.state != "held"):
            # It was committed meanwhile: the house was asked then.
            return verdict
        asked = self._house_ask(ask, exposure)
        house = await (self.store.hold if ask.hold else self.store.check)(asked, self._house_terms())
        if house.allowed or house.reused:
            return verdict._replace(reused=house.reused)
        if held is None:
            return verdict._replace(reason="BANKROLL_INSUFFICIENT")
        balance = verdict.balance and verdict.balance._replace(held=max(0, verdict.balance.held - held.amount))
        if house.reason == "HOLD_TOMBSTONED":
            # It was rolled back meanwhile.
            done = await self.store.release_hold(ask.caller, ask.hold, self.policy.terms)
            return verdict._replace(reason=house.reason, hold=done.hold, balance=balance)
        await self.store.refuse_hold(ask.caller, ask.hold, ask.decision, self.policy.terms, "BANKROLL_INSUFFICIENT")
        denied = held._replace(state="denied", reason="BANKROLL_INSUFFICIENT", expires_at=None)
        return verdict._replace(reason="BANKROLL_INSUFFICIENT", hold=denied, balance=balance)

    def _house_ask(self, ask: Ask, exposure: tuple[int, int]) -> Ask:
        house = self.policy.house
        assert house is not None, "refused above"
        amount, decimals = exposure
        return ask._replace(
            caller=ask.caller + HOUSE_MARK, account=house.account, asset=house.asset, amount=amount, decimals=decimals,
            max_age=self.policy.max_age, early=None, declared=True, whose=owner(self.accounts.get(house.account)),
            exposed=None,
        )  # fmt: skip

    def _house_terms(self) -> Terms:
        # Each of the bankroll's holds stands behind one that a player's wallet has counted.
        return self.policy.terms._replace(max_holds=HOLDS_MAX)

    def _undo(self, caller: str, hold: str, wish: Wish, decision: str) -> None:
        """Nobody was told of it: it is not to stand."""
        if not hold:
            return
        until = self.clock() + (wish.ttl or self.policy.ttl)
        if wish.exposure is not None:
            self.undoing.add(Undo(caller + HOUSE_MARK, hold, decision, until), self.policy.terms)
        self.undoing.add(Undo(caller, hold, decision, until), self.policy.terms)

    def _told(self, ask: Ask, account: Account | None, verdict: Verdict, took: timedelta) -> Decided:
        as_of = None if verdict.balance is None else verdict.balance.as_of
        age = None if as_of is None else max(_NOTHING, verdict.now - as_of)
        # What was read by a clock that is ahead is of no known age.
        old = verdict.reason == "BALANCE_STALE" and not verdict.replayed
        known = "stale" if old else freshness(age, self.policy.soft_age, ask.max_age)
        if account is not None and (known in ("soft", "stale") or verdict.reason in _UNTIL_READ):
            self.refreshing.soon(account, self.meter.refreshed)
        decision = (verdict.hold.decision if verdict.replayed and verdict.hold else "") or ask.decision
        if verdict.reused or verdict.networks:
            self.meter.undecided("hold-id-reused" if verdict.reused else "invalid-request", took)
        else:
            self.meter.decided(verdict.reason, took, age)
            if self.audit.wants(self.policy.audit, verdict.reason):
                # The first four: caller, hold, account, asset.
                self.audit.note(Decision(decision, verdict.reason, *ask[:4], age, verdict.replayed))
        return Decided(verdict, decision, age, known, missing(ask, verdict))

    async def commit(self, caller: str, hold: str, amount: int | None) -> Resolution:
        """The bet stands with this amount (None: all of it); the rest returns at once."""
        done = await self._in_time(self.store.commit_hold(caller, hold, amount, self.policy.terms))
        return self._resolved("commit", done)

    async def settle(self, caller: str, hold: str) -> Resolution:
        """Its debit is booked at the provider."""
        return self._resolved("settled", await self._in_time(self.store.settle_hold(caller, hold, self.policy.terms)))

    async def release(self, caller: str, hold: str) -> Resolution:
        """Roll back, the house's side as well. An id that is unknown is refused from now on."""
        return self._resolved("release", await self._in_time(self._release(caller, hold)))

    async def _release(self, caller: str, hold: str) -> Resolution:
        store, terms, mine = self.store, self.policy.terms, caller + HOUSE_MARK
        done = await store.release_hold(caller, hold, terms)
        ended = done.hold
        if self.policy.house is None or ended is None or done.outcome != "done" or ended.state == "denied":
            return done
        # A bet that is known but has not asked the house yet is refused there from now on. Not those that stated no
        # exposure: a tombstone for each would double what is kept of ids.
        unknown = ended.state == "tombstone" and (await store.find_hold(mine, hold, terms))[0] is not None
        if ended.exposed or unknown:
            await store.release_hold(mine, hold, terms)
        return done

    def _resolved(self, call: Call, done: Resolution) -> Resolution:
        self.meter.resolved(call, done.outcome)
        if done.hold is not None and call != "release" and done.outcome == "hold-expired":
            self.late(call, done.hold)
        return done

    async def find(self, caller: str, hold: str) -> Hold | None:
        """What became of a hold; None when nothing is known of it, or no longer."""
        found, _ = await self._in_time(self.store.find_hold(caller, hold, self.policy.terms))
        return found

    async def wallet(self, account: str, asset: str) -> Wallet | None:
        """All there is to know of a wallet; None when there is none. SeveralNetworks where it may be one of several."""
        return await self._in_time(self._wallet(account, asset))

    async def _wallet(self, account: str, asset: str) -> Wallet | None:
        names = await self.store.resolve_asset(account, asset)
        if len(names) > 1:
            raise SeveralNetworks(asset, names)
        whose = owner(self.accounts.get(account) or await self.accounts.find(account))
        return await self.store.wallet(account, names[0] if names else asset, self.policy.terms, whose)

    async def refresh(self, account: str) -> Refreshed | None:
        """Read an account anew and wait a moment for it; None when there is no such account."""
        return await self._in_time(self._refresh(account), self.policy.refresh_wait)

    async def _refresh(self, account: str) -> Refreshed | None:
        known = self.accounts.get(account) or await self.accounts.find(account)
        if known is None:
            return None
        outcome = await self.refreshing.now(known, self.policy.refresh_wait)
        self.meter.refreshed(outcome)
        return outcome

    async def lock(self, account: str, asset: str, lock: Lock) -> bool:
        """No new holds; also of an account that is not watched yet. An asset without its network means all of them.

        False when too many sources lock it.
        """
        return await self._in_time(self.store.lock(account, asset, lock))

    async def unlock(self, account: str, asset: str, source: str) -> bool:
        """Whether that source had locked it."""
        return await self._in_time(self.store.unlock(account, asset, source))

    async def closed(self) -> tuple[str | None, Switch]:
        """Why nothing is held at present, None while the guard is open; and the operator's part of it."""
        why = await self._in_time(self.board.closed(self.clock()))
        return why, self.board.switch

    async def close(self, comment: str, author: str) -> None:
        """No new holds anywhere."""
        await self._in_time(self.board.close(comment, author))

    async def reopen(self) -> None:
        """As before; a bankroll that is too low still keeps it closed."""
        await self._in_time(self.board.open())

    async def _in_time(self, work: Coroutine[Any, Any, T], more: timedelta = _NOTHING) -> T:
        try:
            with self.deadlines.within((self.policy.deadline + more).total_seconds()):
                return await work
        except TimeoutError:
            raise DeadlineExceeded("no answer in time") from None


def _is_over(verdict: Verdict, took: timedelta) -> bool:
    """Whether what is held may have expired before anybody is told: its ttl is short, or we were stopped."""
    hold = verdict.hold
    ends = hold.expires_at if verdict.allowed and hold is not None and hold.state == "held" else None
    return ends is not None and took >= ends - verdict.now
