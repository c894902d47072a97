"""The guard's decisions: each is one function in the account's partition, and the index of hold ids beside it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitor.guard import units
from monitor.guard.hold import Ask, Hold, Resolution, Terms, Verdict
from monitor.guard.reasons import Reason
from monitor.model.window import micros
from monitor.store import guardcodec
from monitor.store.guardcalls import GuardCalls
from monitor.store.guardcodec import Argument, index_ms, record_ms
from monitor.store.guardkeys import index
from monitor.store.recollection import Own

#: What the index says of an id that was released before it came; else `+` and its account.
_TOMBSTONE = b"-"
#: Where decisions and resolutions tell the wallet's version.
_IN_VERDICT, _IN_RESOLUTION = 3, 2


class GuardingStore(GuardCalls):
    """Implements what of the guard's port is about holds."""

    async def check(self, ask: Ask, terms: Terms) -> Verdict:
        """May this be spent? Reserves nothing, remembers nothing."""
        where, args = self._wallets(ask.account), guardcodec.ask_args(ask, terms)
        return guardcodec.verdict(ask, terms, await self._guard("check", where, terms, args, version_at=_IN_VERDICT))

    async def hold(self, ask: Ask, terms: Terms) -> Verdict:
        """Check and reserve; see the port.

        Index and wallet are asked at once. Whoever sets the index second obeys the first: then what this call has
        reserved is undone, and where nobody is left to do so it expires, and nobody was told of it.
        """
        where, name = self._wallets(ask.account), (ask.caller, ask.hold)
        mine, args = f"+{ask.account}".encode(), guardcodec.ask_args(ask, terms)
        known, reply = await asyncio.gather(
            self._guard_batch.command("SET", index(*name), mine, "NX", "GET", "PX", index_ms(terms)),
            self._guard("hold", where, terms, args, hold=name, version_at=_IN_VERDICT),
        )
        if known is not None and known != mine:
            return await self._obey(ask, terms, known)
        verdict = guardcodec.verdict(ask, terms, reply)
        if verdict.allowed and verdict.hold and not verdict.replayed:
            assert verdict.hold.expires_at is not None, "what is held expires"
            self._recollection.made(
                Own(*name, ask.account, where.where.number, micros(verdict.hold.expires_at), reply[6]),
                micros(verdict.now),
            )
        return verdict

    async def _obey(self, ask: Ask, terms: Terms, known: bytes) -> Verdict:
        """Somebody else was first: released it before it came, or holds it for another account."""
        await self._at("forget", ask.account, (ask.caller, ask.hold), terms, record_ms(terms))
        found, now = await self.find_hold(ask.caller, ask.hold, terms)
        return Verdict("HOLD_TOMBSTONED", None, found, now, reused=known != _TOMBSTONE)

    async def refuse_hold(self, caller: str, hold: str, decision: str, terms: Terms, reason: Reason) -> None:
        """Undo what may have been reserved, and refuse this id from now on; see the port."""
        if (account := await self._bury(caller, hold, terms)) is not None:
            kept, more = record_ms(terms), [decision, reason]
            self._ended(await self._at("refuse", account, (caller, hold), terms, kept, more), caller, hold)

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
        return self._ended(await self._at("release", account, (caller, hold), terms, record_ms(terms)), caller, hold)

    async def find_hold(self, caller: str, hold: str, terms: Terms) -> tuple[Hold | None, datetime]:
        """What became of a hold, and the store's time."""
        known = await self._guard_batch.command("GET", index(caller, hold))
        if known is None or known == _TOMBSTONE:
            return (guardcodec.tombstone(caller, hold) if known else None), await self.time()
        reply = await self._at("find", known[1:].decode(), (caller, hold), terms, record_ms(terms))
        found = guardcodec.resolution(caller, hold, reply)
        return found.hold, found.now

    async def _bury(self, caller: str, hold: str, terms: Terms) -> str | None:
        """The account that an id is of; None when it has a tombstone, from now on if it was unknown."""
        name = index(caller, hold)
        if (ours := self._recollection.account_of(caller, hold)) is not None:
            # Should the index have been lost, this hold is known all the same.
            await self._guard_batch.command("SET", name, f"+{ours}", "NX", "PX", index_ms(terms))
        known = await self._guard_batch.command("SET", name, _TOMBSTONE, "NX", "GET", "PX", index_ms(terms))
        return None if known is None or known == _TOMBSTONE else str(known[1:].decode())

    async def _resolve(
        self, what: str, caller: str, hold: str, terms: Terms, kept_ms: int, more: Sequence[Argument]
    ) -> Resolution:
        name, kept = index(caller, hold), index_ms(terms, committed=True)
        known = await self._guard_batch.command("GETEX", name, "PX", kept)
        if known is None and (ours := self._recollection.account_of(caller, hold)) is not None:
            known = f"+{ours}".encode()
            known = await self._guard_batch.command("SET", name, known, "NX", "GET", "PX", kept) or known
        if known is None:
            return Resolution("hold-unknown", None, await self.time())
        if known == _TOMBSTONE:
            now = await self.time()
            return Resolution("hold-already-released", guardcodec.tombstone(caller, hold), now)
        reply = await self._at(what, known[1:].decode(), (caller, hold), terms, kept_ms, more)
        return self._ended(reply, caller, hold)

    def _ended(self, reply: Sequence[bytes], caller: str, hold: str) -> Resolution:
        found = guardcodec.resolution(caller, hold, reply)
        if found.hold is None or found.hold.state != "held":
            self._recollection.ended(caller, hold)
        return found

    async def _at(
        self,
        what: str,
        account: str,
        hold: tuple[str, str],
        terms: Terms,
        kept_ms: int,
        more: Sequence[Argument] = (),
    ) -> Any:
        args = [f"{hold[0]}/{hold[1]}", account, kept_ms, *more]
        return await self._guard(what, self._wallets(account), terms, args, hold=hold, version_at=_IN_RESOLUTION)
