"""Records, and the commits that write them."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from monitor.engine.ports import ALONE, Claim, Summing
from monitor.engine.sums import stamp
from monitor.model.event import Event
from monitor.model.record import Commit, Committed, Point, Record
from monitor.model.window import MICROSECOND, micros
from monitor.store import codec, guardcodec, ledgercodec
from monitor.store.guardkeys import WalletKeys
from monitor.store.hurrying import HurryingStore

#: Rows that their committer has not struck off by then are moved again by anybody.
SWEEP_DELAY = timedelta(seconds=5)
#: Records kept in memory, about 2 kB each.
CACHE_MAX = 20_000


class PollingStore(HurryingStore):
    """Implements the polling port but for rows, quotas and health."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._cache: OrderedDict[str, Record] = OrderedDict()
        super().__init__(*args, **kwargs)

    async def load(self, account: str) -> Record:
        """The account's record; version 0 when there is none.

        After a claim that said the record is still as this process wrote it, from memory.
        """
        claimed = self._claimed.pop(account, None)
        cached = self._cache.get(account)
        if cached is not None and cached.version == claimed:
            return cached
        stored = await self._calls.command("HMGET", self.partition(account).record(account), *codec.FIELDS)
        return codec.record(account, stored)

    async def events(self, account: str, since: datetime) -> tuple[Event, ...]:
        """The stored events recorded since then, oldest first."""
        stream = self.partition(account).events(account)
        found = await self._calls.command("XRANGE", stream, str(max(0, micros(since))), "+")
        return tuple(codec.event(fields[1]) for _, fields in found)

    async def commit(
        self,
        provider: str,
        commit: Commit,
        claim: Claim,
        next_at: datetime,
        summing: Summing = ALONE,
        generation: int = 0,
    ) -> Committed:
        """Write one poll in one atomic call, if the version is the one read and the claim is still ours.

        Not if a configuration of a newer generation has judged the account since. `summing` says whether sums over
        accounts are to hear of it.
        """
        account, where = commit.record.account, self.partition(commit.record.account)
        touched = [
            *(where.due(provider), where.leased(provider), where.seq, where.record(account), where.last(provider)),
            WalletKeys(where, account).wallets,
        ]
        next_us = micros(next_at)
        documents = codec.changed(commit.before, commit.record)
        args: list[str | bytes | int] = [
            self._now, account, commit.before.version, claim.token, next_us, *documents, *_stamps(commit, summing),
            generation, *guardcodec.feed_args(commit.feed, claim.claimed_at, claim.token),
        ]  # fmt: skip
        more = documents[1] or commit.rows or commit.events or commit.points
        if more or summing is not ALONE:
            touched += [where.changed, where.seen]
        if more:
            more_keys, more_args = self._extras(commit, alerts_changed=bool(documents[1]))
            touched += [where.moves, *more_keys]
            args += [summing.moves // MICROSECOND if summing.moves else "", *more_args]
        answer, version = await self._calls.fcall("bm_commit", touched, *args)
        self._watch(provider).expect(where.number, next_us)
        committed = cast(Committed, answer.decode())
        self._remember(commit.record, committed, int(version), generation)
        return committed

    def _remember(self, record: Record, committed: Committed, version: int, generation: int) -> None:
        """Keep what was written; drop what somebody else has changed."""
        if committed != "written":
            self._cache.pop(record.account, None)
            return
        # Spelt out: `replace` costs four times as much, here at every poll.
        self._cache[record.account] = Record(
            record.account, version, record.snapshot, record.outage, record.failing_since, record.alerts,
            record.ledgers, record.flows, record.extremes, record.lately, record.coverage,
            record.provider, record.began_at, record.doubts, record.valued, record.reported,
            record.budgets, generation, record.residuals, record.transfers, record.gap, record.wallet,
            record.judged,
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
            has_alerts, SWEEP_DELAY // MICROSECOND, keep.age // MICROSECOND, keep.events, keep.points,
            len(commit.rows), *map(codec.dump, commit.rows),
            len(commit.events), *map(codec.dump_event, commit.events),
        ]  # fmt: skip
        stories, told = ledgercodec.stories(where, commit, keep.age)
        args += [len(stories), *told]
        for (asset, at), measures in charts.items():
            args += [asset, micros(at), len(measures) // 2, *measures]
        return [*touched, *stories], args


def _stamps(commit: Commit, summing: Summing) -> tuple[int | str, str]:
    """When a reading is stale for those who sum it up, and whether it is another one; ('', '0') for anything else."""
    told = stamp(commit, summing.stale_after)
    return ("", "0") if told is None else (micros(told.stale_at), "1" if told.changed else "0")


def _charts(points: Sequence[Point]) -> dict[tuple[str, datetime], list[str]]:
    """Points by asset and time: measure, value, measure, value."""
    charts: dict[tuple[str, datetime], list[str]] = {}
    for asset, measure, value, at in points:
        charts.setdefault((asset, at), []).extend((measure, str(value)))
    return charts
