"""The guard's wallets: each call is one function in the account's partition, and the index of hold ids beside it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitor.guard import units
from monitor.guard.hold import Ask, Hold, Resolution, Terms, Verdict
from monitor.guard.reasons import Reason
from monitor.model.window import moment
from monitor.store import guardcodec
from monitor.store.guardcodec import Argument, index_ms, record_ms
from monitor.store.guardkeys import WalletKeys, index
from monitor.store.session import Session

#: What the index says of an id that was released before it came; else `+` and its account.
_TOMBSTONE = b"-"


class GuardingStore(Session):
    """Implements the guard's port but for the switch and the bankroll."""

    async def check(self, ask: Ask, terms: Terms) -> Verdict:
        """May this be spent? Reserves nothing, remembers nothing."""
        where = self._wallets(ask.account)
        return guardcodec.verdict(ask, terms, await self._guard("check", where, terms, guardcodec.ask_args(ask, terms)))

    async def hold(self, ask: Ask, terms: Terms) -> Verdict:
        """Check and reserve; see the port.

        Index and wallet are asked at once. Whoever sets the index second obeys the first: then what this call has
        reserved is undone, and where nobody is left to do so it expires, and nobody was told of it.
        """
        where = self._wallets(ask.account)
        mine = f"+{ask.account}".encode()
        known, reply = await asyncio.gather(
            self._guard_batch.command(
                "SET", index(ask.caller, ask.hold), mine, "NX", "GET", "PX", index_ms(terms)
            ),
            self._guard("hold", where, terms, guardcodec.ask_args(ask, terms), ask.caller, ask.hold),
        )  # fmt: skip
        if known is None or known == mine:
            return guardcodec.verdict(ask, terms, reply)
        return await self._obey(ask, terms, known)

    async def _obey(self, ask: Ask, terms: Terms, known: bytes) -> Verdict:
        """Somebody else was first: released it before it came, or holds it for another account."""
        args = self._about(ask.caller, ask.hold, ask.account, record_ms(terms))
        await self._guard("forget", self._wallets(ask.account), terms, args, ask.caller, ask.hold)
        found, now = await self.find_hold(ask.caller, ask.hold, terms)
        return Verdict("HOLD_TOMBSTONED", None, found, now, reused=known != _TOMBSTONE)

    async def refuse_hold(self, caller: str, hold: str, decision: str, terms: Terms, reason: Reason) -> None:
        """Undo what may have been reserved, and refuse this id from now on; see the port."""
        if (account := await self._bury(caller, hold, terms)) is not None:
            args = self._about(caller, hold, account, record_ms(terms))
            await self._guard("refuse", self._wallets(account), terms, [*args, decision, reason], caller, hold)

    async def commit_hold(self, caller: str, hold: str, amount: int | None, terms: Terms) -> Resolution:
        """The bet stands with this amount (None: all of it); the rest returns at once."""
        final = "" if amount is None else units.padded(amount)
        posted = "" if terms.posting_delay is None else guardcodec.us(terms.posting_delay)
        kept = record_ms(terms, committed=True)
        return await self._resolve("commit", caller, hold, terms, kept, [final, posted])

    async def settle_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Its debit is booked at the provider, as of now."""
        return await self._resolve("settle", caller, hold, terms, record_ms(terms), [])

    async def release_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Roll back. An id that is unknown gets a tombstone."""
        if (account := await self._bury(caller, hold, terms)) is None:
            return Resolution("done", guardcodec.tombstone(caller, hold), await self.time())
        args = self._about(caller, hold, account, record_ms(terms))
        reply = await self._guard("release", self._wallets(account), terms, args, caller, hold)
        return guardcodec.resolution(caller, hold, reply)

    async def find_hold(self, caller: str, hold: str, terms: Terms) -> tuple[Hold | None, datetime]:
        """What became of a hold, and the store's time."""
        known = await self._guard_batch.command("GET", index(caller, hold))
        if known is None or known == _TOMBSTONE:
            return (guardcodec.tombstone(caller, hold) if known else None), await self.time()
        account = known[1:].decode()
        args = self._about(caller, hold, account, record_ms(terms))
        reply = await self._guard("find", self._wallets(account), terms, args, caller, hold)
        found = guardcodec.resolution(caller, hold, reply)
        return found.hold, found.now

    async def seen_at(self, account: str) -> tuple[datetime | None, datetime]:
        """When the newest request began that told a balance of this account, and the store's time."""
        # Whoever waits for a poll looks often: that shall not hold up a bet.
        at, now = await asyncio.gather(self._batch.command("HGET", self._wallets(account).wallets, "at"), self.time())
        return (moment(int(at)) if at else None), now

    async def _bury(self, caller: str, hold: str, terms: Terms) -> str | None:
        """The account that an id is of; None when it has a tombstone, from now on if it was unknown."""
        known = await self._guard_batch.command(
            "SET", index(caller, hold), _TOMBSTONE, "NX", "GET", "PX", index_ms(terms)
        )  # fmt: skip
        return None if known is None or known == _TOMBSTONE else str(known[1:].decode())

    async def _resolve(
        self, what: str, caller: str, hold: str, terms: Terms, kept_ms: int, more: Sequence[Argument]
    ) -> Resolution:
        kept = index_ms(terms, committed=True)
        known = await self._guard_batch.command("GETEX", index(caller, hold), "PX", kept)
        if known is None:
            return Resolution("hold-unknown", None, await self.time())
        if known == _TOMBSTONE:
            return Resolution("hold-already-released", guardcodec.tombstone(caller, hold), await self.time())
        account = known[1:].decode()
        args = [*self._about(caller, hold, account, kept_ms), *more]
        reply = await self._guard(what, self._wallets(account), terms, args, caller, hold)
        return guardcodec.resolution(caller, hold, reply)

    def _wallets(self, account: str) -> WalletKeys:
        return WalletKeys(self.partition(account), account)

    def _about(self, caller: str, hold: str, account: str, kept_ms: int) -> list[Argument]:
        return [f"{caller}/{hold}", account, kept_ms]

    async def _guard(
        self, what: str, where: WalletKeys, terms: Terms, args: Sequence[Argument], caller: str = "", hold: str = ""
    ) -> Any:
        """Call a function on a wallet, with a hold on its record too."""
        touched = where.all()
        if hold:
            touched.append(where.record(caller, hold))
        common: list[Argument] = [
            self._now, *self.life(), "", 0, guardcodec.us(terms.quarantine), guardcodec.us(terms.read_lag)
        ]  # fmt: skip
        return await self._guard_batch.fcall(f"bm_guard_{what}", touched, *common, *args)
