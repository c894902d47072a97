"""Delivery: claim ─▶ flush ─▶ freeze ─▶ send ─▶ settle | postpone | bury.

A crash anywhere needs no recovery: the lease ends, and what was frozen goes out again under the same id.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog

from monitor.engine.beat import Beat, beats, due_with_beat, faded, next_beat
from monitor.engine.deliverports import DeliveryStore
from monitor.engine.flush import after_bury, after_settle, dead_part, flush
from monitor.engine.ladder import next_attempt
from monitor.engine.ports import Channel, Clock
from monitor.engine.suppress import NOTHING_SUPPRESSED, Suppressor, explained, free, was_held
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected, StoreUnavailable
from monitor.model.channel import BATCH_MAX
from monitor.model.event import digest
from monitor.model.group import NEWS_READ_MAX, Group, Message, Receipt, Told
from monitor.model.ledger import SAID_MAX, Tried
from monitor.model.record import Entry

#: One attempt of a channel whose `timeout` is not set, and the most that may be set.
SEND_TIMEOUT = timedelta(seconds=10)
SEND_TIMEOUT_MAX = timedelta(seconds=20)
#: Groups that go out as one message, where more are due than a channel takes.
TOGETHER_MAX = 50
#: For an adapter that does not keep its own time.
GRACE = timedelta(seconds=2)
#: Longer than any attempt, so a lease never ends while we are still sending; a crash delays by no more.
LEASE = timedelta(seconds=30)

assert SEND_TIMEOUT_MAX + GRACE + timedelta(seconds=5) < LEASE

log = structlog.get_logger("monitor.deliver")


#: What became of one attempt.
Outcome = Literal["sent", "failed", "rejected"]
#: Hears of every attempt: what became of it, the message, how long it took.
Observer = Callable[[Outcome, Message, timedelta], None]


#: The same alerts as they stand by now: asked of those a reminder is about.
Refresher = Callable[[Sequence[Entry]], Awaitable[Sequence[Entry]]]


async def _as_told(entries: Sequence[Entry]) -> Sequence[Entry]:
    return entries


def _nobody(_outcome: Outcome, _message: Message, _took: timedelta) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured channel, ready to send: at most `most` messages at a time. `observe` is for metrics, `afresh` for
    reminders; `suppress` says what must not be told now; `beat` is of a store that must hear again of what fires. Where
    far more groups are due than it takes, `together` of them may go out as one message; 0: never."""

    name: str
    adapter: Channel
    send_resolved: bool = True
    timeout: timedelta = SEND_TIMEOUT
    most: int = BATCH_MAX
    observe: Observer = _nobody
    afresh: Refresher = _as_told
    suppress: Suppressor = NOTHING_SUPPRESSED
    together: int = TOGETHER_MAX
    beat: Beat | None = None

    def __post_init__(self) -> None:
        assert self.timeout <= SEND_TIMEOUT_MAX, "an attempt must end before its lease does"


async def tell_safely(store: DeliveryStore, destination: Destination, group: Group, clock: Clock) -> None:
    """`tell`, and whatever goes wrong stays with this group: it comes due again when its lease ends, or would have."""
    await bulkhead(tell(store, destination, group, clock), store, (group,), clock)


async def bulkhead(delivery: Awaitable[None], store: DeliveryStore, groups: Sequence[Group], clock: Clock) -> None:
    """A delivery of leased groups. Whatever goes wrong stays with them."""
    channel, name = groups[0].channel, groups[0].id
    try:
        await delivery
    except StoreUnavailable:
        # What was frozen stays frozen and goes out again as it is.
        log.warning("delivery.store_unavailable", channel=channel, group=name)
    except Exception as bug:  # noqa: BLE001  # the bulkhead of one delivery (errors.py)
        # Bulkhead: a bug in one delivery must not stop the others.
        log.error("delivery.bug", channel=channel, group=name, **described(bug))
        with suppress(StoreUnavailable):
            for group in groups:
                # A lease that just ends would be the first to be tried again, where only one is tried: for ever.
                await store.put_off(group, clock() + LEASE)


async def tell(store: DeliveryStore, destination: Destination, group: Group, clock: Clock) -> None:
    """One claimed group: say what is to be said, or put it back until then."""
    group = await attended_group(store, destination.suppress, group, clock())
    message = flush(group, clock(), send_resolved=destination.send_resolved)
    if not isinstance(message, Message):
        await _beat(store, destination, group, message, clock)
        return
    message = await as_of_now(message, destination.afresh, group)
    frozen = await store.freeze(group, message)
    if frozen is None:
        log.info("delivery.lost_claim", channel=destination.name, group=group.id)
        return
    receipt, started = Receipt(""), clock()
    try:
        if message.alerts:
            receipt = await attempt(destination, message, clock)
    except DeliveryError as error:
        await _failed(store, frozen, message, error, Tried(started, clock() - started, str(error)), destination.beat)
        return
    now = clock()
    told, due_at = after_settle(frozen, message, now, receipt.ref, linger=destination.beat is not None)
    due_at = due_with_beat(frozen, told, due_at, destination.beat)
    await _no_longer_hushed(store, frozen, told)
    tried = Tried(started, now - started, receipt.answer) if message.alerts else None
    if await store.settle(frozen, told, due_at, tried) and group.attempts:
        log.info("delivery.recovered", channel=group.channel, notification=message.id, attempts=group.attempts)


async def _beat(
    store: DeliveryStore, destination: Destination, group: Group, due_at: datetime | None, clock: Clock
) -> None:
    """There is nothing to tell before `due_at`, but perhaps something to tell again."""
    beat, now = destination.beat, clock()
    if beat is None and any(not told.fires for told in group.open.values()):
        # The channel was a store of alerts before.
        await store.settle(group, faded(group, Beat(timedelta(0), timedelta(0)), now), due_at)
        return
    if beat is None or not group.open or group.replays:
        await store.defer(group, due_at)
        return
    # One that failed is tried again when its time has come, not with the next.
    missed = group.failed and group.telling is None
    if (at := next_beat(group, beat, group.due_at)) > now and not missed:
        await store.defer(group, min(due_at or at, at))
        return
    try:
        for message in beats(group, beat, now):
            await attempt(replace(destination, observe=_nobody), message, clock)
    except DeliveryError as error:
        if not isinstance(error, DeliveryRejected) or error.fault == "channel":
            await _missed_beat(store, group, error, Tried(now, clock() - now, str(error)), beat)
            return
        # Some are refused for what they are; the others were taken.
        log.warning("beat.refused", channel=group.channel, group=group.id, why=str(error)[:SAID_MAX])
    gone = faded(group, beat, now)
    again_at = next_beat(group, beat, now + timedelta(microseconds=1))
    left = any(key not in gone for key in group.open)
    await store.settle(
        group, gone, min(due_at or again_at, again_at) if left else due_at, Tried(now, clock() - now, "")
    )


async def _missed_beat(store: DeliveryStore, group: Group, error: DeliveryError, tried: Tried, beat: Beat) -> None:
    """It is tried again as a message is, but not later than the next would be."""
    now = tried.at + tried.took
    latest = now + beat.every
    again_at = next_attempt(group, error, now, group.id) or latest
    wait = error.wait if isinstance(error, DeliveryDeferred) else None
    await store.postpone(group, min(again_at, latest), tried, wait or None)
    if group.attempts == 0:
        log.warning("beat.failing", channel=group.channel, group=group.id, why=tried.said[:SAID_MAX], again_at=again_at)


async def attended_group(store: DeliveryStore, suppress: Suppressor, group: Group, now: datetime) -> Group:
    """The group with what is suppressed in it; news that are must not keep those behind them from being read."""
    read, attended = group, await suppress(group, now)
    while len(read.news) < read.waiting and free(attended) < NEWS_READ_MAX:
        more = await store.read_on(read)
        if len(more.news) == len(read.news):
            break
        read, attended = more, await suppress(more, now)
    if attended.hushed != group.hushed:
        await store.keep_hushed(attended)
    return attended


async def as_of_now(message: Message, afresh: Refresher, group: Group) -> Message:
    """The message with what is known by now of what it reminds of, and of what was held back."""
    old = [told.entry for told in message.alerts if message.type == "alert.reminder" or was_held(group, told.entry)]
    if message is group.telling or not old:
        return message
    anew = {entry.id: entry for entry in await afresh(old) if entry.status == "firing"}
    alerts = (
        replace(told, entry=explained(anew[told.entry.id], group.hushed.get(told.entry.fingerprint)))
        if told.entry.status == "firing" and told.entry.id in anew
        else told
        for told in message.alerts
    )
    return replace(message, alerts=tuple(alerts))


async def _no_longer_hushed(store: DeliveryStore, group: Group, told: Mapping[str, Told | None]) -> None:
    """What was held back and is told now says so once."""
    left = {key: hush for key, hush in group.hushed.items() if key not in told}
    if len(left) < len(group.hushed):
        await store.keep_hushed(replace(group, hushed=left))


async def attempt(destination: Destination, message: Message, clock: Clock) -> Receipt:
    """Send once, within the time; every failure is a DeliveryError. Returns what the destination answered."""
    started = clock()
    outcome: Outcome = "failed"
    try:
        async with asyncio.timeout((destination.timeout + GRACE).total_seconds()):
            receipt = await destination.adapter.send(message, started)
        outcome = "sent"
        return receipt
    except DeliveryRejected:
        outcome = "rejected"
        raise
    except DeliveryError:
        raise
    except TimeoutError:
        raise DeliveryDeferred("no answer in time") from None
    except Exception as bug:  # noqa: BLE001  # as in tell_safely
        # Bulkhead: the same, further in: a bug in an adapter is a failed attempt, so the ladder applies.
        log.error("delivery.bug", channel=destination.name, notification=message.id, **described(bug))
        raise DeliveryDeferred(f"bug in the adapter: {type(bug).__name__}") from None
    finally:
        destination.observe(outcome, message, clock() - started)


async def _failed(
    store: DeliveryStore, group: Group, message: Message, error: DeliveryError, tried: Tried, beat: Beat | None
) -> None:
    now = tried.at + tried.took
    due_at = next_attempt(group, error, now, message.id)
    why = tried.said[:SAID_MAX]
    note = log.bind(channel=group.channel, notification=message.id, attempts=group.attempts + 1, why=why)
    if due_at is None:
        told, next_at = after_bury(group, message, now, error.taken)
        next_at = due_with_beat(group, told, next_at, beat)
        await _no_longer_hushed(store, group, told)
        fault = error.fault if isinstance(error, DeliveryRejected) else None
        await store.bury(group, dead_part(message, error.taken), tried, told, next_at, fault)
        note.error("delivery.dead")
    else:
        wait = error.wait if isinstance(error, DeliveryDeferred) else None
        await store.postpone(group, due_at, tried, wait or None)
        if group.attempts == 0:
            note.warning("delivery.failing", again_at=due_at)


def test_message(channel: str, now: datetime) -> Message:
    """What `send-test` sends: a message of type `test` without alerts, so that it pages nobody."""
    return Message(
        id=f"ntf_{digest('test', channel, now.isoformat())}",
        type="test",
        at=now,
        channel=channel,
        labels={},
        alerts=(),
    )


def described(bug: Exception) -> dict[str, object]:
    """A bug as log fields: its type and where it happened, without its text, which may quote a secret."""
    frames = traceback.extract_tb(bug.__traceback__)[-8:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"bug": type(bug).__name__, "where": where}
