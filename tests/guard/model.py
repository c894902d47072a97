"""The guard in plain words: big integers, lists that are summed anew each time, one clock. It is slow and obvious.

Tests of what stands on the port `GuardStore` use it as a store that works; tests of the real store compare with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.engine.guardports import Quarantine, Solvency, Tended
from monitor.guard import units
from monitor.guard.hold import (
    Ask,
    Balance,
    Debit,
    Hold,
    Lock,
    Outcome,
    Resolution,
    State,
    Switch,
    Terms,
    Verdict,
    Wallet,
)
from monitor.guard.reasons import REASONS, Reason
from monitor.model.feed import Fed

#: What a call that wants to end a hold is told where it has ended another way; `expired` and `held` are not in here.
ENDED: dict[str, Outcome] = {
    "tombstone": "hold-already-released",
    "released": "hold-already-released",
    "denied": "hold-unknown",
    "committed": "hold-already-committed",
    "settled": "hold-already-committed",
    "covered": "hold-already-committed",
}
_TOMB = Hold("", "", "", "", "tombstone", 0, 0, "")


class _Seen(NamedTuple):
    """One asset as it was last read; `fence` is when that request began, `objected` whether anything was locked."""

    last_seen: int
    locked: int
    decimals: int
    objected: bool
    fence: datetime
    token: int


@dataclass
class _Bet:
    """A hold and its debit. `state` is what was last said of it, `asset` as it was asked for, `hold` what is told."""

    hold: Hold
    asset: str
    committed_at: datetime | None = None
    replayed: bool = False


@dataclass
class _Account:
    seen: dict[str, _Seen] = field(default_factory=dict)
    locks: dict[tuple[str, str], Lock] = field(default_factory=dict)
    read: datetime | None = None
    version: int = 0
    bound_until: datetime | None = None
    whose: str = ""


class ModelGuard:
    """Implements `GuardStore`. `clock` is the store's time; nothing else moves."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.bets: dict[tuple[str, str], _Bet] = {}
        #: Ids of which nothing was decided, as their asset is on several networks: they are of this account already.
        self.named: dict[tuple[str, str], str] = {}
        self.accounts: dict[str, _Account] = {}
        self._switch = Switch()
        self._poor: set[tuple[str, str]] = set()

    # What a test says happened.

    def feed(
        self,
        account: str,
        assets: Mapping[str, Fed],
        fence: datetime,
        token: int = 0,
        *,
        whole: bool = False,
        whose: str = "",
    ) -> None:
        """A reading that began at `fence` showed this; dropped where one that began as late is known."""
        known = self._account(account)
        if known.read is not None and fence <= known.read <= self.clock():
            return
        known.read, known.version = fence, known.version + 1
        if whole or known.whose != whose:
            known.seen.clear()
        known.whose = whose
        for asset, fed in assets.items():
            told = (units.floor(fed.available), units.ceil(fed.locked), units.decimals(fed.available))
            known.seen[asset] = _Seen(*told, fed.locked > 0 or fed.apart > 0, fence, token)

    def quarantine(self, account: str, until: datetime) -> None:
        """Holds may have been lost: ends with a reading that began after `until`."""
        self._account(account).bound_until = until

    # The port.

    async def check(self, ask: Ask, terms: Terms) -> Verdict:
        return self._decide(ask, terms)

    async def hold(self, ask: Ask, terms: Terms) -> Verdict:
        if self.named.get((ask.caller, ask.hold), ask.account) != ask.account:
            return Verdict("HOLD_TOMBSTONED", None, None, self.clock(), reused=True)
        if (bet := self.bets.get((ask.caller, ask.hold))) is not None:
            return self._replay(ask, bet, terms)
        verdict = self._decide(ask, terms)
        if verdict.networks:
            self.named[ask.caller, ask.hold] = ask.account
            return verdict
        asset = verdict.balance.asset if verdict.balance else ask.asset
        state = "held" if verdict.allowed else "denied"
        hold = Hold(
            ask.caller, ask.hold, ask.account, asset, state, ask.amount, ask.decimals, ask.decision,
            exposed=bool(ask.exposed),
        )  # fmt: skip
        if verdict.allowed:
            hold = hold._replace(expires_at=verdict.now + ask.ttl)
        else:
            hold = hold._replace(reason=verdict.reason)
        self.bets[ask.caller, ask.hold] = _Bet(hold, ask.asset)
        self._touch(ask.account)
        balance = self._balance(ask.account, asset, terms) if verdict.allowed else verdict.balance
        return verdict._replace(hold=hold, balance=balance)

    def open_holds(self) -> int:
        return sum(one.hold.state == "held" and one.hold.expires_at > self.clock() for one in self.bets.values())

    async def refuse_hold(self, caller: str, hold: str, decision: str, terms: Terms, reason: Reason) -> None:
        bet, state = self._find(caller, hold, terms)
        if bet is None:
            self.bets[caller, hold] = _Bet(_TOMB._replace(caller=caller, id=hold), "")
        elif state == "held" and reason == "BANKROLL_INSUFFICIENT":
            self._end(bet, "denied", reason)
        elif state == "held" and bet.hold.decision == decision and not bet.replayed:
            self._end(bet, "released")

    async def commit_hold(self, caller: str, hold: str, amount: int | None, terms: Terms) -> Resolution:
        bet, state = self._find(caller, hold, terms)
        if bet is None or state == "denied":
            return self._resolution("hold-unknown", bet, terms)
        final = bet.hold.amount if amount is None else amount
        if state == "expired":
            return self._resolution("hold-expired", bet, terms)
        if state != "held":
            same = state in {"committed", "settled", "covered"} and final == bet.hold.committed
            return self._resolution("done" if same else ENDED[state], bet, terms)
        if final > bet.hold.amount:
            return self._resolution("commit-exceeds-hold", bet, terms)
        self._commit(bet, final, terms)
        return self._resolution("done", bet, terms)

    async def settle_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        bet, state = self._find(caller, hold, terms)
        if bet is None or state in {"denied", "tombstone", "released"}:
            return self._resolution("hold-unknown" if bet is None else ENDED[state], bet, terms)
        late = state == "expired"
        if late and bet.committed_at is not None:
            return self._resolution("hold-expired", bet, terms, late=True)
        if state in {"held", "expired"}:
            self._commit(bet, bet.hold.amount, terms)
            bet.hold = bet.hold._replace(state="expired" if late else "settled", posted_at=self.clock())
        elif state == "committed":
            # What the settings bound may be over already: whichever is said first was true.
            posted = min(bet.hold.posted_at or self.clock(), self.clock())
            bet.hold = bet.hold._replace(state="settled", posted_at=posted)
        return self._resolution("hold-expired" if late else "done", bet, terms, late=late)

    async def release_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        bet, state = self._find(caller, hold, terms)
        if bet is None:
            bet = self.bets[caller, hold] = _Bet(_TOMB._replace(caller=caller, id=hold), "")
        elif state == "held":
            self._end(bet, "released")
        taken = state in {"committed", "settled", "covered"}
        return self._resolution("hold-already-committed" if taken else "done", bet, terms)

    async def find_hold(self, caller: str, hold: str, terms: Terms) -> tuple[Hold | None, datetime]:
        bet, _ = self._find(caller, hold, terms)
        return (None if bet is None else self._told(bet, terms)), self.clock()

    async def wallet(self, account: str, asset: str, terms: Terms, whose: str = "") -> Wallet | None:
        known = self.accounts.get(account)
        if known is None or asset not in known.seen or (whose and known.whose and known.whose != whose):
            return None
        holds = tuple(self._told(bet, terms) for bet in self._open(account, asset))
        names = asset, asset.partition("@")[0]
        binding = [lock for (name, _), lock in known.locks.items() if name in names and self._binds(lock)]
        locks = tuple(sorted(binding, key=lambda one: one.source))
        bound = known.bound_until if self._quarantined(account, asset) else None
        balance, token = self._balance(account, asset, terms), known.seen[asset].token
        debits = tuple(self._debits(account, asset, terms))
        return Wallet(balance, self.clock(), known.version, token, holds, debits, locks, bound)

    async def seen_at(self, account: str) -> tuple[datetime | None, datetime]:
        return self._account(account).read, self.clock()

    async def resolve_asset(self, account: str, asset: str) -> tuple[str, ...]:
        seen = self._account(account).seen
        return (asset,) if asset in seen else tuple(sorted(one for one in seen if one.partition("@")[0] == asset))

    async def lock(self, account: str, asset: str, lock: Lock) -> bool:
        self._account(account).locks[asset, lock.source] = lock
        self._touch(account)
        return True

    async def unlock(self, account: str, asset: str, source: str) -> bool:
        self._touch(account)
        lock = self._account(account).locks.pop((asset, source), None)
        return lock is not None and self._binds(lock)

    async def switch(self) -> Switch:
        return self._switch

    async def close_guard(self, switch: Switch) -> None:
        self._switch = switch

    async def open_guard(self) -> None:
        self._switch = Switch()

    async def bankroll(
        self, account: str, asset: str, close_below: int, open_above: int, whose: str, terms: Terms, max_age: timedelta
    ) -> tuple[Solvency, Balance | None]:
        wallet = await self.wallet(account, asset, terms, whose)
        if wallet is None or wallet.balance.last_seen is None or wallet.balance.as_of is None:
            return "unknown", None
        if wallet.now - wallet.balance.as_of > max_age:
            return "unknown", wallet.balance
        if wallet.balance.last_seen < close_below:
            self._poor.add((account, asset))
        elif wallet.balance.last_seen >= open_above:
            self._poor.discard((account, asset))
        return "low" if (account, asset) in self._poor else "solvent", wallet.balance

    async def tend(self, partition: int, older_than: datetime, terms: Terms) -> Tended:
        """There is one partition, 0; nothing needs tending, since nothing is ever added up in advance."""
        old = [
            (account, asset, debit)
            for account, known in self.accounts.items()
            for asset in known.seen
            for debit in self._debits(account, asset, terms)
            if debit.committed_at < older_than
        ]
        bound = [one.bound_until for one in self.accounts.values() if one.bound_until is not None]
        return Tended(old, Quarantine(max(bound)) if bound else None)

    # What follows from it.

    def _account(self, account: str) -> _Account:
        return self.accounts.setdefault(account, _Account())

    def _touch(self, account: str) -> None:
        self._account(account).version += 1

    def _binds(self, lock: Lock) -> bool:
        return lock.until is None or lock.until > self.clock()

    def _find(self, caller: str, hold: str, terms: Terms) -> tuple[_Bet | None, str]:
        bet = self.bets.get((caller, hold))
        return bet, "" if bet is None else self._told(bet, terms).state

    def _told(self, bet: _Bet, terms: Terms) -> Hold:
        """A hold as it is now: what its deadline, and the last reading of its wallet, have made of it."""
        hold = bet.hold
        if hold.state == "held" and hold.expires_at is not None and self.clock() >= hold.expires_at:
            return hold._replace(state="expired")
        if hold.state in {"committed", "settled"} and self._is_covered(bet, terms):
            return hold._replace(state="covered")
        return hold

    def _is_covered(self, bet: _Bet, terms: Terms) -> bool:
        """A reading that began after the booking, and by more than reads trail writes, contains it. For ever: what a
        later reading has contained, a clock that is set back does not take out again."""
        seen = self._account(bet.hold.account).seen.get(bet.hold.asset)
        posted = bet.hold.posted_at
        return posted is not None and seen is not None and posted + terms.read_lag < seen.fence

    def _open(self, account: str, asset: str) -> list[_Bet]:
        mine = [one for one in self.bets.values() if (one.hold.account, one.hold.asset) == (account, asset)]
        mine = [one for one in mine if one.hold.state == "held" and one.hold.expires_at > self.clock()]
        return sorted(mine, key=lambda one: (one.hold.expires_at, one.hold.caller, one.hold.id))

    def _debits(self, account: str, asset: str, terms: Terms) -> list[Debit]:
        mine = [one for one in self.bets.values() if (one.hold.account, one.hold.asset) == (account, asset)]
        return [
            Debit(one.hold.id, one.hold.caller, one.hold.committed or 0, one.committed_at, one.hold.posted_at)
            for one in mine
            if one.committed_at is not None and not self._is_covered(one, terms)
        ]

    def _commit(self, bet: _Bet, amount: int, terms: Terms) -> None:
        now = self.clock()
        posted = None if terms.posting_delay is None else now + terms.posting_delay
        bet.hold, bet.committed_at = bet.hold._replace(state="committed", committed=amount, posted_at=posted), now
        self._touch(bet.hold.account)

    def _end(self, bet: _Bet, state: State, reason: Reason | None = None) -> None:
        bet.hold = bet.hold._replace(state=state, reason=reason)
        self._touch(bet.hold.account)

    def _balance(self, account: str, asset: str, terms: Terms) -> Balance:
        seen = self._account(account).seen.get(asset)
        held = sum(one.hold.amount for one in self._open(account, asset))
        unsettled = sum(one.amount for one in self._debits(account, asset, terms))
        if seen is None:
            return Balance(asset, None, held, unsettled, 0, None)
        locked = seen.locked if terms.locked == "subtract" else 0
        return Balance(asset, seen.last_seen, held, unsettled, locked, seen.fence, seen.decimals)

    def _quarantined(self, account: str, asset: str) -> bool:
        known = self._account(account)
        seen = known.seen.get(asset)
        until = known.bound_until
        return until is not None and (self.clock() < until or seen is None or seen.fence <= until)

    def _decide(self, ask: Ask, terms: Terms) -> Verdict:
        now, known, names = self.clock(), self._account(ask.account), self._names(ask)
        strange = bool(known.whose and ask.whose) and known.whose != ask.whose
        if len(names) > 1 and not strange:
            return Verdict("ASSET_UNKNOWN", None, None, now, networks=tuple(sorted(names)))
        balance = self._balance(ask.account, names[0], terms)
        if strange:
            known = replace(known, seen={}, read=None)
            balance = Balance(names[0], None, balance.held, balance.unsettled, 0, None)
        found = (ask.early, *self._reasons(ask, terms, balance, known))
        reason = min((one for one in found if one is not None), key=REASONS.index, default="OK")
        return Verdict(reason, balance, None, now)

    def _names(self, ask: Ask) -> list[str]:
        """What the asset may be called in full; the name itself where nothing is known of it."""
        seen = self._account(ask.account).seen
        names = [one for one in seen if ask.asset in (one, one.partition("@")[0])]
        return [ask.asset] if ask.asset in seen or not names else names

    def _reasons(self, ask: Ask, terms: Terms, balance: Balance, known: _Account) -> list[Reason | None]:
        seen = known.seen.get(balance.asset)
        names = {balance.asset, balance.asset.partition("@")[0], ask.asset}
        locked = any(name in names and self._binds(one) for (name, _), one in known.locks.items())
        stale = seen is not None and self.clock() - seen.fence > ask.max_age
        taken = balance.held + balance.unsettled + balance.locked + ask.amount
        many = len(self._open(ask.account, balance.asset)) >= terms.max_holds
        found: dict[Reason, bool] = {
            "ASSET_UNKNOWN": seen is None and known.read is not None and not ask.declared,
            "ACCOUNT_LOCKED": locked or (terms.locked == "deny" and seen is not None and seen.objected),
            "TOO_MANY_HOLDS": many,
            "BALANCE_NEVER_SEEN": seen is None,
            "STATE_QUARANTINED": self._quarantined(ask.account, balance.asset),
            "BALANCE_STALE": stale,
            "INSUFFICIENT_FUNDS": seen is not None and taken > seen.last_seen,
        }
        return [reason for reason, holds in found.items() if holds]

    def _replay(self, ask: Ask, bet: _Bet, terms: Terms) -> Verdict:
        """The same answer to the same question; an allow only while there is something behind it."""
        hold, now = self._told(bet, terms), self.clock()
        if hold.state == "tombstone":
            return Verdict("HOLD_TOMBSTONED", None, hold, now)
        balance = self._balance(hold.account, hold.asset, terms)
        same_wallet = bet.asset == ask.asset or self._names(ask) == [hold.asset]
        same_wallet = same_wallet and (ask.exposed is None or ask.exposed == bet.hold.exposed)
        if (hold.account, hold.amount) != (ask.account, ask.amount) or not same_wallet:
            return Verdict("HOLD_TOMBSTONED", None, hold, now, reused=True)
        if hold.state in {"released", "expired"}:
            return Verdict("HOLD_TOMBSTONED", balance, hold, now, replayed=True)
        bet.replayed = True
        return Verdict(hold.reason or "OK", balance, hold, now, replayed=True)

    def _resolution(self, outcome: Outcome, bet: _Bet | None, terms: Terms, *, late: bool = False) -> Resolution:
        return Resolution(outcome, None if bet is None else self._told(bet, terms), self.clock(), late)
