"""The untold news of one alert, folded into what a channel still has to hear of it.

    told open ──▶ change* ──▶ end ──▶ (begun ──▶ past)* ──▶ begun
    not told  ───────────────────────▶ (begun ──▶ past)* ──▶ begun

The channel hears the present state and, of the way there, only what keeps it true: no end without a
beginning, no episode it was told of without its end, and not sixty repeats after an outage.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from monitor.model.acked import Acked
from monitor.model.alert import News
from monitor.model.group import Item, Told
from monitor.model.record import Entry

#: What a message says of all its alerts. The two combined ones list several entries of each alert.
Kind = Literal["firing", "fired again", "updated", "event", "fired and resolved", "resolved", "reminder"]

#: What can be said of one entry alone.
_Said = Literal["firing", "updated", "reminder", "resolved"]
_Step = tuple[_Said, Entry]


@dataclass(frozen=True, slots=True)
class Folded:
    """`kind` None: nothing to hear. `over`: the alert has ended for this channel, whatever it hears. `acked`: what the
    channel knows of was acknowledged; an entry that is told says so itself."""

    kind: Kind | None
    entries: tuple[Entry, ...]
    over: bool
    acked: Acked | None = None


@dataclass(frozen=True, slots=True)
class _Story:
    """How far the news have been read.

    `episode` is the id of the open episode the channel heard of. `change` is its newest state, `end` its end,
    `past` the newest episode that began and ended untold, `begun` an untold one that is still open. `acked` says that
    the open one the channel heard of was acknowledged, with nothing else to say of it.
    """

    episode: str | None
    change: _Step | None = None
    end: Entry | None = None
    past: tuple[Entry, Entry] | None = None
    begun: Entry | None = None
    acked: Acked | None = None


def fold(told: Told | None, items: Iterable[Item], *, send_resolved: bool) -> Folded:
    """Fold at least one piece of news, oldest first. `told` None: the channel knows no open episode."""
    story = _Story(told.entry.id if told is not None and told.heard else None)
    for item in items:
        story = _TURNS.get(item.news, _goes_on)(story, item.entry, item.news)
    steps = _steps(story)
    if not steps:
        return Folded(None, (), over=False, acked=story.acked)
    over = steps[-1][0] == "resolved"
    if not send_resolved:
        steps = [step for step in steps if step[0] != "resolved"]
    return Folded(_kind([news for news, _ in steps]), tuple(entry for _, entry in steps), over)


def _ends(story: _Story, entry: Entry, _news: News) -> _Story:
    if story.begun is not None:
        return replace(story, past=(story.begun, entry), begun=None)
    if story.end is None and entry.id == story.episode:
        return replace(story, end=entry, change=None)
    # Never heard of: its end alone would be a riddle, so it is told with its beginning.
    return replace(story, past=(_beginning(entry), entry))


def _goes_on(story: _Story, entry: Entry, news: News) -> _Story:
    if story.end is None and story.past is None and entry.id == story.episode:
        newer: _Said = "reminder" if news == "reminder" else "updated"
        kept = story.change is not None and story.change[0] == "updated"
        return replace(story, change=("updated" if kept else newer, entry))
    return replace(story, begun=entry)


def _answered(story: _Story, entry: Entry, _news: News) -> _Story:
    """Who was told need not hear of it; what is still to be told says so."""
    if story.begun is not None and story.begun.id == entry.id:
        return replace(story, begun=replace(story.begun, acked=entry.acked))
    if story.end is not None or entry.id != story.episode:
        return story
    if story.change is not None:
        return replace(story, change=(story.change[0], replace(story.change[1], acked=entry.acked)))
    return replace(story, acked=entry.acked)


_TURNS: Mapping[News, Callable[[_Story, Entry, News], _Story]] = {"resolved": _ends, "acked": _answered}


def _steps(story: _Story) -> list[_Step]:
    steps: list[_Step] = []
    if story.end is not None:
        steps.append(("resolved", story.end))
    if story.past is not None and not (story.end is not None and story.begun is not None):
        steps += [("firing", story.past[0]), ("resolved", story.past[1])]
    if story.begun is not None:
        steps.append(("firing", story.begun))
    if not steps and story.change is not None:
        steps.append(story.change)
    return steps


def _kind(news: list[_Said]) -> Kind | None:
    match news:
        case []:
            return None
        case [one]:
            return one
        case [*_, "firing"]:
            return "fired again"
        case _:
            return "fired and resolved"


def _beginning(entry: Entry) -> Entry:
    return replace(entry, status="firing", resolved_at=None, reason=None)
