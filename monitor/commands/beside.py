"""What the commands beside the daemon share: a configuration, its store, and how they answer."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from monitor import log as logs
from monitor.clock import wall_clock
from monitor.config import Config, hide_secrets, load
from monitor.engine.watch import CHECKUP
from monitor.errors import ConfigError
from monitor.fields import suggestion
from monitor.store.attach import attach
from monitor.store.redis import RedisStore

T = TypeVar("T")
OK, FAILED = 0, 1
#: Where no name is near, so many of those there are.
NAMED_MAX = 5


@asynccontextmanager
async def open_store(config: Config) -> AsyncIterator[RedisStore]:
    """The configured store: of a running daemon, else opened for as long as the command lasts."""
    if config.store.embedded:
        async with attach(config.store.directory, fsync=config.store.fsync) as (url, life):
            store = await RedisStore.connect(url, life=life)
            try:
                yield store
            finally:
                await store.close()
        return
    store = await RedisStore.connect(config.store.url)
    try:
        yield store
    finally:
        await store.close()


def load_config(path: Path) -> Config:
    """The configuration, with its secrets kept out of whatever is printed from now on."""
    config = load(path)
    hide_secrets(config)
    logs.configure("warning", config.log.format, sys.stderr, wall_clock)
    return config


def about(account: str, subject: str) -> str:
    """`hot-usdt USDT`: whom an alert is about, for people. What stands for a sum or the monitor names no account."""
    name, parts = account.removeprefix(CHECKUP), [subject]
    if subject.startswith('["'):
        # A sum goes by the values of several labels.
        with suppress(ValueError):
            parts = [str(value) for value in json.loads(subject)]
    return " ".join(part for part in ("" if ":" in name else name, *parts) if part)


def shown_whom(alert: Mapping[str, Any]) -> str:
    """The same of an alert as `/v1/alerts` shows it; of a sum or a channel its labels, as in chats."""
    labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
    return " ".join(filter(None, (alert["account"] or alert["provider"] or labels, alert["asset"])))


def known(names: Mapping[str, T], name: str, what: str) -> T:
    """What goes by that name; ConfigError, with a better one or the first few, when nothing does."""
    if name not in names:
        first = ", ".join(islice(names, NAMED_MAX)) + (" …" if len(names) > NAMED_MAX else "")
        better = suggestion(name, names) or (f" ({first})" if names else ": none is configured")
        raise ConfigError([f"there is no {what} {name!r}{better}"])
    return names[name]


def print_json(value: object) -> None:
    """One line for machines."""
    print(json.dumps(value, ensure_ascii=False))
