"""Due times and leases of polls."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.engine.ports import Claim, Claims
from monitor.errors import StoreUnavailable
from monitor.model.standing import SOLE, Held, Standing
from monitor.model.window import MICROSECOND, micros, moment
from monitor.store.duewatch import Watch
from monitor.store.guardkeys import left
from monitor.store.keys import NEWEST, PROVIDERS, RUNNING, Partition
from monitor.store.session import Session

#: As many accounts are asked of one partition at first, where several have something due. Asking a partition costs
#: about as much as a commit: with 4 instead, a poll takes 5 µs more of our CPU.
TOGETHER = 8
#: A process that has not said for so long what it runs does not run.
SILENT_AFTER = timedelta(seconds=15)
#: Claims go round the partitions at most so often in one call.
ROUNDS_MAX = 4
#: Claimed accounts whose versions are remembered until they are loaded.
CLAIMED_MAX = 20_000


class ClaimingStore(Session):
    """Implements the due times and claims of the polling port."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._watches: dict[str, Watch] = {}
        self._claimed: OrderedDict[str, int] = OrderedDict()
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the session's own arguments

    def _watch(self, provider: str) -> Watch:
        return self._watches.setdefault(provider, Watch())

    async def enrol(
        self, provider: str, due: Mapping[str, datetime], latest: Mapping[str, datetime] | None = None
    ) -> None:
        """Give accounts a first due time; those that have one, or are leased, keep it.

        One that is due only after its `latest` is due then: its interval has become shorter.
        """
        latest = latest or {}
        await self._calls.command("SADD", PROVIDERS, provider)
        by_partition: dict[Partition, list[str]] = {}
        for account, at in due.items():
            by_partition.setdefault(self.partition(account), []).extend(
                (account, str(micros(at)), str(micros(latest[account])) if account in latest else "")
            )
        await asyncio.gather(
            *(
                self._calls.fcall("bm_enrol", [where.due(provider), where.leased(provider)], *part)
                for where, args in by_partition.items()
                for part in _chunks(args, 1_500)
            )
        )
        for where in by_partition:
            self._watch(provider).expect(where.number, 0)

    async def enter(self, process: str, digest: str, generation: int = 0, met: int = 0) -> Held:
        """Say that a process runs this configuration, as generation 0 when it does since just now."""
        patience = SILENT_AFTER // MICROSECOND
        reply = await self._calls.fcall(
            "bm_enter", [NEWEST, RUNNING], self._now, process, digest, generation, met, patience
        )
        return Held(int(reply[0]), *(said == b"1" for said in reply[1:]))

    async def leave(self, process: str) -> None:
        """This process runs its configuration no longer."""
        await self._calls.command("HDEL", RUNNING, process)

    async def providers(self) -> set[str]:
        """The providers that have accounts in this store."""
        return {name.decode() for name in await self._calls.command("SMEMBERS", PROVIDERS)}

    async def forget_provider(self, provider: str) -> None:
        """It has no accounts any more."""
        await self._calls.command("SREM", PROVIDERS, provider)

    async def enrolled(self, provider: str) -> list[str]:
        """The accounts of a provider that are due some time or being polled."""
        sets = [key for where in self.partitions for key in (where.due(provider), where.leased(provider))]
        found = await self._gather([("ZRANGE", key, "0", "-1") for key in sets])
        return [name.decode() for names in found for name in names]

    async def dismiss(self, provider: str, accounts: Sequence[str], *, moved: bool = False) -> None:
        """Forget the due times of accounts that are no longer configured; a poll under way is lost.

        Sums forget them too, and later the guard, unless they have `moved` to another provider.
        """
        by_partition: dict[Partition, list[str]] = {}
        for account in accounts:
            by_partition.setdefault(self.partition(account), []).append(account)
        await asyncio.gather(
            *(
                self._calls.fcall(
                    "bm_dismiss",
                    [
                        *(where.due(provider), where.leased(provider), where.last(provider), where.ahead(provider)),
                        *(() if moved else (where.changed, where.seen, left(where))),
                    ],
                    self._now,
                    *part,
                )
                for where, args in by_partition.items()
                for part in _chunks(args, 1_000)
            )
        )

    async def claim(
        self, provider: str, limit: int, lease: timedelta, standing: Standing = SOLE, ahead: int | None = None
    ) -> Claims:
        """See the polling port; those first in line come before any other up to `ahead`, the rest after all others.

        Only partitions that can have something due are asked; all of them once a second.
        """
        watch = self._watch(provider)
        claims = await self._claim_ahead(provider, limit if ahead is None else min(limit, ahead), lease, standing)
        now_us = self._estimate_us()
        # A test's time may stand still while other processes work.
        if now_us is None or self.clock_override is not None or watch.rescans(now_us):
            whole, candidates = True, self._around(watch.start)
        else:
            whole, candidates = False, watch.candidates(now_us)
        for turn in range(ROUNDS_MAX):
            room = limit - len(claims)
            if not candidates or room <= 0:
                break
            asked = candidates if whole and turn == 0 else candidates[: _few(room, turn)]
            try:
                found, now_us = await self._claim_among(provider, _shares(room, asked), lease, standing)
            except StoreUnavailable:
                if not claims:
                    raise
                break
            claims += found
            # The next call begins with whom there was no room for, or a backlog would starve the others.
            watch.start = candidates[min(room, len(asked)) % len(candidates)]
            candidates = [one for one in candidates if watch.next_us.get(one, now_us + 1) <= now_us]
            if whole and turn == 0:
                watch.scanned_us = now_us
        if watch.ahead and len(claims) < limit:
            # Room that nobody else wants.
            claims += await self._claim_ahead(provider, limit - len(claims), lease, standing)
        now_us = now_us if now_us is not None else micros(await self.time())
        next_us = min(watch.next_us.values(), default=None)
        return Claims(moment(now_us), tuple(claims), None if next_us is None else moment(next_us), bool(watch.ahead))

    async def _claim_ahead(self, provider: str, limit: int, lease: timedelta, standing: Standing) -> list[Claim]:
        """Lease those first in line, as far as this process has heard of them."""
        claims, watch = list[Claim](), self._watch(provider)
        for _ in range(ROUNDS_MAX):
            asked = list(watch.ahead)[: limit - len(claims)]
            if not asked:
                break
            shares = _shares(limit - len(claims), asked)
            found, _now = await self._claim_among(provider, shares, lease, standing, only_ahead=True)
            claims += found
            if not found:
                break
        return claims

    async def _claim_among(
        self,
        provider: str,
        shares: Sequence[tuple[int, int]],
        lease: timedelta,
        standing: Standing,
        *,
        only_ahead: bool = False,
    ) -> tuple[list[Claim], int]:
        how = lease // MICROSECOND, standing.name, "1" if only_ahead else "", standing.patience // MICROSECOND
        told = await asyncio.gather(
            *(self._claim_in(provider, self.partitions[one], share, *how) for one, share in shares),
            return_exceptions=True,
        )
        answers = [one for one in told if not isinstance(one, BaseException)]
        # A node of a cluster that is away takes no leases of the others with it. They look again in a second.
        failed = [one for one in told if isinstance(one, BaseException)]
        if not answers or not all(isinstance(one, StoreUnavailable) for one in failed):
            raise failed[0]
        return [claim for found, _ in answers for claim in found], max(now for _, now in answers)

    def _around(self, start: int) -> list[int]:
        """Every partition, beginning with this one."""
        return [*range(start, len(self.partitions)), *range(start)]

    async def _claim_in(self, provider: str, where: Partition, limit: int, *how: str | int) -> tuple[list[Claim], int]:
        watch = self._watch(provider)
        # What is expected there from now on may come after the server has looked.
        watch.next_us.pop(where.number, None)
        watch.ahead.pop(where.number, None)
        touched = [where.due(provider), where.leased(provider), where.clock(provider), where.last(provider)]
        touched += [where.passed(provider), where.ahead(provider)]
        reply = await self._calls.fcall("bm_claim", touched, self._now, limit, *how)
        now_us, token = int(reply[0]), int(reply[2])
        if self.clock_override is None:
            self._follow(now_us)
        if reply[1]:
            watch.expect(where.number, int(reply[1]))
        if int(reply[3]):
            watch.ahead[where.number] = None
        claims = []
        for at in range(4, len(reply), 4):
            account = reply[at].decode()
            self._claimed[account] = int(reply[at + 2] or 0)
            if len(self._claimed) > CLAIMED_MAX:
                # Claims that were passed on without loading.
                self._claimed.popitem(last=False)
            claims.append(Claim(account, token, moment(int(reply[at + 1])), moment(now_us), ahead=bool(reply[at + 3])))
        return claims, now_us

    async def take_one(self, provider: str, account: str, lease: timedelta) -> Claim | None:
        """Lease one account, due or not; None while somebody is at it, or when it is due never."""
        where = self.partition(account)
        touched = [where.due(provider), where.leased(provider), where.clock(provider), where.last(provider)]
        reply = await self._calls.fcall("bm_take_one", touched, self._now, account, lease // MICROSECOND)
        if not reply:
            return None
        self._claimed[account] = int(reply[2] or 0)
        return Claim(account, int(reply[0]), moment(int(reply[1])), moment(int(reply[3])))

    async def release(self, provider: str, claims: Sequence[Claim]) -> None:
        """Give unused claims back: due at once."""
        await asyncio.gather(
            *(
                self._calls.fcall(
                    "bm_release",
                    [where.due(provider), where.leased(provider), where.ahead(provider)],
                    self._now,
                    claim.account,
                    claim.token,
                    micros(claim.due_at),
                    "1" if claim.ahead else "",
                )
                for claim in claims
                for where in (self.partition(claim.account),)
            )
        )
        watch = self._watch(provider)
        for claim in claims:
            number = self.partition(claim.account).number
            watch.hurry(number) if claim.ahead else watch.expect(number, 0)

    async def pass_on(self, provider: str, claim: Claim, wait: timedelta, configuration: str) -> None:
        """Give a claim back, due at once for those that run another configuration, and for this one after `wait`."""
        where = self.partition(claim.account)
        await self._calls.fcall(
            "bm_pass_on",
            [where.due(provider), where.leased(provider), where.passed(provider), where.ahead(provider)],
            self._now,
            claim.account,
            claim.token,
            micros(claim.due_at),
            configuration,
            wait // MICROSECOND,
            "1" if claim.ahead else "",
        )
        self._watch(provider).expect(where.number, 0)

    async def poll_now(self, provider: str, account: str) -> None:
        """Make an account due now; during its poll, one more follows."""
        where = self.partition(account)
        await self._calls.fcall("bm_poll_now", [where.due(provider), where.leased(provider)], self._now, account)
        self._watch(provider).expect(where.number, 0)


def _few(room: int, turn: int) -> int:
    """How many partitions to ask that have something due: first a few for several each, then for one each."""
    return max(1, room // TOGETHER) if turn == 0 else room


def _shares(limit: int, among: Sequence[int]) -> list[tuple[int, int]]:
    """A limit shared out evenly among partitions: the first get what is left over."""
    each, over = divmod(limit, len(among))
    return [(one, each + 1 if place < over else each) for place, one in enumerate(among)]


def _chunks(args: list[str], size: int) -> list[list[str]]:
    return [args[at : at + size] for at in range(0, len(args), size)]
