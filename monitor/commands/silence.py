"""`silence add`, `list` and `expire`: beside a running daemon or without one."""

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from monitor.api.body import first_mistake
from monitor.commands.beside import FAILED, OK, load_config, open_store, print_json
from monitor.commands.checks import counted
from monitor.commands.roll import call_the_roll
from monitor.config import Config
from monitor.engine.silence_check import matched
from monitor.engine.silence_words import NewSilence, SilenceShown, silence_view
from monitor.errors import ConfigError
from monitor.model.silence import SILENCES_MAX, Silence
from monitor.silencing import match_text, silence_doubts, unless_text, what_fires

_MATCHER = re.compile(r"\s*([^=<>!~\s]+)\s*=(?![=~])(.*)", re.DOTALL)
#: How Alertmanager writes what cannot be said here; `=~` and quotes have a glob and a plain value instead.
_OPERATORS = re.compile(r"[^=]*(!=|!~|=~|==)")
_QUOTED = re.compile(r'[^=]*="[^"]*"\s*', re.DOTALL)
#: What the library calls what people type.
_OPTIONS = {
    "duration": "--for", "ends_at": "--until", "starts_at": "--start", "unless": "--unless",
    "author": "--author", "comment": "--comment",
}  # fmt: skip
_UNLESS = re.compile(r"\s*(\w+)\s*([<>])\s*(\S+)\s*")


def add_silence(
    path: Path, matchers: Sequence[str], said: Mapping[str, str | None], unless: str | None, *, as_json: bool
) -> int:
    """Make a silence and print its id. ConfigError when it is not sound."""
    if (said["duration"] is None) == (said["ends_at"] is None):
        raise ConfigError(["needs either --for or --until, for example --for 2h"])
    config = load_config(path)
    asked: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    asked["match"] = _match(matchers)
    if unless is not None:
        asked["unless"] = _unless(unless)
    made = asyncio.run(_add(config, asked))
    if made is None:
        print(f"there are {SILENCES_MAX} silences already, ended ones included", file=sys.stderr)
        return FAILED
    view, matches = made
    warnings = silence_doubts(config)(asked["match"])
    if as_json:
        print_json({**view, "matches": matches, "warnings": warnings})
    else:
        fire = "fires" if matches == 1 else "fire"
        print(f"{view['id']}: silenced until {view['ends_at']}; matches {counted(matches, 'alert')} that {fire} now")
    for what in warnings:
        print(f"warning: {what}", file=sys.stderr)
    return OK


async def _add(config: Config, asked: Mapping[str, Any]) -> tuple[SilenceShown, int] | None:
    """The silence and how many alerts that fire now it matches; None when there are too many."""
    async with open_store(config) as store:
        now = await store.time()
        try:
            silence = NewSilence.model_validate(asked).silence(now)
        except ValidationError as error:
            raise ConfigError([_as_typed(first_mistake(error))]) from None
        except ValueError as error:
            raise ConfigError([str(error)]) from None
        if not await store.add_silence(silence):
            return None
        alerts = await what_fires(store, config, (await call_the_roll(config, store)).accounts)
        return silence_view(silence, now), len(matched(silence, alerts))


def _as_typed(mistake: str) -> str:
    """A mistake with the option in place of the key: `--for: 'soon' is not a duration`."""
    key, _, rest = mistake.partition(": ")
    name, _, below = key.partition(".")
    return f"{_OPTIONS[name]}{f' {below}' if below else ''}: {rest}" if name in _OPTIONS else mistake


def _match(matchers: Sequence[str]) -> dict[str, str | list[str]]:
    """`account=hedge account=cold` as a mapping; ConfigError says how to write it."""
    found: dict[str, list[str]] = {}
    for matcher in matchers:
        parts = _MATCHER.fullmatch(matcher)
        if sign := _OPERATORS.match(matcher):
            what = f"there is no {sign[1]}, values are plain or globs, and a label given twice may have either"
            raise ConfigError([f"{matcher!r}: {what}, like account=hedge or rule=Liq*"])
        if parts is None:
            raise ConfigError([f"{matcher!r} matches nothing, write it like account=hedge or rule=Liq*"])
        if _QUOTED.fullmatch(matcher):
            raise ConfigError([f"{matcher!r}: these quotes would be part of the value, leave them out"])
        found.setdefault(parts[1], []).append(parts[2])
    return {label: values[0] if len(values) == 1 else values for label, values in found.items()}


def _unless(text: str) -> dict[str, str]:
    parts = _UNLESS.fullmatch(text)
    if parts is None:
        raise ConfigError([f'--unless {text!r}: write it like "equity<50000" or "held>10"'])
    return {"measure": parts[1], "below" if parts[2] == "<" else "above": parts[3]}


def show_silences(path: Path, *, ended: bool, as_json: bool) -> int:
    """List silences, those that end first on top."""
    config = load_config(path)
    views = asyncio.run(_list(config))
    shown = [view for view in views if ended or view["state"] != "expired"]
    if as_json:
        print_json({"items": shown})
    else:
        _print(shown)
    return OK


async def _list(config: Config) -> list[SilenceShown]:
    async with open_store(config) as store:
        now = await store.time()
        silences = (*config.silences, *await store.silences(now))
        return [silence_view(one, now) for one in sorted(silences, key=lambda one: (one.ends_at, one.id))]


def _print(views: Sequence[Mapping[str, Any]]) -> None:
    table = Table()
    # The id is there to be copied.
    table.add_column("id", no_wrap=True)
    for name in ("when", "matches", "author", "comment"):
        table.add_column(name, overflow="fold")
    for view in views:
        matches = match_text(view["match"]) + unless_text(view["unless"])
        table.add_row(*map(_plain, (view["id"], _when(view), matches, view["author"], view["comment"])))
    Console().print(table)


def _when(view: Mapping[str, Any]) -> str:
    """`until 2026-11-20 14:00Z`"""
    key, word = {"pending": ("starts_at", "from"), "expired": ("ends_at", "ended")}.get(
        view["state"], ("ends_at", "until")
    )
    return f"{word} {view[key][:16].replace('T', ' ')}Z"


def _plain(text: str) -> str:
    """What people typed must not style the table."""
    return text.replace("[", r"\[")


def end_silence(path: Path, name: str, *, as_json: bool) -> int:
    """End a silence now."""
    config = load_config(path)
    if any(silence.id == name for silence in config.silences):
        raise ConfigError([f"{name} stands in the configuration: remove it there, and reload"])
    ended = asyncio.run(_end(config, name))
    if ended is None:
        print(f"there is no silence {name!r}; `balance-monitor silence list` has them", file=sys.stderr)
        return FAILED
    silence, now = ended
    if as_json:
        print_json(silence_view(silence, now))
    else:
        print(f"{name}: ended at {silence.ends_at:%Y-%m-%dT%H:%M:%SZ}")
    return OK


async def _end(config: Config, name: str) -> tuple[Silence, datetime] | None:
    async with open_store(config) as store:
        now = await store.time()
        silence = await store.end_silence(name, now)
        return None if silence is None else (silence, now)
