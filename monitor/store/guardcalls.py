"""How the guard's functions are called: on its own connections, saying what this process remembers of the wallet."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from monitor.errors import StoreUnavailable
from monitor.guard.hold import Terms
from monitor.store.batch import fcall
from monitor.store.guardcodec import Argument, index_ms, quarantine_us, record_ms, terms_text, version_and_mark
from monitor.store.guardkeys import WalletKeys, index
from monitor.store.keys import Partition
from monitor.store.recollection import Own, Recollection
from monitor.store.session import Session
from monitor.store.wire import Command

log = structlog.get_logger("monitor.guard")

#: Accounts whose keys are at hand, some 700 bytes each; beyond that they are written anew.
KEYS_MAX = 10_000
#: Holds said again at once.
SAID_MAX = 32
#: A hold's caller and id.
HoldName = tuple[str, str]


class GuardCalls(Session):
    """What the parts of the guard's store share."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._recollection = Recollection()
        self._keys: dict[str, WalletKeys] = {}
        self._saying: set[asyncio.Task[None]] = set()
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the session's own arguments

    async def close(self) -> None:
        """Wait for what is on its way, then hang up."""
        if self._saying:
            await asyncio.wait(self._saying)
        await super().close()

    def open_holds(self) -> int:
        """How many holds that this process has made are open, as far as it remembers; see the port."""
        return self._recollection.open(self._estimate_us() or 0)

    def _wallets(self, account: str) -> WalletKeys:
        found = self._keys.get(account)
        if found is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            found = self._keys[account] = WalletKeys(self.partition(account), account)
        return found

    async def _guard(
        self,
        what: str,
        where: WalletKeys,
        terms: Terms,
        args: Sequence[Argument],
        *,
        hold: HoldName | None = None,
        sixth: str = "",
    ) -> Any:
        """Call a function on a wallet, with a hold on its record too."""
        command = self._call(what, where, terms, args, hold=hold, sixth=sixth)
        return await self._heard(where, terms, await self._guard_batch.command(*command))

    async def _guard_with_index(
        self, index_command: Command, what: str, where: WalletKeys, terms: Terms, args: Sequence[Argument],
        hold: HoldName,
    ) -> tuple[bytes | None, Any]:  # fmt: skip
        """The same, and at once what a command on the hold's index answers."""
        command = self._call(what, where, terms, args, hold=hold)
        known, reply = await self._guard_batch.together(index_command, command)
        return known, await self._heard(where, terms, reply)

    async def _heard(self, where: WalletKeys, terms: Terms, reply: Any) -> Any:
        """Where holds may have been lost, this process says its own again: the store then knows them as before."""
        version, mark = version_and_mark(reply if isinstance(reply, bytes) else reply[0])
        if self._recollection.heard(where.where.number, where.account, version, mark):
            await self._say_again(where.where, mark, terms)
        return reply

    def _call(
        self,
        what: str,
        where: WalletKeys,
        terms: Terms,
        args: Sequence[Argument],
        *,
        hold: HoldName | None = None,
        sixth: str = "",
    ) -> Command:
        touched = where.all
        now_us = self._estimate_us()
        known = self._recollection.of(where.where.number, where.account, now_us, terms.hold_ids)
        if hold:
            newest = (where.record(*known.newest),) if known.newest else ()
            touched = (*touched, where.record(*hold), *newest)
        elif sixth:
            touched = (*touched, sixth)
        return fcall(
            f"bm_guard_{what}", touched, self._now, *self.life(), known.version, known.mark,
            self._terms(terms, now_us), *args,
        )  # fmt: skip

    def _terms(self, terms: Terms, now_us: int | None) -> str:
        """What of the settings every function is told."""
        return terms_text(terms, self._quarantine_us(terms, now_us))

    def _quarantine_us(self, terms: Terms, now_us: int | None) -> int:
        return self._recollection.quarantine(quarantine_us(terms), now_us or 0)

    async def _say_again(self, partition: Partition, mark: int, terms: Terms) -> None:
        """Say the holds of this process that the store may have lost. It is done, whatever becomes of the caller."""
        saying = asyncio.get_running_loop().create_task(self._say_own(partition, mark, terms))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)
        await asyncio.shield(saying)

    async def _say_own(self, partition: Partition, mark: int, terms: Terms) -> None:
        """Where it fails, the next call hears of the loss once more."""
        own = self._recollection.own(partition.number, self._estimate_us() or 0)
        log.error("guard.quarantined", partition=partition.number, holds=len(own))
        try:
            for first in range(0, len(own), SAID_MAX):
                await asyncio.gather(*(self._say(one, terms) for one in own[first : first + SAID_MAX]))
        except StoreUnavailable:
            self._recollection.forget_mark(partition.number, mark)

    async def _say(self, own: Own, terms: Terms) -> None:
        """This hold is ours; nothing happens where that is known, or it is over."""
        name = (own.caller, own.id)
        known = ("SET", index(*name), f"+{own.account}", "NX", "PX", index_ms(terms))
        args: list[Argument] = [f"{own.caller}/{own.id}", own.account, record_ms(terms), own.record]
        said = self._call("assert", self._wallets(own.account), terms, args, hold=name)
        await self._guard_batch.together(known, said)
