"""How the guard's functions are called: on its own connections, saying what this process remembers of the wallet."""

from collections.abc import Sequence
from typing import Any

import structlog

from monitor.errors import StoreUnavailable
from monitor.guard.hold import Terms
from monitor.store.batch import fcall
from monitor.store.guardcodec import Argument, doubt_args, index_ms, record_ms
from monitor.store.guardkeys import WalletKeys, index
from monitor.store.keys import Partition
from monitor.store.recollection import Recollection
from monitor.store.session import Session
from monitor.store.wire import Command

log = structlog.get_logger("monitor.guard")

#: Accounts whose keys are at hand, some 700 bytes each; beyond that they are written anew.
KEYS_MAX = 10_000
#: A hold's caller and id.
HoldName = tuple[str, str]


class GuardCalls(Session):
    """What the parts of the guard's store share."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._recollection = Recollection()
        self._keys: dict[str, WalletKeys] = {}
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the session's own arguments

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
        version_at: int = 0,
        sixth: str = "",
    ) -> Any:
        """Call a function on a wallet, with a hold on its record too; its reply has the version at that place, and the
        partition's mark after it."""
        command = self._call(what, where, terms, args, hold=hold, sixth=sixth)
        return await self._heard(where, terms, await self._guard_batch.command(*command), version_at)

    async def _guard_with_index(
        self, index_command: Command, what: str, where: WalletKeys, terms: Terms, args: Sequence[Argument],
        hold: HoldName, version_at: int,
    ) -> tuple[bytes | None, Any]:  # fmt: skip
        """The same, and at once what a command on the hold's index answers."""
        command = self._call(what, where, terms, args, hold=hold)
        known, reply = await self._guard_batch.together(index_command, command)
        return known, await self._heard(where, terms, reply, version_at)

    async def _heard(self, where: WalletKeys, terms: Terms, reply: Any, version_at: int) -> Any:
        """Where holds may have been lost, this process says its own again: the store then knows them as before."""
        version, mark = int(reply[version_at]), int(reply[version_at + 1])
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
        known = self._recollection.of(where.where.number, where.account, self._estimate_us(), terms.hold_ids)
        if hold:
            newest = (where.record(*known.newest),) if known.newest else ()
            touched = (*touched, where.record(*hold), *newest)
        elif sixth:
            touched = (*touched, sixth)
        return fcall(
            f"bm_guard_{what}", touched, self._now, *self.life(), known.version, known.mark,
            *doubt_args(terms), *args,
        )  # fmt: skip

    async def _say_again(self, partition: Partition, mark: int, terms: Terms) -> None:
        """Holds of this process that the store may have lost; where it fails, the next call begins anew."""
        own = self._recollection.own(partition.number)
        log.error("guard.quarantined", partition=partition.number, holds=len(own))
        try:
            for one in own:
                await self._guard_batch.command(
                    "SET", index(one.caller, one.id), f"+{one.account}", "NX", "PX", index_ms(terms)
                )  # fmt: skip
                args: list[Argument] = [f"{one.caller}/{one.id}", one.account, record_ms(terms), one.record]
                name = (one.caller, one.id)
                await self._guard_batch.command(
                    *self._call("assert", self._wallets(one.account), terms, args, hold=name)
                )  # fmt: skip
        except StoreUnavailable:
            self._recollection.forget_mark(partition.number, mark)
