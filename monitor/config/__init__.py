"""From files to a configuration that can be run, or to the list of everything that is wrong with them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from monitor.channels.base import ChannelSettings
from monitor.config import crosscheck
from monitor.config.accounts import leaner
from monitor.config.gather import Found, Reader
from monitor.config.guard_settings import GuardSettings
from monitor.config.settings import Defaults, History, HttpApi, Log, Price, Store
from monitor.config.sources import Sources
from monitor.config.watchdog_settings import Connectivity, Heartbeat
from monitor.egress import Egress
from monitor.engine.calendar import TimeInterval
from monitor.engine.escalate import Escalations
from monitor.engine.expected import by_account
from monitor.engine.inhibit import Inhibition, compile_inhibit
from monitor.engine.route import Route
from monitor.engine.silence_words import filed
from monitor.errors import ConfigError
from monitor.fields import Context
from monitor.model.expected import Expected
from monitor.model.record import Account
from monitor.model.silence import Silence
from monitor.providers.base import ProviderSettings
from monitor.redact import register
from monitor.rules.base import RuleBase
from monitor.schedule import Timetable


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked. `digest` differs whenever anything in it does, secrets included."""

    path: Path
    store: Store
    log: Log
    egress: Egress
    http: HttpApi
    defaults: Defaults
    prices: tuple[Price, ...]
    #: Without their accounts: those are `accounts`, with when to poll them in `timetables`.
    providers: Mapping[str, ProviderSettings]
    accounts: Mapping[str, Account]
    timetables: Mapping[str, Timetable]
    channels: Mapping[str, ChannelSettings]
    route: Route | None
    time_intervals: Mapping[str, tuple[TimeInterval, ...]]
    heartbeats: tuple[Heartbeat, ...]
    connectivity: Connectivity | None
    escalations: Escalations
    inhibitions: tuple[Inhibition, ...]
    fallback_channel: str | None
    history: History
    #: Account → the transfers it is expected to make.
    expected: Mapping[str, tuple[Expected, ...]]
    silences: tuple[Silence, ...]
    guard: GuardSettings
    rules: tuple[RuleBase, ...]
    shutdown_timeout: timedelta
    digest: str
    #: Differs only where it judges or tells otherwise; secrets, comments and what is one process's own aside.
    meaning: str
    #: Every secret in it, for whatever keeps them out of logs.
    secrets: tuple[SecretStr, ...] = ()
    warnings: tuple[str, ...] = ()


def load(
    path: Path,
    *,
    secrets: bool = True,
    environment: Mapping[str, str] | None = None,
    sources: Sources | None = None,
) -> Config:
    """Read a configuration with everything it refers to. ConfigError names every mistake of every file.

    Without `secrets`, environment variables and secret files are not read: for `check --no-secrets`. `sources`
    is told of all files that were read, also when there are mistakes.
    """
    sources = Sources() if sources is None else sources
    context = Context(path.parent, secrets, os.environ if environment is None else environment, sources.note)
    reader = Reader(path, context, sources)
    found = reader.read()
    if found is None:
        raise ConfigError(reader.mistakes())
    return _config(path, reader, found)


def _config(path: Path, reader: Reader, found: Found) -> Config:
    settings = found.settings
    known = tuple(secret for _, secret in crosscheck.secrets(settings))
    return Config(
        path=path,
        store=settings.store.below(path.parent),
        log=settings.log,
        egress=settings.egress,
        http=settings.http,
        defaults=settings.defaults,
        prices=settings.prices,
        providers={name: leaner(spec) for name, spec in settings.providers.items()},
        accounts=found.roster.accounts,
        timetables=found.roster.timetables,
        channels=settings.channels,
        route=settings.route,
        time_intervals=settings.time_intervals,
        heartbeats=settings.heartbeats,
        connectivity=settings.connectivity,
        escalations=settings.escalations,
        inhibitions=compile_inhibit(settings.inhibit),
        fallback_channel=settings.fallback_channel,
        history=settings.history,
        expected=by_account(settings.expected_transfers, settings.time_intervals),
        silences=filed(settings.silences),
        guard=settings.guard,
        rules=found.rules,
        shutdown_timeout=settings.shutdown_timeout,
        meaning=reader.meaning(),
        digest=reader.digest(*(secret.get_secret_value() for secret in known)),
        secrets=known,
        warnings=tuple(reader.warnings()),
    )


def hide_secrets(config: Config) -> None:
    """Whatever the configuration calls a secret is masked in every log line from now on."""
    for secret in config.secrets:
        text = secret.get_secret_value()
        if not text.startswith("embedded:"):
            register(text)
