"""Telling more people of what nobody has answered. Pure.

A step of an escalation is a target like any other, with a group of its own, whose news wait until `not_before`. What is
acknowledged or over by then is struck off untold; what was told there is reminded of and ends there as anywhere else.
While an alert was suppressed nobody could answer it: what was when its step's time came waits that much longer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import Field

from monitor.fields import Duration, Section
from monitor.model.group import Group, Hush, Item, Told
from monitor.model.record import Entry
from monitor.model.target import Target


class Step(Section):
    """`{after: 10m, channels: [pager]}`: who is told when nobody has acknowledged an alert for that long."""

    after: Duration = Field(gt=timedelta(0), description="since it fired, or rose after it was acknowledged")
    channels: tuple[str, ...] = Field(min_length=1)


#: Name → steps.
Escalations = Mapping[str, Sequence[Step]]


def begun(targets: Iterable[Target], now: datetime) -> tuple[Target, ...]:
    """Targets whose steps count from now on."""
    return tuple(one if one.after is None else replace(one, not_before=now + one.after) for one in targets)


def joined(old: tuple[Target, ...], new: tuple[Target, ...], now: datetime) -> tuple[Target, ...]:
    """The targets of an alert, and those of other channels that its routes lead to by now; `old` itself if none.

    Whom a step would have told later, and a route tells at once, is told at once: by the step, so that one channel
    hears of an alert from one group.
    """
    if not old:
        return begun(new, now)
    places = {target.channel: place for place, target in enumerate(old)}
    found = list(old)
    for target in new:
        place = places.get(target.channel)
        if place is None:
            found += begun((target,), now)
        elif target.after is None and _waits(old[place], now):
            found[place] = replace(target, group=old[place].group, labels=old[place].labels)
    return old if found == list(old) else tuple(found)


def _waits(target: Target, now: datetime) -> bool:
    return target.not_before is not None and target.not_before > now


class Sifted(NamedTuple):
    """What may be told of an alert's news, what never will be, and when the rest may be; None without a rest."""

    kept: Sequence[Item]
    struck: Sequence[Item] = ()
    until: datetime | None = None


def sifted(told: Told | None, items: Sequence[Item], now: datetime, hush: Hush | None) -> Sifted:
    """The news of one alert in one group, oldest first; of any but an escalation's step all of them.

    `hush` is what keeps them from being told, or did until lately.
    """
    if all(item.not_before is None for item in items):
        return Sifted(items)
    episodes: dict[str, list[Item]] = {}
    for item in items:
        episodes.setdefault(item.entry.id, []).append(item)
    known = told.entry.id if told is not None else None
    kept: list[Item] = []
    struck: list[Item] = []
    until: datetime | None = None
    for episode, news in episodes.items():
        one = Sifted(news) if episode == known else _unheard(news, now, hush)
        kept += one.kept
        struck += one.struck
        until = one.until if until is None or (one.until is not None and one.until < until) else until
    return Sifted(kept, struck, until)


def waiting(group: Group, known: Mapping[str, Told], now: datetime) -> tuple[frozenset[str], datetime | None]:
    """The keys of the news that wait in a group whose channel knows this, and when the first of them may be told."""
    stories: dict[str, list[Item]] = {}
    for item in group.news if any(item.not_before for item in group.news) else ():
        stories.setdefault(item.entry.fingerprint, []).append(item)
    keys: set[str] = set()
    times: list[datetime] = []
    for fingerprint, items in stories.items():
        story = sifted(known.get(fingerprint), items, now, group.hushed.get(fingerprint))
        keys |= {item.key for item in items} - {item.key for item in (*story.kept, *story.struck)}
        times += [] if story.until is None else [story.until]
    return frozenset(keys), min(times, default=None)


def _unheard(news: list[Item], now: datetime, hush: Hush | None) -> Sifted:
    """The news of an episode that the step's channel was never told of."""
    answered = max((place for place, item in enumerate(news, 1) if item.entry.acked), default=0)
    struck, rest = news[:answered], news[answered:]
    if not rest or rest[0].news == "resolved":
        # What it was the end of has been struck off.
        return Sifted((), news)
    times = [item.not_before for item in rest]
    not_before = None if None in times else min(time for time in times if time is not None)
    if not_before is not None and hush is not None:
        not_before += _unanswerable(rest[0].entry, hush, not_before)
    ended = rest[-1].entry.resolved_at if rest[-1].news == "resolved" else None
    if not_before is not None and ended is not None and ended < not_before:
        return Sifted((), news)
    if not_before is not None and not_before > now:
        return Sifted((), struck, not_before)
    return Sifted(rest, struck)


def _unanswerable(entry: Entry, hush: Hush, not_before: datetime) -> timedelta:
    """For how long nobody was told of an alert for what has ended, unless that came after the step's time."""
    if not hush.over or hush.until is None or hush.since >= not_before:
        return timedelta(0)
    return max(hush.until - max(hush.since, entry.started_at or hush.since), timedelta(0))
