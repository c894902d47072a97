"""The delivering half of the store: groups are leased, frozen, told and settled."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from monitor.errors import Fault
from monitor.model.group import NEWS_READ_MAX, Group, Message, Told
from monitor.model.ledger import Tried
from monitor.model.window import MICROSECOND, micros, moment
from monitor.store import codec, groupcodec, ledgercodec
from monitor.store.condition import ConditionStore
from monitor.store.keys import ChannelKeys
from monitor.store.moving import FORGET_AFTER, MovingStore, group_keys

log = structlog.get_logger("monitor.store")

#: Other processes may make a group due; a channel without anything due here is looked at this often.
LOOK_US = 250_000
#: What is due within this is worth asking for: our idea of the store's time may be so far behind it, by the
#: way of the answer it was taken from and by the event loop's clock, which only ticks between its rounds.
_BEHIND_US = 2_000
_TIDY_US = 60_000_000
#: A group that cannot be read is looked at again after this.
_UNREADABLE_US = 30_000_000
#: What became of a message is known for so long after its last attempt, or as long as history is kept if that is less.
LOG_KEPT = timedelta(days=7)

#: So many deliveries per so long, over all processes.
Rate = tuple[int, timedelta]


@dataclass(slots=True)
class Outlook:
    """When a channel has something due as far as this process knows, and when it last looked, in µs; and its rate."""

    next_us: int | None = None
    looked_us: int | None = None
    rate: Rate | None = None


class DeliveringStore(ConditionStore, MovingStore):
    """Implements the delivering port."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._outlooks: dict[str, Outlook] = {}
        self._tidied_us = 0
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # the session's own arguments

    def expect_group(self, channel: str, at_us: int) -> None:
        """A group of that channel is due then, or earlier."""
        outlook = self._outlooks.setdefault(channel, Outlook())
        if outlook.next_us is None or at_us < outlook.next_us:
            outlook.next_us = at_us

    def look_again(self, channel: str) -> None:
        """Something of that channel has changed: it is worth asking what is due."""
        self._outlooks.setdefault(channel, Outlook()).looked_us = None

    def groups_due(self, channel: str) -> datetime | None:
        """When the channel next has a group due, as far as this process knows without asking."""
        outlook = self._outlooks.get(channel)
        return None if outlook is None or outlook.next_us is None else moment(outlook.next_us)

    async def sweep(self, limit: int) -> int:
        """Move rows whose committer may have died, strike off those applied; returns how many accounts.

        When there are none, groups long idle are deleted, once a minute: no row for them is on its way.
        """
        swept = await super().sweep(limit)
        now_us = self._estimate_us()
        if not swept and now_us is not None and not 0 <= now_us - self._tidied_us < _TIDY_US:
            self._tidied_us = now_us
            await asyncio.gather(*(self.tidy(channel) for channel in self._outlooks))
        return swept

    async def claim_groups(
        self, channel: str, limit: int, lease: timedelta, rate: Rate | None = None, together: int = 0
    ) -> tuple[Group, ...]:
        """Lease groups that are due, as many as the channel's rate allows; or up to so many to be told `together`.

        Asks the store only when something can be due, or a quarter of a second after it last did.
        """
        outlook = self._outlooks.setdefault(channel, Outlook())
        now_us = self._estimate_us()
        if self.clock_override is None and not _worth_asking(outlook, now_us):
            return ()
        # What is expected while we ask counts on top of the answer, which may be older.
        outlook.next_us = outlook.looked_us = None
        where = ChannelKeys(channel)
        outlook.rate = rate
        units, per = ("", 0) if rate is None else (rate[0], rate[1] // MICROSECOND)
        now, wake, token, merged, *found = await self._calls.fcall(
            "bm_claim_groups",
            [
                *(where.due, where.leased, where.clock, where.rate),
                *(where.critical, where.warning, where.failing, where.alone),
            ],
            self._now,
            limit,
            lease // MICROSECOND,
            units,
            per,
            together,
        )
        if self.clock_override is None:
            self._follow(int(now))
        outlook.looked_us = int(now)
        if wake:
            self.expect_group(channel, int(wake))
        leased = [(found[at].decode(), int(found[at + 1])) for at in range(0, len(found), 2)]
        groups = await asyncio.gather(*(self._read(where, one, int(token), due) for one, due in leased))
        return tuple(replace(group, together=merged == b"1") for group in groups if group is not None)

    async def freeze(self, group: Group, message: Message) -> Group | None:
        """Make `message` what is being told and clear `failed`; None: someone else has the group."""
        where = ChannelKeys(group.channel)
        replaced = group.telling.id if group.telling is not None else message.id
        told = dict.fromkeys(where.about(one.entry.id) for one in message.alerts)
        head = ledgercodec.dump_head(group.id, message) if message.alerts else b""
        reply = await self._on_group(
            "bm_freeze", group, codec.dump(message), message.id, head, self.log_kept, *message.keys,
            more=[where.log(message.id), where.log(replaced), *told],
        )  # fmt: skip
        if not reply:
            return None
        news = tuple(item for item in group.news if item.key not in set(message.keys))
        return replace(
            group,
            version=int(reply[0]),
            telling=message,
            failed=False,
            news=news,
            waiting=group.waiting - len(group.news) + len(news),
        )

    async def settle(
        self, group: Group, told: Mapping[str, Told | None], due_at: datetime | None, tried: Tried | None = None
    ) -> bool:
        """The frozen message arrived: remember what was told (None forgets an alert), the next due time."""
        where, name = ChannelKeys(group.channel), _frozen(group)
        args = (as_us(due_at), name, ledgercodec.dump_attempt("sent", tried), self.log_kept, *flat_told(told))
        more = [where.log(name), where.sent]
        settled = bool(await self._on_group("bm_settle", group, *args, more=more))
        if settled and group.replays and group.telling is not None:
            begun = [part for one in group.telling.alerts for part in (one.entry.fingerprint, one.entry.id)]
            # Apart from it: what a crash in between costs is that a beginning is told again.
            await self._calls.fcall("bm_heard", [where.open(group.replays)], *begun)
        return settled

    async def postpone(self, group: Group, due_at: datetime, tried: Tried, wait: timedelta | None = None) -> bool:
        """The frozen message failed: count an attempt, put its items back among the news (oldest first)."""
        # What was not frozen is on no record.
        attempt = b"" if group.telling is None else ledgercodec.dump_attempt("failed", tried)
        asked = "" if wait is None else wait // MICROSECOND
        args = (as_us(due_at), ledgercodec.said(tried.said), attempt, self.log_kept, asked)
        more = [ChannelKeys(group.channel).log(_frozen(group))]
        return bool(await self._on_group("bm_postpone", group, *args, more=more))

    async def bury(
        self,
        group: Group,
        message: Message,
        tried: Tried,
        told: Mapping[str, Told | None],
        due_at: datetime | None,
        fault: Fault | None = None,
    ) -> bool:
        """The frozen message is dead: keep it in the channel's dead letters, go on as `settle` does."""
        where, attempt = ChannelKeys(group.channel), ledgercodec.dump_attempt("dead", tried)
        letter, why = ledgercodec.dump_letter(group, message, tried.said), ledgercodec.said(tried.said)
        args = (as_us(due_at), message.id, attempt, self.log_kept, letter, why, fault or "", *flat_told(told))
        more = [where.log(message.id), where.dead, where.letters]
        return bool(await self._on_group("bm_bury", group, *args, more=more))

    async def defer(self, group: Group, due_at: datetime | None) -> bool:
        """Nothing to tell yet: come back at `due_at`, or never by itself; at the next flush if rows came."""
        more = [ChannelKeys(group.channel).log(_frozen(group))]
        done = bool(await self._on_group("bm_defer", group, as_us(due_at), group.version, more=more))
        outlook = self._outlooks.get(group.channel)
        if done and not group.together and outlook is not None and outlook.rate is not None:
            # Nothing went out: what is suppressed and looked at again and again must not use up what others need.
            units, per = outlook.rate
            where = ChannelKeys(group.channel)
            await self._calls.fcall("bm_give_back", [where.rate], self._now, 1, units, per // MICROSECOND)
        return done

    async def put_off(self, group: Group, due_at: datetime) -> bool:
        """Nobody can tell it now, and why is a bug: come back then, and keep no other group waiting until then."""
        return bool(await self._on_group("bm_put_off", group, as_us(due_at)))

    async def read_on(self, group: Group) -> Group:
        """The group with more of its news, as many again as were read; the same when there are no more."""
        where, read = ChannelKeys(group.channel), len(group.news)
        keys = await self._calls.command("LRANGE", where.news(group.id), read, 2 * read - 1)
        if not keys:
            return group
        items = await self._calls.command("HMGET", where.items(group.id), *keys)
        try:
            return replace(group, news=(*group.news, *(codec.item(item) for item in items if item)))
        except codec.UNREADABLE as error:
            log.error("group.unreadable", channel=group.channel, group=group.id, why=type(error).__name__)
            return group

    async def keep_hushed(self, group: Group) -> bool:
        """Remember `group.hushed` while the claim is held: what is held back, and why."""
        held = codec.dump(codec.Hushed.of(group.hushed)) if group.hushed else b""
        touched = group_keys(ChannelKeys(group.channel), group.id)
        return bool(await self._calls.fcall("bm_hush", touched, group.id, group.token, held))

    async def rouse(self, channel: str) -> None:
        """Look again at the groups of a channel in which something was suppressed: that may have ended."""
        where = ChannelKeys(channel)
        found = [group.decode() for group in await self._calls.command("HKEYS", where.hushed)]
        calls = (self._calls.fcall("bm_rouse", group_keys(where, one), self._now, one) for one in found)
        for due_us in await asyncio.gather(*calls):
            if due_us:
                self.expect_group(channel, int(due_us))

    @property
    def log_kept(self) -> int:
        """How long the log of a message is kept after its last attempt, in seconds."""
        return max(1, min(LOG_KEPT, self.keep.age) // timedelta(seconds=1))

    async def _on_group(self, function: str, group: Group, *args: str | bytes | int, more: Sequence[str] = ()) -> Any:
        """Call a function that holders of the group's lease may call; then it is worth looking again."""
        where = ChannelKeys(group.channel)
        touched = [*group_keys(where, group.id), *more]
        reply = await self._calls.fcall(function, touched, self._now, group.id, group.token, *args)
        self.look_again(group.channel)
        return reply

    async def _read(self, where: ChannelKeys, group: str, token: int, due_us: int) -> Group | None:
        reply = await self._calls.fcall("bm_read_group", group_keys(where, group), group, token, NEWS_READ_MAX)
        try:
            return groupcodec.group(where.name, group, token, due_us, reply) if reply else None
        except codec.UNREADABLE as error:
            # Damaged, or of a newer release: whoever can read it may have it; the others go on.
            log.error("group.unreadable", channel=where.name, group=group, why=type(error).__name__)
            await self._put_aside(where, group, token, reply)
            return None

    async def _put_aside(self, where: ChannelKeys, group: str, token: int, reply: Any) -> None:
        """A group that cannot be read: what nobody has read for an hour is given up, the rest is looked at again."""
        now_us, touched = micros(await self.time()), group_keys(where, group)
        found = groupcodec.damage(
            codec.flat(reply[0]), codec.flat(reply[1]), reply[2], now_us - FORGET_AFTER // MICROSECOND
        )
        if found:
            log.error("group.given_up", channel=where.name, group=group, told=found.told, news=found.news)
            await self._calls.fcall("bm_discard", touched, self._now, group, token, *found.args)
        await self._calls.fcall("bm_put_off", touched, self._now, group, token, now_us + _UNREADABLE_US)
        self.look_again(where.name)


def _worth_asking(outlook: Outlook, now_us: int | None) -> bool:
    if now_us is None or outlook.looked_us is None or not 0 <= now_us - outlook.looked_us < LOOK_US:
        return True
    return outlook.next_us is not None and outlook.next_us <= now_us + _BEHIND_US


def _frozen(group: Group) -> str:
    """The id of what is being told."""
    return "" if group.telling is None else group.telling.id


def flat_told(told: Mapping[str, Told | None]) -> Iterator[str | bytes]:
    """Pairs of fingerprint and what was told of it, empty where it is forgotten."""
    for fingerprint, one in told.items():
        yield fingerprint
        yield b"" if one is None else codec.dump(one)


def as_us(at: datetime | None) -> str:
    """A due time as the functions take it."""
    return "" if at is None else str(micros(at))
