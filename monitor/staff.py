"""How the parts of a crew are made of a configuration."""

from datetime import timedelta
from functools import partial
from typing import NamedTuple

import aiohttp

from monitor.channels.base import ChannelSettings
from monitor.channels.http import Http as ChannelHttp
from monitor.clock import wall_clock
from monitor.config import Config
from monitor.engine.beat import Beat
from monitor.engine.deliver import SEND_TIMEOUT, TOGETHER_MAX, Destination, Observer, Refresher
from monitor.engine.inhibit import is_source
from monitor.engine.inhibitions import Inhibited
from monitor.engine.mutes import Mutes
from monitor.engine.policy import Policy
from monitor.engine.poll import Polling
from monitor.engine.ports import Clock, Windows
from monitor.engine.pricing import PriceBook
from monitor.engine.route import compile_route, tree
from monitor.engine.silences import Board, Silenced
from monitor.engine.sumreader import SumReader
from monitor.engine.suppress import Suppressor
from monitor.engine.watch import StoreReader, Watch
from monitor.feeds import Feeds
from monitor.model.standing import Standing
from monitor.providers.http import Http
from monitor.store.redis import RedisStore

#: Pseudo accounts read at once, and how long reading one may take: sums over many accounts go on where they were cut.
STORE_READS_AT_ONCE = 16
STORE_TIMEOUT = timedelta(seconds=10)


class Means(NamedTuple):
    """How one provider is polled: with what, at most so many at once, and what a poll costs of its quota."""

    polling: Polling
    concurrency: int
    windows: Windows = ()
    cost: int = 0


def policy(config: Config, book: PriceBook | None = None) -> Policy:
    """What decides besides the facts, as configured; without a `book`, its prices are never fetched."""
    return Policy(
        route=compile_route(config.route, tuple(config.channels), config.escalations, config.fallback_channel),
        tolerance=config.defaults.outage_tolerance,
        rules=frozenset(rule.alert for rule in config.rules),
        book=book or Feeds(config.prices).book,
        expected=config.expected,
        inhibits=partial(is_source, rules=config.inhibitions),
        trusting=frozenset(name for name, provider in config.providers.items() if provider.trust_as_of),
    )


def means(
    config: Config,
    provider: str,
    store: RedisStore,
    watch: Watch,
    clock: Clock,
    session: aiohttp.ClientSession,
    standing: Standing,
    feeds: Feeds,
) -> Means:
    """How a provider's accounts are read; of one that is not configured, how they are read from the store."""
    if found := feeds.reader(provider, session, store):
        reader, limit = found
        timeout = limit or config.defaults.timeout
        return Means(Polling(provider, reader, timeout, store, watch, clock, standing=standing), 1, cost=1)
    settings = config.providers.get(provider)
    if settings is None:
        # The store itself; or a provider that is configured no longer, and is never asked.
        sums = SumReader(store, {rule.alert: rule for rule in config.rules})
        polling = Polling(provider, StoreReader(store, sums), STORE_TIMEOUT, store, watch, clock, sums.recall, standing)
        return Means(polling, STORE_READS_AT_ONCE)
    adapter = settings.connect(Http(session, settings.origin()))
    timeout = settings.longest_poll(config.defaults.timeout)
    polling = Polling(provider, adapter, timeout, store, watch, clock, standing=standing)
    return Means(polling, settings.max_concurrency, settings.quota(), settings.poll_cost())


def destination(
    name: str,
    settings: ChannelSettings,
    session: aiohttp.ClientSession,
    observe: Observer,
    afresh: Refresher,
    suppress: Suppressor,
) -> Destination:
    """Where a channel's messages go."""
    return Destination(
        name=name,
        adapter=settings.connect(ChannelHttp(session, wall_clock)),
        send_resolved=settings.send_resolved,
        timeout=settings.timeout or SEND_TIMEOUT,
        most=settings.MOST,
        together=TOGETHER_MAX if settings.TOGETHER else 0,
        beat=Beat(*again) if (again := settings.beats()) else None,
        observe=observe,
        afresh=afresh,
        suppress=suppress,
    )


def muted(config: Config) -> Mutes:
    """The times at which routes tell nothing."""
    return Mutes.of(tree(config.route, tuple(config.channels)), config.time_intervals, config.escalations)


def suppressor(config: Config, board: Board, inhibited: Inhibited) -> Suppressor:
    """What must not be told now: silenced by people, muted by its route, inhibited by another alert."""
    return Suppressor((Silenced(board), muted(config), inhibited))
