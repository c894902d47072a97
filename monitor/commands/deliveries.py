"""`deliveries` lists what has not arrived, `replay` sends dead messages again; beside a daemon or without one."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.api.ledger_views import delivery_view
from monitor.api.views import age, age_text
from monitor.commands.beside import FAILED, OK, known, load_config, open_store, print_json
from monitor.commands.checks import counted
from monitor.config import Config
from monitor.model.ledger import UNDONE, Delivery, DeliveryState
from monitor.redact import redact
from monitor.store.redis import RedisStore

#: Rows of a table for people, and deliveries read from the store at once.
ROWS_MAX, CHUNK = 50, 500
_STYLES = {"dead": "red", "failing": "yellow", "waiting": "dim", "sent": "green"}


def list_deliveries(path: Path, state: DeliveryState | None, channel: str | None, *, as_json: bool) -> int:
    """Print what has not arrived (or what is in one state), the worst and newest first."""
    config = load_config(path)
    states = UNDONE if state is None else (state,)
    found, now = asyncio.run(_listed(config, _channels(config, channel), states))
    if as_json:
        print_json({"items": [delivery_view(one) for one in found]})
    else:
        _print(found, states, now)
    return OK


def _channels(config: Config, channel: str | None) -> Sequence[str]:
    if channel is None:
        return tuple(config.channels)
    known(config.channels, channel, "channel")
    return (channel,)


async def _listed(
    config: Config, channels: Sequence[str], states: Sequence[DeliveryState]
) -> tuple[list[Delivery], datetime]:
    async with open_store(config) as store:
        found, after = await store.deliveries(channels, states, None, CHUNK)
        while after is not None:
            more, after = await store.deliveries(channels, states, after, CHUNK)
            found += more
        return found, await store.time()


def _print(found: Sequence[Delivery], states: Sequence[DeliveryState], now: datetime) -> None:
    console = Console(soft_wrap=True)
    if not found:
        console.print("everything has arrived" if states == UNDONE else f"nothing is {states[0]}")
        return
    # Ids are there to be copied: whatever the width of the terminal, they stay whole.
    table = Table("state", "id", "channel", "tried", "for", "what", box=None, pad_edge=False)
    table.columns[1].no_wrap, table.columns[1].min_width = True, 24
    for one in found[:ROWS_MAX]:
        table.add_row(
            Text(one.state, _STYLES[one.state]), one.id, one.channel, str(one.attempts), age_text(age(one.at, now)),
            Text(_what(one)),
        )  # fmt: skip
    console.print(table)
    if len(found) > ROWS_MAX:
        console.print(f"and {len(found) - ROWS_MAX} more (--json has them all)")
    if dead := sum(one.state == "dead" for one in found):
        what = "it" if dead == 1 else "them"
        console.print(f"{counted(dead, 'message')} dead: `balance-monitor replay --dead` sends {what} again")


def _what(one: Delivery) -> str:
    """What it tells, what was said to it, and when it is tried again."""
    told = f"{one.type or 'news'} of {counted(len(one.alerts), 'alert')}"
    again = (
        "" if one.state != "failing" else f"next try {one.next_at:%H:%M:%SZ}" if one.next_at else "its next try is due"
    )
    return "; ".join(part for part in (redact(one.last_error), told, again) if part)


def replay(path: Path, name: str | None, channel: str | None, *, as_json: bool) -> int:
    """Send one dead message again, or (without a name) all of them, or those of a channel."""
    config = load_config(path)
    say = (lambda _: None) if as_json else _say_again
    sent, why_not = asyncio.run(_replay(config, name, _channels(config, channel), say))
    if why_not:
        print(why_not, file=sys.stderr)
        return FAILED
    if as_json:
        print_json({"items": [one._asdict() for one in sent]})
        return OK
    if name is None:
        print(f"{counted(len(sent), 'message')} to be sent again" + (", by whoever delivers" if sent else ""))
    return OK


class _Again(NamedTuple):
    """A dead message that goes out again, as the API says it, and the alerts it tells that are over by now."""

    id: str
    channel: str
    state: str
    resolved_since: list[str]


async def _replay(
    config: Config, name: str | None, channels: Sequence[str], say: Callable[[_Again], None]
) -> tuple[list[_Again], str]:
    """What goes out again, each said at once, and why that of this name does not."""
    async with open_store(config) as store:
        if name is None:
            wanted = [(one, dead) for one in channels for dead in await store.dead_messages(one)]
        else:
            found = await store.find_dead(name, channels)
            wanted = [(found, name)] if found is not None else []
        sent = []
        for channel, dead in wanted:
            over = await _over(store, channel, dead)
            if await store.replay(channel, dead):
                sent.append(_Again(dead, channel, "waiting", over))
                say(sent[-1])
        return sent, await _why_not(store, name, channels) if name is not None and not sent else ""


async def _over(store: RedisStore, channel: str, dead: str) -> list[str]:
    """Which of the alerts that a dead message tells are over by now: it says what held then."""
    letter = await store.dead_letter(channel, dead)
    if letter is None or letter.type == "alert.resolved":
        return []
    stories = await asyncio.gather(*(store.story(alert) for alert in letter.alerts))
    return [story[-1].chapter.alert for story in stories if story and story[-1].chapter.what == "resolved"]


def _say_again(one: _Again) -> None:
    over = one.resolved_since
    late = f", as it was: {', '.join(over[:3])}{' …' if len(over) > 3 else ''} resolved since" if over else ""
    print(redact(f"{one.id} goes out again to {one.channel}{late}"), flush=True)


async def _why_not(store: RedisStore, name: str, channels: Sequence[str]) -> str:
    found = await store.notification(name, channels)
    if found is None:
        return f"there is no dead message {name[:64]!r}; `balance-monitor deliveries --dead` lists them"
    words = {"sent": "has arrived", "queued": "goes out again already", "replaced": "was told anew by a later message"}
    return f"{name} is not dead: it {words.get(found.state, 'is tried again by itself')}"
