"""Messages of several groups as one: they are frozen, settled or dissolved in one call each."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.digest import Dissolved, Part, Settled
from monitor.model.group import NEWS_READ_MAX, Group, Message
from monitor.model.ledger import Tried
from monitor.model.window import MICROSECOND, micros, moment
from monitor.store import codec, groupcodec, ledgercodec
from monitor.store.delivering import DeliveringStore, as_us, flat_told
from monitor.store.keys import ChannelKeys
from monitor.store.moving import group_keys

log = structlog.get_logger("monitor.store")

#: Of the keys of a group, those that no other group has (store/lua/digest.lua).
_OWN_ALONE = 7
#: What a group is called that is a digest: no route makes such a name.
_DIGEST = "digest-"


class DigestStore(DeliveringStore):
    """Implements what of the delivering port is about digests."""

    async def freeze_digest(self, parts: Sequence[Part], message: Message, lease: timedelta) -> Group | None:
        """Make each part what its group is telling, and `message` what all tell together, in a group of its own that is
        leased; None when somebody else has one of them, and then nothing has changed."""
        where, name, members = ChannelKeys(message.channel), _DIGEST + message.id, [one.group.id for one in parts]
        args: list[str | bytes | int] = [
            self._now, name, lease // MICROSECOND, codec.dump(message), message.id,
            ledgercodec.dump_head(name, message), self.log_kept, codec.dump(dict(message.labels)),
            codec.dump(members), len(parts),
        ]  # fmt: skip
        own, replaced = where.log(message.id), []
        for group, part in parts:
            args += [group.id, group.token, codec.dump(part), len(part.keys), *part.keys]
            replaced.append(where.log(group.telling.id) if group.telling else own)
        about = dict.fromkeys(where.about(one.entry.id) for one in message.alerts)
        keys = [*_keys(where, name, members), own, *replaced, *about]
        reply = await self._calls.fcall("bm_freeze_digest", keys, *args)
        self.look_again(message.channel)
        if not reply:
            return None
        token, version = (int(one) for one in reply)
        return Group(
            channel=message.channel,
            id=name,
            version=version,
            token=token,
            labels=message.labels,
            interval=timedelta(0),
            repeat=timedelta(0),
            due_at=moment(token),
            telling=message,
            members=tuple(members),
        )

    async def members(self, frozen: Group) -> tuple[Group, ...]:
        """The groups that a digest tells of, each with its part as `telling`; without those that nobody can read."""
        where = ChannelKeys(frozen.channel)
        found = await asyncio.gather(*(self._member(where, frozen, group) for group in frozen.members))
        return tuple(one for one in found if one is not None)

    async def settle_digest(self, frozen: Group, settled: Sequence[Settled], tried: Tried) -> bool:
        """The digest arrived: settle its members. Those that could not be read are told again when they can be."""
        where, known, name = ChannelKeys(frozen.channel), {one.group: one for one in settled}, _id(frozen)
        args: list[str | bytes | int] = [name, ledgercodec.dump_attempt("sent", tried), self.log_kept]
        args.append(len(frozen.members))
        for member in frozen.members:
            if one := known.get(member):
                held = b"-" if one.hushed is None else codec.dump(codec.Hushed.of(one.hushed)) if one.hushed else b""
                args += [member, as_us(one.due_at), held, len(one.told), *flat_told(one.told)]
            else:
                args += [member, micros(tried.at + tried.took), "-", "-"]
        return await self._on_digest("bm_settle_digest", frozen, args, [where.log(name), where.sent])

    async def dissolve(self, frozen: Group, dissolved: Sequence[Dissolved], tried: Tried, error: DeliveryError) -> bool:
        """The digest did not arrive: its members have their news again, each as it says."""
        known, now = {one.group: one for one in dissolved}, tried.at + tried.took
        wait = error.wait if isinstance(error, DeliveryDeferred) else None
        args: list[str | bytes | int] = [
            ledgercodec.dump_attempt("failed", tried), self.log_kept, ledgercodec.said(tried.said),
            wait // MICROSECOND if wait else "", error.fault if isinstance(error, DeliveryRejected) else "",
            len(frozen.members),
        ]  # fmt: skip
        for member in frozen.members:
            one = known.get(member) or Dissolved(member, now)
            args += [member, micros(one.due_at), int(one.counted), int(one.alone)]
        return await self._on_digest("bm_dissolve", frozen, args, [ChannelKeys(frozen.channel).log(_id(frozen))])

    async def _member(self, where: ChannelKeys, frozen: Group, group: str) -> Group | None:
        touched = group_keys(where, group)
        reply = await self._calls.fcall("bm_read_member", touched, group, frozen.id, NEWS_READ_MAX)
        try:
            return groupcodec.group(where.name, group, frozen.token, micros(frozen.due_at), reply) if reply else None
        except codec.UNREADABLE as error:
            log.error("group.unreadable", channel=where.name, group=group, why=type(error).__name__)
            return None

    async def _on_digest(
        self, function: str, frozen: Group, args: Sequence[str | bytes | int], more: Sequence[str]
    ) -> bool:
        keys = [*_keys(ChannelKeys(frozen.channel), frozen.id, frozen.members), *more]
        done = bool(await self._calls.fcall(function, keys, self._now, frozen.id, frozen.token, *args))
        self.look_again(frozen.channel)
        return done


def _id(frozen: Group) -> str:
    return "" if frozen.telling is None else frozen.telling.id


def _keys(where: ChannelKeys, name: str, members: Sequence[str]) -> list[str]:
    """The keys of a digest, then those that each member has for itself."""
    return [*group_keys(where, name), *(key for one in members for key in group_keys(where, one)[:_OWN_ALONE])]
