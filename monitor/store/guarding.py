"""The guard's decisions: each is one function in the account's partition, and the index of hold ids beside it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from monitor.guard import units
from monitor.guard.hold import Ask, Hold, Resolution, Terms, Verdict
from monitor.guard.reasons import Reason
from monitor.model.window import micros
from monitor.store import guardcodec
from monitor.store.cluster import Cluster
from monitor.store.guardcalls import GuardCalls, HoldName
from monitor.store.guardcodec import Argument, index_ms, record_ms
from monitor.store.guardkeys import WalletKeys, index
from monitor.store.recollection import Own
from monitor.store.wire import Command

#: What the index says of an id that was released before it came; else `+` and its account.
_TOMBSTONE = b"-"


class GuardingStore(GuardCalls):
    """Implements what of the guard's port is about holds."""

    async def check(self, ask: Ask, terms: Terms) -> Verdict:
        """May this be spent? Reserves nothing, remembers nothing."""
        where, args = self._wallets(ask.account), guardcodec.ask_args(ask)
        return guardcodec.verdict(ask, terms, (await self._decided("check", where, terms, args))[1])[0]

    async def hold(self, ask: Ask, terms: Terms) -> Verdict:
        """Check and reserve; see the port.

        Index and wallet are asked at once. Whoever sets the index second obeys the first: then what this call has
        reserved is undone, and where nobody is left to do so it expires, and nobody was told of it.
        """
        where, name = self._wallets(ask.account), (ask.caller, ask.hold)
        mine, args = f"+{ask.account}".encode(), guardcodec.hold_args(ask, terms)
        claim = ("SET", index(*name), mine, "NX", "GET", "PX", index_ms(terms))
        known, reply = await self._decided("hold", where, terms, args, name, claim)
        if known is not None and known != mine:
            return await self._obey(ask, terms, known)
        verdict, record = guardcodec.verdict(ask, terms, reply)
        if verdict.allowed and verdict.hold and not verdict.replayed:
            assert verdict.hold.expires_at is not None, "what is held expires"
            self._recollection.made(
                Own(*name, ask.account, where.where.number, micros(verdict.hold.expires_at), record),
                micros(verdict.now),
            )
        return verdict

    async def _obey(self, ask: Ask, terms: Terms, known: bytes) -> Verdict:
        """Somebody else was first: released it before it came, or holds it for another account."""
        await self._at("forget", ask.account, (ask.caller, ask.hold), terms, record_ms(terms))
        self._recollection.ended(ask.caller, ask.hold)
        found, now = await self.find_hold(ask.caller, ask.hold, terms)
        return Verdict("HOLD_TOMBSTONED", None, found, now, reused=known != _TOMBSTONE)

    async def refuse_hold(self, caller: str, hold: str, decision: str, terms: Terms, reason: Reason) -> None:
        """Undo what may have been reserved, and refuse this id from now on; see the port."""
        await self._bury("refuse", caller, hold, terms, [decision, reason])

    async def commit_hold(self, caller: str, hold: str, amount: int | None, terms: Terms) -> Resolution:
        """The bet stands with this amount (None: all of it); the rest returns at once."""
        final = "" if amount is None else units.padded(amount)
        posted = "" if terms.posting_delay is None else guardcodec.us(terms.posting_delay)
        kept = record_ms(terms, committed=True)
        return await self._book("commit", caller, hold, terms, kept, [final, posted])

    async def settle_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Its debit is booked at the provider, as of now."""
        return await self._book("settle", caller, hold, terms, record_ms(terms), [])

    async def release_hold(self, caller: str, hold: str, terms: Terms) -> Resolution:
        """Roll back. An id that is unknown gets a tombstone."""
        return await self._bury("release", caller, hold, terms)

    async def find_hold(self, caller: str, hold: str, terms: Terms) -> tuple[Hold | None, datetime]:
        """What became of a hold, and the store's time."""
        known = await self._guard_calls.command("GET", index(caller, hold))
        if known is None or known == _TOMBSTONE:
            return (guardcodec.tombstone(caller, hold) if known else None), await self.time()
        found = await self._at("find", known[1:].decode(), (caller, hold), terms, record_ms(terms))
        return found.hold, found.now

    async def _bury(self, what: str, caller: str, hold: str, terms: Terms, more: Sequence[Argument] = ()) -> Resolution:
        """End a hold; an id that nobody knows has a tombstone from now on."""
        args = ("NX", "GET", "PX", index_ms(terms))
        if (ours := self._recollection.mine(caller, hold)) is not None:
            # Should the index have been lost, this hold is known all the same.
            known = ("SET", index(caller, hold), f"+{ours.account}", *args)
            return self._ended(await self._end(known, what, ours, terms, record_ms(terms), more), caller, hold)
        found = await self._guard_calls.command("SET", index(caller, hold), _TOMBSTONE, *args)
        if found is None or found == _TOMBSTONE:
            return Resolution("done", guardcodec.tombstone(caller, hold), await self.time())
        ended = await self._at(what, found[1:].decode(), (caller, hold), terms, record_ms(terms), more)
        return self._ended(ended, caller, hold)

    async def _book(
        self, what: str, caller: str, hold: str, terms: Terms, kept_ms: int, more: Sequence[Argument]
    ) -> Resolution:
        """A bet stands, or is booked: its id is known for as long as that matters."""
        name, kept = index(caller, hold), index_ms(terms, committed=what == "commit")
        if (ours := self._recollection.mine(caller, hold)) is not None:
            known = ("SET", name, f"+{ours.account}", "PX", kept)
            ended = await self._end(known, what, ours, terms, kept_ms, more)
            if ended.hold is None:
                # The store has lost it: that is said in the same call for the first time, or was just now.
                await self._say(ours, terms)
                ended = await self._end(known, what, ours, terms, kept_ms, more)
            return self._ended(ended, caller, hold)
        found = await self._guard_calls.command("GETEX", name, "PX", kept) or await self._searched(caller, hold, kept)
        if found is None:
            return Resolution("hold-unknown", None, await self.time())
        if found == _TOMBSTONE:
            now = await self.time()
            return Resolution("hold-already-released", guardcodec.tombstone(caller, hold), now)
        ended = await self._at(what, found[1:].decode(), (caller, hold), terms, kept_ms, more)
        return self._ended(ended, caller, hold)

    async def _searched(self, caller: str, hold: str, kept_ms: int) -> bytes | None:
        """What the index should say of an id that it does not know: a node of a cluster may have lost the index of a
        bet whose wallet is elsewhere, and safe."""
        if not isinstance(self._guard_calls, Cluster):
            return None
        everywhere = [WalletKeys(one, "").record(caller, hold) for one in self.partitions]
        for record in filter(
            None, await asyncio.gather(*(self._guard_calls.command("GET", key) for key in everywhere))
        ):
            if account := guardcodec.hold(caller, hold, "held", record.decode()).account:
                found = f"+{account}".encode()
                known = await self._guard_calls.command("SET", index(caller, hold), found, "NX", "GET", "PX", kept_ms)
                return known or found
        return None

    async def _end(
        self, known: Command, what: str, own: Own, terms: Terms, kept_ms: int, more: Sequence[Argument]
    ) -> Resolution:
        """The same of a hold that this process has made: its account need not be asked for."""
        where, name = self._wallets(own.account), (own.caller, own.id)
        args = [f"{own.caller}/{own.id}", own.account, kept_ms, *more]
        _, reply = await self._guard_with_index(known, what, where, terms, args, name)
        return guardcodec.resolution(*name, reply)

    def _ended(self, found: Resolution, caller: str, hold: str) -> Resolution:
        if found.hold is None or found.hold.state != "held":
            self._recollection.ended(caller, hold)
        return found

    async def _at(
        self,
        what: str,
        account: str,
        hold: HoldName,
        terms: Terms,
        kept_ms: int,
        more: Sequence[Argument] = (),
    ) -> Resolution:
        args = [f"{hold[0]}/{hold[1]}", account, kept_ms, *more]
        reply = await self._guard(what, self._wallets(account), terms, args, hold=hold)
        return guardcodec.resolution(*hold, reply)
