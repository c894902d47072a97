"""How the guard's functions are called: on its own connections, saying what this process remembers of the wallet."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from monitor.clock import steady_ns
from monitor.errors import StoreUnavailable
from monitor.guard.hold import Terms
from monitor.store.guardcodec import NOW, Argument, index_ms, quarantine_us, record_ms, terms_text, version_and_mark
from monitor.store.guardkeys import WalletKeys, guard, index
from monitor.store.keys import Partition
from monitor.store.line import fcall
from monitor.store.reckoning import Reckoning
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
    """What the parts of the guard's store share.

    `steady_override` replaces the clock of ours that nobody sets, in nanoseconds. Where a test replaces the server's
    alone, the two are not compared.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.steady_override: Callable[[], int] | None = None
        self._reckonings: dict[int, Reckoning] = defaultdict(Reckoning)
        self._doubting = asyncio.Lock()
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

    async def quarantine_partitions(
        self, partitions: Iterable[int], terms: Terms, *, set_forward: bool = False
    ) -> None:
        """Holds may have been lost there, or have ended early: no new ones, until a reading that began once the longest
        of them is over."""
        length, why = self._quarantine_us(terms, self._estimate_us()), "1" if set_forward else ""
        touched = [[guard(self.partitions[one])] for one in partitions]
        await asyncio.gather(
            *(self._guard_calls.fcall("bm_guard_quarantine", keys, self._now, length, why) for keys in touched)
        )

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
        return await self._heard(where, terms, await self._guard_calls.command(*command))

    async def _decided(
        self, what: str, where: WalletKeys, terms: Terms, args: Sequence[Argument],
        hold: HoldName | None = None, index_command: Command | None = None, *, again: bool = False,
    ) -> tuple[bytes | None, bytes]:  # fmt: skip
        """A decision, and at once what a command on the hold's index answers.

        The function is told until when it may decide: later than that the call was long on its way, or the clock was
        set forward. Then nothing was done, and it is asked once more.
        """
        known, reckoning, sent = None, self._reckonings[where.where.number], self._ours()
        latest = reckoning.latest(sent)
        command = self._call(what, where, terms, [*args, latest], hold=hold)
        if index_command is None:
            reply = await self._guard_calls.command(*command)
        else:
            known, reply = await self._guard_calls.together(index_command, command)
        await self._heard(where, terms, reply)
        now = reply[NOW]
        if now > latest:
            if again:
                raise StoreUnavailable("questions reach the store too late to be answered")
            await self._set_forward(where.where, terms, sent, int(now), latest)
            _, reply = await self._decided(what, where, terms, args, hold, again=True)
        elif sent and sent == reckoning.said_at:
            reckoning.heard(sent, int(now))
        return known, reply

    async def _set_forward(self, partition: Partition, terms: Terms, sent: int, now_us: int, latest: bytes) -> bool:
        """Whether an answer that was just heard proves that the clock was set forward: then holds have ended early, and
        debits count as booked before they are. The partition is in quarantine for it."""
        if not sent:
            return False
        heard, number, reckoning = self._ours(), partition.number, self._reckonings[partition.number]
        async with self._doubting:
            if by := reckoning.gained(sent, heard, now_us, latest):
                log.error("guard.clock_set_forward", partition=number, by_seconds=round(by / 1_000_000, 1))
                await self.quarantine_partitions([number], terms, set_forward=True)
                # Only now: else whoever fails here would be the last to know.
                reckoning.begin(sent, now_us)
            else:
                reckoning.heard(sent, now_us)
        return bool(by)

    def _ours(self) -> int:
        """The time by the clock of ours that nobody sets; 0 where it is not compared."""
        if self.clock_override is None:
            return steady_ns()
        return 0 if self.steady_override is None else self.steady_override()

    async def _guard_with_index(
        self, index_command: Command, what: str, where: WalletKeys, terms: Terms, args: Sequence[Argument],
        hold: HoldName,
    ) -> tuple[bytes | None, Any]:  # fmt: skip
        """The same, and at once what a command on the hold's index answers."""
        command = self._call(what, where, terms, args, hold=hold)
        known, reply = await self._guard_calls.together(index_command, command)
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
        await self._guard_calls.together(known, said)
