"""Whom the commands find in a store: the accounts of the configuration, those made at run time, and their stand-ins."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from monitor.config import Config
from monitor.engine.watch import stand_ins
from monitor.errors import WatchRefused
from monitor.model.record import Account
from monitor.store.redis import RedisStore
from monitor.visitors import enlist, idle


class Roll(NamedTuple):
    """All of them by name. `expires` are those made at run time, and when they end by themselves."""

    accounts: Mapping[str, Account]
    expires: Mapping[str, datetime | None]


async def call_the_roll(config: Config, store: RedisStore) -> Roll:
    """Whoever is there now; what this configuration cannot watch is left out."""
    found, expires = dict(config.accounts), dict[str, datetime | None]()
    for one in await store.watched():
        if one.account in config.accounts:
            continue
        with suppress(WatchRefused):
            found[one.account] = enlist(config, one.account, one.provider, one.settings).account
            expires[one.account] = one.expires_at
    return Roll({**found, **idle(config), **stand_ins(found, config.rules)}, expires)
