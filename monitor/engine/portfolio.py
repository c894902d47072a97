"""Sums over accounts, kept up with what changes: made of the records in the store.

The memory of a process is a cache. What is read is newer than the record it is judged with. Besides what is said to
have changed, some members are read in turn, so that whatever went wrong is mended.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from monitor.engine.origin import is_of
from monitor.engine.pricing import reported
from monitor.engine.sums import Cursor, SumStore, stale_at
from monitor.model.members import Members
from monitor.model.price import Quote, Quotes
from monitor.model.record import Account, Record
from monitor.model.snapshot import Snapshot
from monitor.model.sums import Part, Sum
from monitor.rules.aggregate import parts_of, subject_of_account
from monitor.rules.base import RuleBase
from monitor.rules.unseen import Keys, unseen_keys

#: Records read at once: taking them over must not hold up the loop for long.
CHUNK = 100
#: Members read in turn at each refresh: so many, or this share of all.
IN_TURN, IN_TURN_SHARE = 32, 1_000
#: So many of those who hold an asset are asked for its price when the one who told it last does so no more.
ASKED = 8

#: What one account adds to: subject and asset.
Places = tuple[tuple[str, str], ...]
_NOTHING: Keys = frozenset()


@dataclass(slots=True)
class Portfolio:
    """The sums of one rule. `waiting` are the members still to be read, in no order; `stream` as in `stream_of`."""

    rule: RuleBase
    members: Members
    stream: str = ""
    sums: dict[str, dict[str, Sum]] = field(default_factory=dict)
    accounts: Counter[str] = field(default_factory=Counter)
    unknown: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    prices: dict[str, tuple[Quote, str]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    _cursors: Mapping[int, Cursor] = field(default_factory=dict)
    #: Who was said to be stale, in part at least, and when; looked at until that cannot change by itself.
    _stale: dict[str, datetime] = field(default_factory=dict)
    _placed: dict[str, Places] = field(default_factory=dict)
    _open: dict[str, Keys] = field(default_factory=dict)
    #: A hundred thousand members share a few.
    _shared: dict[Places, Places] = field(default_factory=dict)
    _turn: Iterator[str] = field(default_factory=lambda: iter(()))

    async def refresh(self, store: SumStore, now: datetime) -> None:
        """Take over what changed since the last time; the first time, everything. Goes on where it was cut short."""
        news = await store.sum_news(self._cursors)
        self._follow()
        if any(each.whole for each in news.values()):
            self.waiting |= self.members.keys()
        for each in news.values():
            self.waiting.update(name for name in each.changed if name in self.members)
            self._stale.update((name, each.cursor.at) for name in each.stale if name in self.members)
        self._cursors = {number: each.cursor for number, each in news.items()}
        turn = max(IN_TURN, len(self.members) // IN_TURN_SHARE)
        self.waiting.update(self._stale, self._in_turn(turn), self._tellers(now))
        # What is stale by the store's clock is stale.
        now = max(now, *(each.cursor.at for each in news.values()))
        while self.waiting:
            await self._read(store, tuple(islice(self.waiting, CHUNK)), now)
            self._follow()

    def _follow(self) -> None:
        """Forget members that have left; read those that have come."""
        touched = self.members.touched
        while touched:
            name = touched.pop()
            if name in self.members:
                self.waiting.add(name)
            else:
                self._let_go(name)

    def _let_go(self, name: str) -> None:
        """It is no member any more. The price that it told last holds for as long as it would have."""
        self._unplace(name, self._placed.pop(name, ()))
        self._leave_open(name, _NOTHING)
        self._stale.pop(name, None)
        self.waiting.discard(name)

    def _in_turn(self, count: int) -> list[str]:
        """The next members to be read whatever was said of them."""
        found = list(islice(self._turn, count))
        if len(found) < count:
            self._turn = iter(tuple(self.members))
        return [name for name in found if name in self.members]

    async def _read(self, store: SumStore, names: Sequence[str], now: datetime) -> None:
        records = [one for one in await store.load_many(names) if one.account in self.members]
        # Those who are new may never have been stamped. Before they are taken: where this is cut short, they stay new.
        expected = {
            one.account: stale_at(one.snapshot, self.members[one.account].stale_after)
            for one in records
            if one.snapshot is not None and one.account not in self._placed
        }
        if expected:
            await store.expect_readings(expected)
        for record in records:
            if (account := self.members.get(record.account)) is not None:
                self.take(account, record, now)
        self.waiting.difference_update(names)

    def take(self, account: Account, record: Record, now: datetime) -> None:
        """This is what an account has from now on."""
        name, rule = account.name, self.rule
        # What another provider said, or of another wallet, is other money.
        snapshot = record.snapshot if is_of(record, account) else None
        parts = tuple(parts_of(account, snapshot, next(iter(rule.measures()), "total"), now))
        if rule.flow() is None:
            self._put(account, parts)
        else:
            self._placed[name] = ()
        self._leave_open(name, unseen_keys(rule, account, snapshot, parts, now, gap=bool(record.gap)))
        told = self._stale.get(name)
        # One that was read since has been stamped anew; one that is stale as a whole cannot become more so.
        if told and (
            snapshot is None or snapshot.observed_at > told or now - snapshot.observed_at >= account.stale_after
        ):
            del self._stale[name]
        if snapshot is not None and rule.in_usd:
            for asset in snapshot.usd:
                self._price(asset, name, snapshot)

    def quotes(self) -> Quotes:
        """What the members' providers say of prices, as of when they said so."""
        return {asset: quote for asset, (quote, _) in self.prices.items()}

    def _put(self, account: Account, parts: Sequence[Part]) -> None:
        rule, by = self.rule, self.rule.summed_by
        before = self._placed.get(account.name, ())
        parts = tuple(part for part in parts if rule.watches(part.asset))
        places = tuple((subject_of_account(by, account, part.asset), part.asset) for part in parts)
        if places != before:
            self._unplace(account.name, before)
            self.accounts.update({subject for subject, _ in places})
            self._placed[account.name] = self._shared.setdefault(places, places)
        for (subject, asset), part in zip(places, parts, strict=True):
            sums = self.sums.get(subject) or self.sums.setdefault(subject, {})
            (sums.get(asset) or sums.setdefault(asset, Sum.leading())).put(part)

    def _unplace(self, name: str, places: Places) -> None:
        for subject, asset in places:
            self._drop(subject, asset, name)
        for subject in {subject for subject, _ in places}:
            self.accounts[subject] -= 1
            if not self.accounts[subject]:
                del self.accounts[subject]

    def _price(self, asset: str, member: str, snapshot: Snapshot) -> None:
        quote = reported(asset, snapshot)
        if quote and (asset not in self.prices or quote.beats(self.prices[asset][0])):
            self.prices[asset] = quote, member

    def _tellers(self, now: datetime) -> Iterator[str]:
        """Whom to ask for prices: who told them last, and where that was long ago some others who hold the asset."""
        for asset, (quote, member) in self.prices.items():
            teller = self.members.get(member)
            if teller is not None:
                yield member
            if teller is None or now - quote.at > 2 * teller.interval:
                holders = (sums[asset].parts for sums in self.sums.values() if asset in sums)
                # Who is read moves to the end.
                yield from islice(chain.from_iterable(holders), ASKED)

    def _leave_open(self, name: str, keys: Keys) -> None:
        before = self._open.get(name, _NOTHING)
        if keys == before:
            return
        for key in before - keys:
            self.unknown[key].discard(name)
            if not self.unknown[key]:
                del self.unknown[key]
        for key in keys - before:
            self.unknown.setdefault(key, set()).add(name)
        if keys:
            self._open[name] = keys
        else:
            del self._open[name]

    def _drop(self, subject: str, asset: str, name: str) -> None:
        sums = self.sums[subject]
        sums[asset].drop(name)
        if not sums[asset].parts:
            del sums[asset]
        if not sums:
            del self.sums[subject]
