"""What was sent and what became of it, dead letters and their replay, and what every alert went through."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from monitor.model.group import Hush, Message
from monitor.model.ledger import DELIVERY_STATES, Delivery, DeliveryState, Notification, Place, last_error, rank
from monitor.model.story import Told
from monitor.model.window import moment
from monitor.store import codec, groupcodec, ledgercodec
from monitor.store.condition import ConditionStore
from monitor.store.keys import URGENCIES, ChannelKeys
from monitor.store.moving import group_keys
from monitor.store.wire import Command

log = structlog.get_logger("monitor.store")

#: Groups of a channel that are looked at for what waits.
WAITING_MAX = 1_000
#: Untold news of a group that a delivery names.
NAMED_MAX = 100
#: What a group that replays a dead letter is called: no route makes such a name.
_REPLAY = "replay-"


class LedgerStore(ConditionStore):
    """Implements what the API and the commands ask of deliveries and stories."""

    async def story(self, alert: str) -> tuple[Told, ...]:
        """What an alert went through, oldest first; empty when nothing is known of it (any more)."""
        # Its id does not tell the account.
        found = await self._gather([("LRANGE", where.story(alert), "0", "-1") for where in self.partitions])
        chapters = (_chapter(alert, text) for stored in found for text in stored)
        return tuple(one for one in chapters if one is not None)

    async def notifications_about(self, alert: str, channels: Iterable[str]) -> tuple[Notification, ...]:
        """What told of an alert in these channels, as far as it is still logged, oldest first."""
        known = list(channels)
        found = await self._gather([("ZRANGE", ChannelKeys(name).about(alert), "0", "-1") for name in known])
        named = [(name, one) for name, ids in zip(known, found, strict=True) for one in ledgercodec.names(ids)]
        return tuple(sorted(await self._logs(named), key=lambda one: (one.at, one.channel)))

    async def notification(self, name: str, channels: Iterable[str]) -> Notification | None:
        """The notification of that id, whichever of these channels it is of; None when it is logged no more."""
        return next(iter(await self._logs([(channel, name) for channel in channels])), None)

    async def waits(self, channel: str, group: str, keys: Sequence[str]) -> bool:
        """Whether any of these news is untold yet, in that group of a channel."""
        names = [urgency + key for key in keys for urgency in URGENCIES]
        found = await self._calls.command("HMGET", ChannelKeys(channel).items(group), *names)
        return any(one is not None for one in found)

    async def hushed(self, channel: str, group: str) -> Mapping[str, Hush]:
        """What is suppressed in a group, as `Group.hushed`."""
        stored = await self._calls.command("HGET", ChannelKeys(channel).hushed, group)
        return groupcodec.hushed(channel, group, stored)

    async def count_dead(self, channel: str) -> int:
        """How many dead letters a channel has, at most a thousand."""
        return int(await self._calls.command("ZCARD", ChannelKeys(channel).dead))

    async def find_dead(self, name: str, channels: Iterable[str]) -> str | None:
        """In which of these channels a notification is a dead letter; None when in none."""
        known = list(channels)
        found = await self._gather([("HEXISTS", ChannelKeys(channel).letters, name) for channel in known])
        return next((channel for channel, there in zip(known, found, strict=True) if there), None)

    async def dead_messages(self, channel: str) -> list[str]:
        """The notifications of a channel that are dead letters, oldest first."""
        return ledgercodec.names(await self._calls.command("ZRANGE", ChannelKeys(channel).dead, "0", "-1"))

    async def replay(self, channel: str, name: str) -> bool:
        """A dead letter goes out again as it was, in one atomic move; False when it is none (any more).

        StoreUnavailable like every call; a letter of a newer release stays where it is, which is False too.
        """
        where, group = ChannelKeys(channel), _REPLAY + name
        stored = await self._calls.command("HGET", where.letters, name)
        letter, message = _letter(channel, name, stored)
        if letter is None or message is None:
            return False
        touched = [*group_keys(where, group), where.dead, where.letters, where.log(name)]
        labels = codec.dump(dict(message.labels))
        return bool(
            await self._calls.fcall(
                "bm_replay", touched, self._now, group, name, bytes(letter.message), labels, letter.group
            )
        )

    async def deliveries(
        self, channels: Collection[str], states: Iterable[DeliveryState], after: Place | None, limit: int
    ) -> tuple[list[Delivery], Place | None]:
        """Deliveries of these channels in these states, the worst and newest first, and where to go on."""
        places: list[Place] = []
        for state in states:
            for channel in channels:
                places += await self._places(channel, state)
        left = sorted(place for place in places if after is None or place > after)
        found = [one for place in left[:limit] if (one := await self._delivery(place)) is not None]
        tried = await self._tried_next({one.channel for one in found if one.next_at is not None})
        shown = [
            replace(one, next_at=_later(one.next_at, *tried[one.channel])) if one.next_at else one for one in found
        ]
        return shown, left[limit - 1] if len(left) > limit else None

    async def _tried_next(self, channels: Collection[str]) -> dict[str, tuple[datetime, datetime | None]]:
        """The time of each channel, and until when it is left alone."""
        known = await self.channel_health(channels)
        return {
            name: (one.at, max(filter(None, (one.paused_until, one.next_try_at)), default=None))
            for name, one in known.items()
        }

    async def _places(self, channel: str, state: DeliveryState) -> list[Place]:
        where, place = ChannelKeys(channel), rank(state)
        if state == "sent":
            entries = await self._calls.command("XREVRANGE", where.sent, "+", "-")
            return [Place(place, -1000 * int(at.split(b"-")[0]), channel, one[1].decode()) for at, one in entries]
        if state == "waiting":
            return await self._waiting(where, place)
        key = where.dead if state == "dead" else where.failing
        pairs = await self._calls.command("ZRANGE", key, "0", "-1", "WITHSCORES")
        return [_place(place, channel, pairs[at], pairs[at + 1]) for at in range(0, len(pairs), 2)]

    async def _waiting(self, where: ChannelKeys, place: int) -> list[Place]:
        """Groups with something to tell that has not been tried yet: due some time, or being sent right now."""
        most = ("-inf", "+inf", "WITHSCORES", "LIMIT", "0", str(WAITING_MAX))
        found = await self._gather([("ZRANGEBYSCORE", key, *most) for key in (where.due, where.leased)])
        due = [(pairs[at], pairs[at + 1]) for pairs in found for at in range(0, len(pairs), 2)]
        asked: list[Command] = []
        for group, _ in due:
            name = group.decode()
            asked += [("EXISTS", where.news(name)), ("HEXISTS", where.group(name), "telling")]
            asked.append(("ZSCORE", where.failing, name))
        told = await self._gather(asked)
        return [
            _place(place, where.name, group, at)
            for number, (group, at) in enumerate(due)
            if (told[3 * number] or told[3 * number + 1]) and told[3 * number + 2] is None
        ]

    async def _delivery(self, place: Place) -> Delivery | None:
        match DELIVERY_STATES[place.rank]:
            case "dead":
                return await self.dead_letter(place.channel, place.name)
            case "sent":
                return await self._sent(place)
            case state:
                return await self._owed(place, state)

    async def dead_letter(self, channel: str, name: str) -> Delivery | None:
        """A dead letter of a channel; None when it is none (any more)."""
        where = ChannelKeys(channel)
        stored, at = await self._gather([("HGET", where.letters, name), ("ZSCORE", where.dead, name)])
        letter, message = _letter(channel, name, stored)
        if letter is None or at is None:
            return None
        return Delivery(
            id=name,
            notification_id=name,
            channel=channel,
            state="dead",
            at=moment(int(float(at))),
            attempts=letter.attempts,
            last_error=letter.why,
            type=message.type if message else None,
            alerts=_alerts(message),
            group=letter.group,
        )

    async def _sent(self, place: Place) -> Delivery | None:
        logs = await self._logs([(place.channel, place.name)])
        if not logs:
            return None
        found = logs[0]
        return Delivery(
            id=found.id,
            notification_id=found.id,
            channel=found.channel,
            state="sent",
            at=found.attempts[-1].at if found.attempts else found.at,
            attempts=found.tried,
            last_error=last_error(found.attempts),
            type=found.type,
            alerts=tuple(dict.fromkeys(one.alert for one in found.alerts)),
            group=found.group,
        )

    async def _owed(self, place: Place, state: DeliveryState) -> Delivery | None:
        """What a group is to tell, from its frozen message or else from its news."""
        where, group = ChannelKeys(place.channel), place.name
        [fields, due, keys] = await self._gather(
            [
                ("HMGET", where.group(group), "telling", "attempts", "why"),
                ("ZSCORE", where.due, group),
                ("LRANGE", where.news(group), "0", str(NAMED_MAX - 1)),
            ]
        )
        message = _message(place.channel, group, fields[0])
        alerts = _alerts(message)
        if message is None and keys:
            items = await self._calls.command("HMGET", where.items(group), *keys)
            alerts = tuple(dict.fromkeys(filter(None, (_alert_of(place.channel, group, one) for one in items if one))))
        return Delivery(
            id=message.id if message else group,
            notification_id=message.id if message else None,
            channel=place.channel,
            state=state,
            at=moment(-place.minus_us),
            attempts=int(fields[1] or 0),
            last_error=(fields[2] or b"").decode(),
            type=message.type if message else None,
            alerts=alerts,
            group=group,
            next_at=None if due is None else moment(int(float(due))),
        )

    async def _logs(self, named: Sequence[tuple[str, str]]) -> list[Notification]:
        found = await self._gather([("HGETALL", ChannelKeys(channel).log(name)) for channel, name in named])
        read = (_logged(channel, name, codec.flat(pairs)) for (channel, name), pairs in zip(named, found, strict=True))
        return [one for one in read if one is not None]


def _later(due: datetime, now: datetime, held: datetime | None) -> datetime | None:
    """When it is tried, held back or not; None when that is as soon as somebody comes to it."""
    at = due if held is None else max(due, held)
    return at if at > now else None


def _chapter(alert: str, stored: bytes) -> Told | None:
    try:
        return ledgercodec.told(stored)
    except codec.UNREADABLE as error:
        log.warning("chapter.unreadable", alert=alert, why=type(error).__name__)
        return None


def _alert_of(channel: str, group: str, stored: bytes) -> str | None:
    try:
        return codec.item(stored).entry.id
    except codec.UNREADABLE as error:
        log.warning("item.unreadable", channel=channel, group=group, why=type(error).__name__)
        return None


def _logged(channel: str, name: str, fields: Mapping[str, bytes]) -> Notification | None:
    try:
        return ledgercodec.notification(channel, name, fields)
    except codec.UNREADABLE as error:
        log.warning("log.unreadable", channel=channel, notification=name, why=type(error).__name__)
        return None


def _letter(channel: str, name: str, stored: Any) -> tuple[ledgercodec.Letter | None, Message | None]:
    try:
        letter = ledgercodec.letter(stored) if stored else None
    except codec.UNREADABLE as error:
        log.error("letter.unreadable", channel=channel, notification=name, why=type(error).__name__)
        return None, None
    return letter, _message(channel, name, bytes(letter.message)) if letter else None


def _message(channel: str, name: str, stored: bytes | None) -> Message | None:
    try:
        return codec.message(stored) if stored else None
    except codec.UNREADABLE as error:
        log.error("message.unreadable", channel=channel, of=name, why=type(error).__name__)
        return None


def _alerts(message: Message | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.entry.id for one in message.alerts)) if message else ()


def _place(place: int, channel: str, name: bytes, score: bytes) -> Place:
    return Place(place, -int(float(score)), channel, name.decode())
