"""Whether the monitor does its work: what a heartbeat needs to know, and what it makes of that. Pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

#: The scheduler rings every second, the event loop is late by milliseconds: beyond these they are stuck.
SILENT_MAX, LAG_MAX = timedelta(seconds=10), timedelta(seconds=5)
#: A poll is overdue by more than so many of its own intervals, and by more than this.
INTERVALS_MAX, LATE_MIN = 3, timedelta(minutes=1)
#: A message that has been due for so long, while none of its channel was taken up for half of that, is sent by nobody.
UNSENT_MAX = timedelta(minutes=2)


class Waiting(NamedTuple):
    """How a channel's messages wait: since when the oldest is due, until when the last lease of one lasts, and until
    when the channel is left alone because it asked for that or refused us."""

    since: datetime | None = None
    leased_until: datetime | None = None
    paused_until: datetime | None = None


class Signs(NamedTuple):
    """What one process sees of its own life and of everybody's work.

    `late` is account → how long its poll is overdue, with its interval. `failing` is channel → who is told that it
    takes no messages. `lease` is how long a delivery's lease lasts.
    """

    now: datetime
    rung_at: datetime
    lag: timedelta
    store_up: bool = True
    ailing: Collection[str] = ()
    offline: bool = False
    late: Mapping[str, tuple[timedelta, timedelta]] = {}
    unmoved: datetime | None = None
    waiting: Mapping[str, Waiting] = {}
    lease: timedelta = timedelta(0)
    failing: Mapping[str, Collection[str]] = {}


def troubles(signs: Signs) -> tuple[str, ...]:
    """What does not work, a few words each; nothing when polling, deciding and delivering all do.

    A provider that fails is no trouble of ours: its outages are judged and told. Nor is a failing channel, as long as
    another one can be told of it.
    """
    return (*_of_ourselves(signs), *_of_polls(signs), *_of_deliveries(signs))


def _of_ourselves(signs: Signs) -> Iterator[str]:
    if signs.offline:
        yield "we are offline"
    if not signs.store_up:
        yield "the store takes no writes"
    if signs.now - signs.rung_at > SILENT_MAX:
        yield "the scheduler is silent"
    if signs.lag > LAG_MAX:
        yield "the event loop is late"
    if signs.ailing:
        yield f"ended by a bug: {', '.join(sorted(signs.ailing)[:3])}"


def _of_polls(signs: Signs) -> Iterator[str]:
    late = [name for name, (by, interval) in signs.late.items() if by > max(INTERVALS_MAX * interval, LATE_MIN)]
    if late:
        yield f"overdue polls: {len(late)}, for example of {min(late)}"


def _of_deliveries(signs: Signs) -> Iterator[str]:
    if signs.unmoved is not None and signs.now - signs.unmoved > UNSENT_MAX:
        yield "nobody moves what is owed to its channels"
    if unsent := [name for name, waiting in signs.waiting.items() if _unsent(waiting, signs)]:
        yield f"nobody sends to {', '.join(sorted(unsent)[:3])}"
    if hidden := [name for name, told in signs.failing.items() if not set(told) - set(signs.failing)]:
        yield f"failing channels and nobody to tell: {', '.join(sorted(hidden)[:3])}"


def _unsent(waiting: Waiting, signs: Signs) -> bool:
    """Whether messages wait without anybody taking them up; a long queue that moves is only slow."""
    if waiting.since is None or signs.now - waiting.since <= UNSENT_MAX:
        return False
    if waiting.paused_until is not None and waiting.paused_until > signs.now:
        return False
    taken = waiting.leased_until
    return taken is None or signs.now - (taken - signs.lease) > UNSENT_MAX / 2
