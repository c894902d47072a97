"""Accounts made at run time, shared by all processes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from monitor.model.watch import WATCHES_MAX, Alone, Ended, Ending, Former, Place, Watched, WatchNews
from monitor.model.window import MICROSECOND, moment
from monitor.store import watchkeys
from monitor.store.session import Session

#: Changes told in one call.
CHUNK = 500
_KEYS = (
    watchkeys.WATCHES,
    watchkeys.WATCH_ENDS,
    watchkeys.WATCH_CHANGES,
    watchkeys.WATCHES_OVER,
    watchkeys.WATCHES_FORGET,
    watchkeys.WATCH_CLOCK,
    watchkeys.WATCH_WALLETS,
    watchkeys.WATCH_STANDS,
    watchkeys.WATCH_LAST,
    watchkeys.WATCH_LEFT,
)
#: Nowhere: everything is new.
_START = Place("", 0)


class WatchingStore(Session):
    """Implements the port for watches (`engine.watchports.WatchStore`)."""

    async def watch(
        self,
        account: str,
        provider: str,
        settings: str,
        expires_in: timedelta | None,
        kept: timedelta,
        alone: Alone | None = None,
    ) -> tuple[Watched, bool, str] | Former | Literal["full", "contested"]:
        """Watch an account from now on; see the port."""
        length = "" if expires_in is None else expires_in // MICROSECOND
        wallet, seen, matters, cleared = alone or Alone("", None)
        reply = await self._on_watches(
            "bm_watch", account, provider, settings, length, WATCHES_MAX, kept // MICROSECOND,
            wallet, *(seen or _START), matters // MICROSECOND, cleared,
        )  # fmt: skip
        match reply[0]:
            case b"former":
                return Former(reply[1].decode(), int(reply[2]) * MICROSECOND)
            case b"full":
                return "full"
            case b"contested":
                return "contested"
        expires_at = moment(int(reply[2])) if reply[2] else None
        watched = Watched(account, provider, settings, int(reply[1]), expires_at)
        return watched, reply[0] == b"created", reply[3].decode()

    async def unwatch(self, account: str, reason: Ending, kept: timedelta) -> Ended | None:
        """End a watch now; None when there is none. For so long it is remembered."""
        reply = await self._on_watches("bm_unwatch", account, reason, kept // MICROSECOND)
        return Ended(account, reply[0].decode(), reason, int(reply[1])) if reply else None

    async def yield_watches(self, accounts: Sequence[str], kept: timedelta) -> list[str]:
        """These accounts are configured: no watch of such a name goes on. Those that were watched until now."""
        found: list[str] = []
        for start in range(0, len(accounts), CHUNK):
            part = accounts[start : start + CHUNK]
            reply = await self._on_watches("bm_yield_watches", kept // MICROSECOND, *part)
            found += (name.decode() for name in reply)
        return found

    async def watch_news(self, since: Place | None, kept: timedelta) -> WatchNews:
        """End what has lasted long enough, by the store's own clock, and tell what has changed since then."""
        life, number = since or _START
        reply = await self._on_watches("bm_watch_news", life, number, CHUNK, kept // MICROSECOND)
        first = 7 + 3 * int(reply[6])
        expired = tuple(
            Ended(reply[at].decode(), reply[at + 1].decode(), "watch_expired", int(reply[at + 2]))
            for at in range(7, first, 3)
        )
        found = [_found(reply[at].decode(), reply[at + 1 : at + 5]) for at in range(first, len(reply), 5)]
        return WatchNews(
            now=moment(int(reply[0])),
            place=Place(reply[1].decode(), int(reply[2])),
            live=tuple(one for one in found if isinstance(one, Watched)),
            ended=tuple(one for one in found if isinstance(one, Ended)),
            expired=expired,
            alive=int(reply[3]),
            more=reply[4] == b"1",
            whole=reply[5] == b"1",
        )

    async def find_watch(self, account: str) -> Watched | Ended | None:
        """What is known of an account; None when it was never watched, or that is forgotten."""
        return _found(account, await self._on_watches("bm_find_watch", account))

    async def over_watches(self, limit: int) -> list[Ended]:
        """What is over and need not be remembered any more."""
        reply = await self._on_watches("bm_over_watches", limit)
        found = (_found(reply[at].decode(), [reply[at + 1], b"", b"", reply[at + 2]]) for at in range(0, len(reply), 3))
        return [one for one in found if isinstance(one, Ended)]

    async def forget_watch(self, ended: Ended, wait: timedelta | None = None) -> None:
        """Remember it no more, or only for so long; unless it has begun again meanwhile."""
        await self._on_watches(
            "bm_forget_watch", ended.account, ended.number, "" if wait is None else wait // MICROSECOND
        )

    async def version(self, account: str) -> int:
        """The version of an account's record; 0 when there is none."""
        return int(await self._calls.command("HGET", self.partition(account).record(account), "v") or 0)

    async def erase(self, provider: str, account: str, version: int) -> bool:
        """Remove all that is known of an account whose record has still this version.

        False, and nothing is removed, where it was polled since, has alerts, or owes news of them. Its wallets stay
        until the janitor of the guard forgets them.
        """
        where = self.partition(account)
        named = await self._calls.command("HKEYS", where.closing(account))
        assets = sorted({name.decode().rpartition(" ")[0] for name in named})
        series = [key for asset in assets for key in (where.points(account, asset), where.hourly(account, asset))]
        touched = [
            where.record(account), where.last(provider), where.open, where.outbox(account), where.changed, where.seen,
            where.events(account), where.closing(account), *series,
        ]  # fmt: skip
        return int(await self._calls.fcall("bm_erase", touched, account, version)) == 1

    async def watched(self) -> list[Watched]:
        """All watches there are, for whoever looks once and ends none."""
        stored, ends = await self._gather(
            [("HGETALL", watchkeys.WATCHES), ("ZRANGE", watchkeys.WATCH_ENDS, "0", "-1", "WITHSCORES")]
        )
        until = dict(zip(ends[::2], ends[1::2], strict=True))
        told = zip(stored[::2], stored[1::2], strict=True)
        found = (_found(name.decode(), [b"0", value, until.get(name, b""), b""]) for name, value in told)
        return [one for one in found if isinstance(one, Watched)]

    async def _on_watches(self, function: str, *args: str | int) -> Any:
        return await self._calls.fcall(function, _KEYS, self._now, *args)


def _found(account: str, about: Sequence[bytes]) -> Watched | Ended | None:
    """What the functions say of an account: number, watch, end, how it ended."""
    number, live, ends, over = int(about[0]), about[1].decode(), about[2], about[3].decode()
    if live:
        provider, _, settings = live.partition(" ")
        return Watched(account, provider, settings, number, moment(int(float(ends))) if ends else None)
    if over:
        reason, _, provider = over.partition(" ")
        return Ended(account, provider, cast(Ending, reason), number)
    return None
