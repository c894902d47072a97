"""What a store of alerts is told again and again: an alert that it does not hear of for a while is over for it. Pure.

A beat is no news. Nobody counts it, no record has it, nothing suppresses it; one that is lost is made good by the next.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.model.event import digest
from monitor.model.group import Group, Message, Numbered, Told
from monitor.model.window import MICROSECOND, micros

#: Alerts in one beat; a group with more of them has several.
BEAT_MAX = 500


class Beat(NamedTuple):
    """How often what fires is told again, and for how long what is over, or has happened, is told again as well."""

    every: timedelta
    linger: timedelta


def beats(group: Group, beat: Beat, now: datetime) -> Iterator[Message]:
    """What to tell again: what fires as it was told last, unless its end is waiting to be told, and what lingers."""
    ended = {item.entry.fingerprint for item in group.news if item.news == "resolved"}
    again = [
        Numbered(told.entry, told.sequence, told.ref)
        for key, told in group.open.items()
        if told.heard and (key not in ended if told.fires else told.at + beat.linger > now)
    ]
    for start in range(0, len(again), BEAT_MAX):
        yield Message(
            id=f"ntf_{digest('beat', group.channel, group.id, str(group.version), str(start))}",
            type="alert.reminder",
            at=now,
            channel=group.channel,
            labels=group.labels,
            alerts=tuple(again[start : start + BEAT_MAX]),
        )


def faded(group: Group, beat: Beat, now: datetime) -> dict[str, Told | None]:
    """What has lingered for long enough, to be forgotten."""
    return {key: None for key, told in group.open.items() if not told.fires and told.at + beat.linger <= now}


def due_with_beat(
    group: Group, told: Mapping[str, Told | None], due_at: datetime | None, beat: Beat | None
) -> datetime | None:
    """When to look at a group again after a message, at the latest when its next beat is due.

    That is one which this claim has not told: news must not put off the beat of the others, however many there are.
    """
    if beat is None or not any({**group.open, **told}.values()):
        return due_at
    at = next_beat(group, beat, group.due_at)
    return min(due_at or at, at)


def next_beat(group: Group, beat: Beat, since: datetime) -> datetime:
    """The first beat at or after then. Beats keep to the clock, each group to times of its own: so nothing has to be
    remembered, and no restart shifts them."""
    every = beat.every // MICROSECOND
    offset = int(digest("beat", group.id)[:8], 16) * every >> 32
    left = (offset - micros(since)) % every
    return since + left * MICROSECOND
