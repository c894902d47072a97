"""What keeps a drill from being told: silences, times of routes and other alerts, as with any alert."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from monitor.config import Config
from monitor.engine.inhibitions import Inhibited
from monitor.engine.silences import Board
from monitor.engine.suppress import sentence
from monitor.model.group import Hush, Item
from monitor.model.record import Row
from monitor.ruletest.inbox import fresh_group
from monitor.staff import suppressor
from monitor.store.redis import RedisStore


async def kept_quiet(config: Config, store: RedisStore, row: Row, now: datetime) -> Mapping[str, Hush]:
    """Of the channels that a row of news is for, those that must not be told now, and why."""
    board = Board(store, lambda: now, config.silences)
    suppress = suppressor(config, board, Inhibited(store, lambda: now, config.inhibitions))
    found: dict[str, Hush] = {}
    for target in row.targets:
        item = Item("drill", row.news, row.entry)
        group = await suppress(replace(fresh_group(target, now), news=(item,), waiting=1), now)
        for hush in group.hushed.values():
            found[target.channel] = hush
    return found


def quiet_text(channels: Sequence[str], hush: Hush) -> str:
    """`ops, chat are not told: silenced since 2026-11-20T12:00:00Z by maria: moving (until 2026-11-20T14:00:00Z)`"""
    end = "" if hush.until is None else f" (until {hush.until:%Y-%m-%dT%H:%M:%SZ})"
    verb = "is" if len(channels) == 1 else "are"
    return f"{', '.join(channels)} {verb} not told: {sentence(hush)}{end}"
