"""The polling half of the store: due times, leases and commits (design.md 9.2)."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from monitor.engine.ports import Claim, Claims
from monitor.model.event import Event
from monitor.model.record import Commit, Committed, Point, Record
from monitor.model.window import micros, moment
from monitor.store import codec
from monitor.store.keys import Partition
from monitor.store.session import Session

_MICROSECOND = timedelta(microseconds=1)
#: Rows that their committer has not struck off by then are moved again by anybody (design.md 9.3).
SWEEP_DELAY = timedelta(seconds=5)
#: Other processes may make something due at any time; all partitions are looked at this often.
RESCAN = timedelta(seconds=1)
_RESCAN_US = RESCAN // _MICROSECOND
#: A clock that goes back by more was set.
_STEP_US = 2_000_000
#: Claims go round the partitions at most so often in one call.
ROUNDS_MAX = 4
#: Records kept in memory, about 2 kB each.
CACHE_MAX = 20_000


@dataclass(slots=True)
class Watch:
    """When each partition has something due for one provider, as far as this process knows (microseconds)."""

    next_us: dict[int, int] = field(default_factory=dict)
    scanned_us: int | None = None
    start: int = 0

    def expect(self, partition: int, at_us: int) -> None:
        """Something is due there then, or earlier."""
        known = self.next_us.get(partition)
        if known is None or at_us < known:
            self.next_us[partition] = at_us

    def candidates(self, now_us: int | None, partitions: int) -> list[int]:
        """Partitions worth asking, beginning where the last call did not end."""
        stepped = now_us is not None and self.scanned_us is not None and now_us < self.scanned_us - _STEP_US
        if now_us is None or self.scanned_us is None or stepped or now_us >= self.scanned_us + _RESCAN_US:
            found = list(range(partitions))
        else:
            found = [number for number, at_us in self.next_us.items() if at_us <= now_us]
            found.sort()
        after = [number for number in found if number >= self.start]
        return after + found[: len(found) - len(after)]


class PollingStore(Session):
    """Implements the polling port but for rows, quotas and health."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._watches: dict[str, Watch] = {}
        self._cache: OrderedDict[str, Record] = OrderedDict()
        self._claimed: OrderedDict[str, int] = OrderedDict()
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the session's own arguments

    def _watch(self, provider: str) -> Watch:
        return self._watches.setdefault(provider, Watch())

    async def enrol(self, provider: str, due: Mapping[str, datetime]) -> None:
        """Give accounts a first due time; those that have one, or are leased, keep it."""
        by_partition: dict[Partition, list[str]] = {}
        for account, at in due.items():
            where = self.partition(account)
            by_partition.setdefault(where, []).extend((account, str(micros(at))))
            self._watch(provider).expect(where.number, micros(at))
        await asyncio.gather(
            *(
                self._batch.fcall("bm1_enrol", [where.due(provider), where.leased(provider)], *part)
                for where, args in by_partition.items()
                for part in _chunks(args, 1_000)
            )
        )

    async def dismiss(self, provider: str, accounts: Sequence[str]) -> None:
        """Forget the due times of accounts that are no longer configured; a poll under way is lost."""
        by_partition: dict[Partition, list[str]] = {}
        for account in accounts:
            by_partition.setdefault(self.partition(account), []).append(account)
        await asyncio.gather(
            *(
                self._batch.fcall(
                    "bm1_dismiss", [where.due(provider), where.leased(provider), where.last(provider)], *part
                )
                for where, args in by_partition.items()
                for part in _chunks(args, 1_000)
            )
        )

    async def claim(self, provider: str, limit: int, lease: timedelta) -> Claims:
        """Lease up to `limit` due accounts of a provider; an expired lease is due again.

        Only partitions that can have something due are asked; all of them once a second.
        """
        watch = self._watch(provider)
        now_us = self._estimate_us()
        candidates = watch.candidates(now_us, len(self.partitions))
        if self.clock_override is not None:
            # A test's time may stand still while other processes work.
            candidates = [*range(watch.start, len(self.partitions)), *range(watch.start)]
        whole = len(candidates) == len(self.partitions)
        claims: list[Claim] = []
        for _ in range(ROUNDS_MAX):
            if not candidates or len(claims) >= limit:
                break
            shares = _shares(limit - len(claims), len(candidates))
            answers = await asyncio.gather(
                *(
                    self._claim_in(provider, self.partitions[number], share, lease)
                    for number, share in zip(candidates, shares, strict=True)
                )
            )
            claims += [claim for found, _ in answers for claim in found]
            now_us = max(now for _, now in answers)
            candidates = [number for number in candidates if watch.next_us.get(number, now_us + 1) <= now_us]
        if whole:
            watch.scanned_us = now_us
        watch.start = (watch.start + 1) % len(self.partitions) if not candidates else candidates[0]
        now_us = now_us if now_us is not None else micros(await self.time())
        next_us = min(watch.next_us.values(), default=None)
        return Claims(moment(now_us), tuple(claims), None if next_us is None else moment(next_us))

    async def _claim_in(
        self, provider: str, where: Partition, limit: int, lease: timedelta
    ) -> tuple[list[Claim], int]:
        touched = [where.due(provider), where.leased(provider), where.clock(provider), where.last(provider)]
        reply = await self._batch.fcall("bm1_claim", touched, self._now, limit, lease // _MICROSECOND)
        now_us, token = int(reply[0]), int(reply[2])
        watch = self._watch(provider)
        if self.clock_override is None:
            self._follow(now_us)
        if reply[1]:
            watch.next_us[where.number] = int(reply[1])
        else:
            watch.next_us.pop(where.number, None)
        claims = []
        for at in range(3, len(reply), 3):
            account = reply[at].decode()
            self._claimed[account] = int(reply[at + 2] or 0)
            if len(self._claimed) > CACHE_MAX:
                # Claims that were passed on without loading.
                self._claimed.popitem(last=False)
            claims.append(Claim(account, token, moment(int(reply[at + 1]))))
        return claims, now_us

    async def release(self, provider: str, claims: Sequence[Claim]) -> None:
        """Give unused claims back: due at once."""
        await self._give(provider, [(claim, "at", micros(claim.due_at)) for claim in claims])

    async def postpone_poll(self, provider: str, claim: Claim, wait: timedelta) -> None:
        """Give one claim back, due only after `wait`."""
        await self._give(provider, [(claim, "in", wait // _MICROSECOND)])

    async def _give(self, provider: str, claims: Sequence[tuple[Claim, str, int]]) -> None:
        calls = []
        for claim, how, number in claims:
            where = self.partition(claim.account)
            self._watch(provider).next_us.pop(where.number, None)
            self._watch(provider).scanned_us = None
            calls.append(
                self._batch.fcall(
                    "bm1_release",
                    [where.due(provider), where.leased(provider)],
                    self._now,
                    how,
                    claim.account,
                    claim.token,
                    number,
                )
            )
        await asyncio.gather(*calls)

    async def poll_now(self, provider: str, account: str) -> None:
        """Make an account due now; during its poll, one more follows."""
        where = self.partition(account)
        self._watch(provider).expect(where.number, 0)
        await self._batch.fcall(
            "bm1_poll_now", [where.due(provider), where.leased(provider)], self._now, account
        )

    async def load(self, account: str) -> Record:
        """The account's record; version 0 when there is none.

        After a claim that said the record is still as this process wrote it, from memory.
        """
        claimed = self._claimed.pop(account, None)
        cached = self._cache.get(account)
        if cached is not None and cached.version == claimed:
            return cached
        stored = await self._batch.command("HMGET", self.partition(account).record(account), *codec.FIELDS)
        return codec.record(account, stored)

    async def events(self, account: str, since: datetime) -> tuple[Event, ...]:
        """The stored events recorded since then, oldest first."""
        stream = self.partition(account).events(account)
        found = await self._batch.command("XRANGE", stream, str(max(0, micros(since))), "+")
        return tuple(codec.event(fields[1]) for _, fields in found)

    async def commit(self, provider: str, commit: Commit, claim: Claim, next_at: datetime) -> Committed:
        """Write one poll in one atomic call, if the version is the one read and the claim is still ours."""
        account, where = commit.record.account, self.partition(commit.record.account)
        touched = [
            where.due(provider),
            where.leased(provider),
            where.seq,
            where.record(account),
            where.last(provider),
        ]
        next_us = micros(next_at)
        documents = codec.changed(commit.before, commit.record)
        args: list[str | bytes | int] = [
            self._now, account, commit.before.version, claim.token, next_us, *documents,
        ]  # fmt: skip
        if documents[1] or commit.rows or commit.events or commit.points:
            more_keys, more_args = self._extras(commit, alerts_changed=bool(documents[1]))
            touched += more_keys
            args += more_args
        answer, version = await self._batch.fcall("bm1_commit", touched, *args)
        self._watch(provider).expect(where.number, next_us)
        committed = cast(Committed, answer.decode())
        self._remember(commit.record, committed, int(version))
        return committed

    def _remember(self, record: Record, committed: Committed, version: int) -> None:
        """Keep what was written; drop what somebody else has changed."""
        if committed != "written":
            self._cache.pop(record.account, None)
            return
        # Spelt out: `replace` costs four times as much, here at every poll.
        self._cache[record.account] = Record(
            record.account, version, record.snapshot, record.outage, record.failing_since, record.alerts,
            record.ledgers, record.flows,
        )  # fmt: skip
        self._cache.move_to_end(record.account)
        if len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)

    def _extras(self, commit: Commit, *, alerts_changed: bool) -> tuple[list[str], list[str | bytes | int]]:
        """Keys and arguments of a commit that writes more than a reading."""
        account, where = commit.record.account, self.partition(commit.record.account)
        charts = _charts(commit.points)
        touched = [
            where.outbox(account),
            where.outdue,
            where.events(account),
            where.open,
            where.closing(account),
        ]
        for asset, _ in charts:
            touched += [where.points(account, asset), where.hourly(account, asset)]
        has_alerts = ("1" if commit.record.alerts else "0") if alerts_changed else ""
        keep = self.keep
        args: list[str | bytes | int] = [
            has_alerts, SWEEP_DELAY // _MICROSECOND, keep.age // _MICROSECOND, keep.events, keep.points,
            len(commit.rows), *map(codec.dump, commit.rows),
            len(commit.events), *map(codec.dump, commit.events),
        ]  # fmt: skip
        for (asset, at_us), measures in charts.items():
            args += [asset, at_us, len(measures) // 2, *measures]
        return touched, args


def _charts(points: Sequence[Point]) -> dict[tuple[str, int], list[str]]:
    """Points by asset and time: measure, value, measure, value."""
    charts: dict[tuple[str, int], list[str]] = {}
    for point in points:
        charts.setdefault((point.asset, micros(point.at)), []).extend((point.measure, str(point.value)))
    return charts


def _shares(limit: int, among: int) -> list[int]:
    """A limit shared out evenly: the first get what is left over."""
    each, over = divmod(limit, among)
    return [each + 1 if place < over else each for place in range(among)]


def _chunks(args: list[str], size: int) -> list[list[str]]:
    return [args[at : at + size] for at in range(0, len(args), size)]
