"""Digests: where far more groups are due than a channel takes, several go out as one message.

    claim together ─▶ flush each ─▶ choose ─▶ freeze all as one ─▶ send ─▶ settle all | dissolve

A crash anywhere needs no recovery: what was frozen goes out again as it is when its lease ends, and its members, which
are told nothing else meanwhile, are settled from what is stored. One that fails is dissolved: its members owe what they
owed, and tell it as it stands by then.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from monitor.engine.deliver import LEASE, Destination, as_of_now, attempt, attended_group, bulkhead, tell, tell_safely
from monitor.engine.deliverports import DeliveryStore
from monitor.engine.flush import after_settle, flush
from monitor.engine.ladder import next_attempt
from monitor.engine.ports import Clock
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.alert import SEVERITIES
from monitor.model.digest import Dissolved, Part, Settled
from monitor.model.event import digest
from monitor.model.group import MESSAGE_MAX, Group, Hush, Message, MessageType, Told
from monitor.model.ledger import SAID_MAX, Tried

log = structlog.get_logger("monitor.deliver")

#: At equal severity what is wrong comes first, what is over next, what was said before last.
_ORDER: tuple[MessageType, ...] = (
    "alert.firing", "alert.updated", "alert.event", "alert.resolved", "alert.reminder",
)  # fmt: skip
_CALM: frozenset[MessageType] = frozenset({"alert.resolved", "alert.reminder"})


class DigestStore(DeliveryStore, Protocol):
    """The delivering half of the store, with messages of several groups."""

    async def freeze_digest(self, parts: Sequence[Part], message: Message, lease: timedelta) -> Group | None:
        """Make each part what its group is telling, and `message` what all of them tell together: a group of its own,
        leased for so long. None when somebody else has one of them, and then nothing has changed.

        Until that one is settled or dissolved they are not due, whatever news come. After a crash it is
        claimed as it is.
        """
        ...

    async def members(self, frozen: Group) -> tuple[Group, ...]:
        """The groups that a digest tells of, each with its part as `telling`; without those that cannot be read."""
        ...

    async def settle_digest(self, frozen: Group, settled: Sequence[Settled], tried: Tried) -> bool:
        """A digest arrived: settle all its members in one call."""
        ...

    async def dissolve(self, frozen: Group, dissolved: Sequence[Dissolved], tried: Tried, error: DeliveryError) -> bool:
        """A digest did not: all its members have their news again, in one call."""
        ...


def deliveries(
    store: DigestStore, destination: Destination, groups: Sequence[Group], clock: Clock
) -> list[Coroutine[None, None, None]]:
    """What to do about groups claimed in one call: whatever goes wrong in one stays with it."""
    if groups and groups[0].together:
        return [bulkhead(tell_together(store, destination, groups, clock), store, groups, clock)]
    return [
        bulkhead(send_digest(store, destination, one, clock), store, (one,), clock)
        if one.members
        else tell_safely(store, destination, one, clock)
        for one in groups
    ]


async def tell_together(store: DigestStore, destination: Destination, groups: Sequence[Group], clock: Clock) -> None:
    """Groups claimed together: as one message those of which the most urgent is to be said, the others later."""
    found: list[Part | tuple[Group, datetime | None]] = []

    async def look(group: Group) -> None:
        found.append(await _said(store, destination, group, clock()))

    # One that breaks whoever looks at it must not keep the others from being told.
    await asyncio.gather(*(bulkhead(look(group), store, (group,), clock) for group in groups))
    parts = [one for one in found if isinstance(one, Part)]
    chosen = choose([one for one in parts if one.message.alerts])
    going = {one.group.id for one in chosen}
    # What only strikes off news goes by nobody's rate.
    silent = [one for one in parts if not one.message.alerts]
    await asyncio.gather(
        *(
            store.put_off(one.group, one.group.due_at)
            for one in parts
            if one.message.alerts and one.group.id not in going
        ),
        *(tell(store, destination, one.group, clock) for one in silent),
        *_put_off([one for one in found if not isinstance(one, Part)], store, spare=not chosen),
    )
    if len(chosen) == 1:
        await tell(store, destination, chosen[0].group, clock)
    elif chosen:
        await _tell_as_one(store, destination, chosen, clock)


def _put_off(
    found: Sequence[tuple[Group, datetime | None]], store: DigestStore, *, spare: bool
) -> Iterable[Coroutine[None, None, bool]]:
    """Groups that have nothing to say before a time. `spare`: nobody uses what was taken from the channel's rate."""
    for place, (group, due_at) in enumerate(found):
        yield store.defer(replace(group, together=not (spare and place == 0)), due_at)


async def _said(
    store: DigestStore, destination: Destination, group: Group, now: datetime
) -> Part | tuple[Group, datetime | None]:
    group = await attended_group(store, destination.suppress, group, now)
    message = flush(group, now, send_resolved=destination.send_resolved)
    return Part(group, message) if isinstance(message, Message) else (group, message)


async def _tell_as_one(store: DigestStore, destination: Destination, parts: Sequence[Part], clock: Clock) -> None:
    worded = (as_of_now(one.message, destination.afresh, one.group) for one in parts)
    parts = [one._replace(message=message) for one, message in zip(parts, await asyncio.gather(*worded), strict=True)]
    frozen = await store.freeze_digest(parts, whole(parts, clock()), LEASE)
    if frozen is not None:
        await send_digest(store, destination, frozen, clock)
        return
    log.info("delivery.lost_claim", channel=destination.name, group=parts[0].group.id)
    for one in parts:
        await store.put_off(one.group, one.group.due_at)


async def send_digest(store: DigestStore, destination: Destination, frozen: Group, clock: Clock) -> None:
    """A digest that is leased and frozen: send it as it is, and settle its members, or give them back their news."""
    started = clock()
    try:
        if frozen.telling is None:
            raise DeliveryDeferred("nobody could read it any more")
        receipt = await attempt(destination, frozen.telling, clock)
    except DeliveryError as error:
        await _failed(store, frozen, error, Tried(started, clock() - started, str(error)))
        return
    now = clock()
    settled = [arrived(one, now, receipt.ref) for one in await store.members(frozen)]
    await store.settle_digest(frozen, settled, Tried(started, now - started, receipt.answer))


async def _failed(store: DigestStore, frozen: Group, error: DeliveryError, tried: Tried) -> None:
    now = tried.at + tried.took
    members = [dissolved(one, error, now, frozen.id) for one in await store.members(frozen)]
    await store.dissolve(frozen, members, tried, error)
    note = log.bind(channel=frozen.channel, digest=frozen.id, groups=len(frozen.members))
    note.warning("delivery.dissolved", why=tried.said[:SAID_MAX])


def choose(parts: Sequence[Part]) -> list[Part]:
    """Which of these go out as one message: those of the most urgent type, the worst first, as many as fit whole.

    No alert is in there twice: one that two groups tell of is told by the other in the next.
    """
    if not parts:
        return []
    kind = min(parts, key=_urgency).message.type
    chosen: list[Part] = []
    left, about = MESSAGE_MAX, set[str]()
    for one in sorted((one for one in parts if one.message.type == kind), key=_worst):
        told = {numbered.entry.id for numbered in one.message.alerts}
        if len(one.message.alerts) <= left and not told & about:
            chosen.append(one)
            left -= len(one.message.alerts)
            about |= told
    return chosen


def whole(parts: Sequence[Part], now: datetime) -> Message:
    """The parts as one message. Its labels are those that all of them share."""
    first = parts[0]
    shared = set.intersection(*(set(one.message.labels.items()) for one in parts))
    members = sorted(f"{one.group.id} {one.group.version}" for one in parts)
    return Message(
        id=f"ntf_{digest('together', first.message.channel, *members)}",
        type=first.message.type,
        at=now,
        channel=first.message.channel,
        labels={name: value for name, value in first.message.labels.items() if (name, value) in shared},
        alerts=tuple(numbered for one in parts for numbered in one.message.alerts),
        truncated=sum(one.message.truncated for one in parts),
    )


def arrived(member: Group, now: datetime, ref: str) -> Settled:
    """What becomes of a member once the digest has arrived, which is called `ref` there."""
    assert member.telling is not None, "a member has its part frozen"
    told, due_at = after_settle(member, member.telling, now, ref)
    return Settled(member.id, told, due_at, _hushed(member, told))


def dissolved(member: Group, error: DeliveryError, now: datetime, seed: str) -> Dissolved:
    """What becomes of a member once the digest has failed."""
    if isinstance(error, DeliveryRejected):
        # It says nothing of the parts: whichever is at fault is refused again, by itself.
        return Dissolved(member.id, now, counted=False, alone=error.fault == "message")
    due_at = next_attempt(member, error, now, seed)
    # Its last try is its own, and what that says of it is kept. And where others fail again and again, without being
    # too many for the destination, it may be for one of them.
    throttled = isinstance(error, DeliveryDeferred) and bool(error.wait)
    return Dissolved(member.id, due_at or now, alone=due_at is None or (member.attempts > 0 and not throttled))


def _hushed(member: Group, told: Mapping[str, Told | None]) -> Mapping[str, Hush] | None:
    """What was held back and is told now says so once."""
    left = {key: hush for key, hush in member.hushed.items() if key not in told}
    return left if len(left) < len(member.hushed) else None


def _worst(part: Part) -> tuple[int, datetime]:
    """Worst first, then as long as it is due."""
    return -max(SEVERITIES.index(one.entry.severity) for one in part.message.alerts), part.group.due_at


def _urgency(part: Part) -> tuple[bool, int, int]:
    return part.message.type in _CALM, _worst(part)[0], _ORDER.index(part.message.type)
