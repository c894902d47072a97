"""What else there is about wallets: the whole view, locks, and what nobody touches."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from monitor.engine.guardports import Quarantine, Tended
from monitor.guard.hold import Debit, Hold, Lock, Terms, Wallet
from monitor.model.window import micros, moment
from monitor.store import guardcodec, guardkeys
from monitor.store.guardcalls import GuardCalls
from monitor.store.guardcodec import us
from monitor.store.guardkeys import WalletKeys
from monitor.store.keys import Partition

#: Holds and debits that a view shows.
SHOWN_MAX = 100
#: Accounts are looked at in at most so many rounds of a hundred.
_ROUNDS_MAX = 10


class WardingStore(GuardCalls):
    """Implements what of the guard's port is about wallets; not the switch and the bankroll."""

    async def wallet(self, account: str, asset: str, terms: Terms, whose: str = "") -> Wallet | None:
        """Everything about a wallet; see the port."""
        where = self._wallets(account)
        reply = await self._guard("view", where, terms, [asset, SHOWN_MAX, whose])
        head, fed, sums, bound, more, holds, debits, locks = reply
        if not fed:
            return None
        return Wallet(
            guardcodec.balance(asset, fed.decode(), sums.decode(), terms), guardcodec.now_of(head),
            guardcodec.version_and_mark(head)[0], int(fed[16:32]),
            await self._holds(where, asset, holds), tuple(guardcodec.debits(debits)),
            tuple(sorted(guardcodec.locks(locks), key=lambda one: one.source)),
            moment(int(bound)) if bound else None, int(more),
        )  # fmt: skip

    async def _holds(self, where: WalletKeys, asset: str, members: Sequence[bytes]) -> tuple[Hold, ...]:
        """Each with what its record says besides; what has ended meanwhile is left out."""
        names = [guardcodec.name_of(member[45:]) for member in members[::2]]
        records = await asyncio.gather(*(self._guard_calls.command("GET", where.record(*name)) for name in names))
        told = [(name, record.decode()) for name, record in zip(names, records, strict=True) if record]
        held = [guardcodec.hold(*name, "held", record) for name, record in told]
        # What was held before its network was told is of the same money.
        return tuple(one for one in held if one.asset in (asset, asset.partition("@")[0]))

    async def seen_at(self, account: str) -> tuple[datetime | None, datetime]:
        """When the newest request began that told a balance of this account, and the store's time."""
        # Whoever waits for a poll looks often: that shall not hold up a bet.
        reply = await self._calls.fcall("bm_guard_seen", [self._wallets(account).wallets], self._now)
        return moment(int(reply[1])) if reply[1] else None, moment(int(reply[0]))

    async def at_rest(self, account: str, read_lag: timedelta) -> bool:
        """Whether the guard holds nothing of this account, and owes nothing that new readings may not show."""
        where, now = self._wallets(account), micros(await self.time())
        held, owed = await asyncio.gather(
            self._guard_calls.command("ZCOUNT", where.held, f"({now}", "+inf"),
            self._guard_calls.command("ZCOUNT", where.debits, now - us(read_lag), "+inf"),
        )
        return not held and not owed

    async def resolve_asset(self, account: str, asset: str) -> tuple[str, ...]:
        """The full names that an asset without its network may mean for this account; empty when none is known."""
        name = self._wallets(account).wallets
        exact, names = await self._guard_calls.command("HMGET", name, f"f:{asset}", f"b:{asset}")
        return (asset,) if exact else tuple(names.decode().split("\n")) if names else ()

    async def lock(self, account: str, asset: str, lock: Lock) -> bool:
        """Hold to this until its source says otherwise; the last word of a source counts. False: too many lock it."""
        where, until = self._wallets(account), micros(lock.until) if lock.until else 0
        touched = [*where.all, where.left]
        reply = await self._guard_calls.fcall(
            "bm_guard_lock", touched, *self._blindly(), asset, lock.source, max(0, until), account
        )  # fmt: skip
        return bool(reply[-1:] == b"1")

    async def unlock(self, account: str, asset: str, source: str) -> bool:
        """Whether there was such a lock."""
        touched = [*self._wallets(account).all]
        reply = await self._guard_calls.fcall("bm_guard_unlock", touched, *self._blindly(), asset, source)
        return bool(reply[-1:] == b"1")

    async def tend(self, partition: int, older_than: datetime, terms: Terms) -> Tended:
        """Give back what has expired and strike off what is covered in quiet wallets of one partition, and notice that
        it may have lost holds or its clock was set forward, though nobody bets there any more."""
        where, looked, unsettled = self.partitions[partition], set[str](), list[tuple[str, str, Debit]]()
        bound = None
        for _ in range(_ROUNDS_MAX):
            now, bound, due, gone = await self._due(where, terms)
            fresh = [name for name in map(bytes.decode, due) if name not in looked]
            age = max(0, int(now) - micros(older_than))
            for account, debits in zip(fresh, await self._each("tend", fresh, age, terms), strict=True):
                unsettled += [(account, asset, debit) for asset, debit in guardcodec.debits_of_assets(debits[1])]
            left = [name for name in map(bytes.decode, gone) if name not in looked]
            await self._each("leave", left, us(terms.hold_ids), terms)
            looked |= {*fresh, *left}
            if not fresh and not left:
                break
        return Tended(unsettled, bound)

    async def quarantines(self, now: datetime) -> list[Quarantine]:
        """Those of the partitions that refuse new holds, where there ever was a bet."""
        found = await self._gather([("GET", guardkeys.guard(one)) for one in self.partitions])
        return [bound for one in found if one and (bound := guardcodec.quarantine(one)) and bound.until > now]

    async def _due(self, where: Partition, terms: Terms) -> Any:
        touched = [guardkeys.guard(where), guardkeys.tending(where), guardkeys.left(where)]
        remembered, sent = self._recollection.mark(where.number), self._ours()
        latest = self._reckonings[where.number].latest(sent)
        now, mark, until, clock, *found = await self._guard_calls.fcall(
            "bm_guard_due", touched, self._now, *self.life(), "", remembered,
            self._terms(terms, self._estimate_us()), us(terms.hold_ids),
        )  # fmt: skip
        if self._recollection.heard_mark(where.number, int(mark)):
            await self._say_again(where, int(mark), terms)
        if await self._set_forward(where, terms, sent, int(now), latest):
            return await self._due(where, terms)
        return now, Quarantine(moment(int(until)), clock == b"1") if until else None, *found

    async def _each(self, what: str, accounts: Sequence[str], age_us: int, terms: Terms) -> list[Any]:
        """Call a function on each account's wallets."""
        wallets = [self._wallets(account) for account in accounts]
        return await asyncio.gather(
            *(self._guard(what, where, terms, [where.account, age_us], sixth=where.left) for where in wallets)
        )

    def _blindly(self) -> list[str | int]:
        """What a call says that neither decides nor remembers anything: it notices no loss."""
        return [self._now, "", "0", "", 0, ""]
