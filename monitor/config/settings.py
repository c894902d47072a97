"""What a configuration file may say, but for what providers, channels, rules and routes say of themselves."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from monitor.api.auth import Rate, Scope, rate
from monitor.channels import AnyChannel
from monitor.config.guard_settings import GuardSettings
from monitor.config.watchdog_settings import Connectivity, Heartbeat
from monitor.egress import Egress, host_and_port
from monitor.engine.calendar import TimeInterval
from monitor.engine.escalate import Step
from monitor.engine.expected import ExpectedTransfer
from monitor.engine.inhibit import Inhibit
from monitor.engine.route import Route
from monitor.engine.silence_words import FiledSilence
from monitor.errors import ConfigError
from monitor.fields import Amount, Duration, Secret, Section, duration_text, unread
from monitor.providers import AnyProvider
from monitor.providers.price_feed import HttpJsonPrices
from monitor.store.url import address

NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,128}", re.ASCII)
NAMING = "a name has 1 to 128 letters, digits, dots, underscores or hyphens, and is not . or .."
#: Between two polls of one account.
INTERVAL_MIN = timedelta(milliseconds=100)
_EMBEDDED = "embedded:"
_STORES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(NAMING)
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]


def _store_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    scheme = url.partition(":")[0]
    if url.startswith(_EMBEDDED) and len(url) > len(_EMBEDDED):
        return secret
    if unread(secret):
        return secret
    if scheme not in _STORES:
        raise ValueError(
            "write it like embedded:./data, redis://host:6379, rediss://…, unix:///path, "
            "redis+sentinel://h1,h2/service or redis+cluster://h1,h2"
        )
    try:
        address(url)
    except ConfigError as error:
        raise ValueError(error.mistakes[0].removeprefix("store.url: ")) from None
    return secret


class Store(Section):
    """`store: {url: "embedded:./data"}`: where everything is kept."""

    model_config = ConfigDict(populate_by_name=True)

    location: Annotated[Secret, AfterValidator(_store_url)] = Field(
        default=SecretStr("embedded:./data"),
        alias="url",
        description="embedded:DIRECTORY, redis:// rediss:// unix:// redis+sentinel:// redis+cluster://",
    )
    fsync: Literal["everysec", "always"] = Field(
        default="everysec", description="how often the embedded store reaches the disk"
    )

    @property
    def url(self) -> str:
        """The store's URL, which may hold a password."""
        return self.location.get_secret_value()

    @property
    def embedded(self) -> bool:
        """Whether the store is a private server of this process."""
        return self.url.startswith(_EMBEDDED)

    @property
    def directory(self) -> Path:
        """Where an embedded store keeps its data."""
        return Path(self.url.removeprefix(_EMBEDDED))

    def below(self, base: Path) -> Self:
        """The same with an embedded store's directory counted from `base`."""
        if not self.embedded:
            return self
        return self.model_copy(update={"location": SecretStr(f"{_EMBEDDED}{base / self.directory}")})


class Log(Section):
    """`log: {level: info, format: auto}`"""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, else JSON"
    )


def _rate(value: object) -> Rate:
    return value if isinstance(value, Rate) else rate(str(value))


RateText = Annotated[
    Rate, BeforeValidator(_rate), WithJsonSchema({"type": "string", "pattern": r"^[1-9]\d{0,8}/(s|m|h)$"})
]


class ApiToken(Section):
    """`{name: casino, token: {env: GUARD_TOKEN}, scopes: [guard]}`"""

    name: Name
    token: Secret
    scopes: tuple[Scope, ...] = Field(min_length=1, description="read, guard, or admin for everything")
    rate: RateText | None = Field(default=None, description="most requests, for example 2000/s")


def _listen(value: object) -> str:
    text = str(value)
    if host_and_port(text) is None:
        raise ValueError(f"{text[:60]!r} is not an address, write it like 127.0.0.1:8787")
    return text


class HttpApi(Section):
    """`http: {listen: "127.0.0.1:8787", tokens: […]}`: the API, health checks and metrics."""

    listen: Annotated[str, BeforeValidator(_listen)] = "127.0.0.1:8787"
    tokens: tuple[ApiToken, ...] = Field(default=(), description="without tokens only this machine may ask")

    @property
    def host(self) -> str:
        return urlsplit(f"//{self.listen}").hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(f"//{self.listen}").port or 0

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def polled(interval: timedelta) -> timedelta:
    """An interval between polls; ValueError when it is too short."""
    if interval < INTERVAL_MIN:
        raise ValueError(f"the shortest interval is {duration_text(INTERVAL_MIN)}")
    return interval


class Defaults(Section):
    """What holds for every provider and account that does not say otherwise."""

    interval: Annotated[Duration, AfterValidator(polled)] = timedelta(seconds=60)
    timeout: Duration = Field(
        default=timedelta(seconds=10), gt=timedelta(0), description="longest time of one whole poll"
    )
    stale_after: int = Field(default=3, ge=1, le=1000, description="× the account's interval")
    outage_tolerance: Duration = Field(
        default=timedelta(hours=1),
        description="longest gap in the readings that `for` still counts through, at least 2 × the account's interval",
    )


class ProviderPrices(Section):
    """`{type: provider, max_age: 5m}`: the usd values that balance providers report."""

    type: Literal["provider"]
    max_age: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))


class StaticPrices(Section):
    """`{type: static, prices: {USDT: "1"}}`: they do not age; a bare name holds on every network."""

    type: Literal["static"]
    prices: Mapping[str, Amount] = Field(min_length=1)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if worthless := [asset for asset, price in self.prices.items() if price <= 0]:
            raise ValueError(f"the price of {', '.join(worthless[:5])} must be above 0")
        return self


Price = Annotated[ProviderPrices | StaticPrices | HttpJsonPrices, Field(discriminator="type")]


class History(Section):
    """`history: {keep: 30d, max_points: 1000, max_events: 10_000}`: bounds per account and asset."""

    keep: Duration = Field(default=timedelta(days=30), ge=timedelta(minutes=1))
    max_points: int = Field(default=1000, ge=1, le=1_000_000)
    max_events: int = Field(default=10_000, ge=1, le=10_000_000)


class Settings(Section):
    """A whole configuration file."""

    model_config = ConfigDict(title="balance-monitor configuration")

    version: Literal[1]
    store: Store = Store()
    log: Log = Log()
    egress: Egress = Egress()
    http: HttpApi = HttpApi()
    #: Prices and thresholds in another currency are not built: a value that changed nothing would mislead.
    reporting_currency: Literal["USD"] = "USD"
    defaults: Defaults = Defaults()
    prices: tuple[Price, ...] = Field(
        default=(ProviderPrices(type="provider"),), description="tried in order; an expired price is unknown"
    )
    providers: Mapping[Name, AnyProvider] = Field(default_factory=dict)
    channels: Mapping[Name, AnyChannel] = Field(default_factory=dict)
    route: Route | None = Field(default=None, description="default: every alert to every channel")
    inhibit: tuple[Inhibit, ...] | None = Field(
        default=None, description="who is not told while another alert fires; default: `provider_down` inhibits `stale`"
    )
    escalations: Mapping[Name, Annotated[tuple[Step, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="who is told of what nobody acknowledges, by name, for a route's `escalate`"
    )
    fallback_channel: str | None = Field(
        default=None, description="told that another channel is failing; default: the root route's other channels"
    )
    time_intervals: Mapping[Name, Annotated[tuple[TimeInterval, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="times of the week by name"
    )
    expected_transfers: tuple[ExpectedTransfer, ...] = Field(
        default=(), description="announced movements: `large_outflow` judges only what goes beyond them"
    )
    silences: tuple[FiledSilence, ...] = Field(
        default=(), description="what nobody is to hear of for a while; `silence add` does the same at run time"
    )
    heartbeats: tuple[Heartbeat, ...] = Field(
        default=(), max_length=10, description="pinged only while polling, deciding and delivering all work"
    )
    connectivity: Connectivity | None = Field(
        default=None, description="without it our own lost network looks like providers that are all down"
    )
    history: History = History()
    guard: GuardSettings = GuardSettings()
    rules: tuple[str, ...] = Field(default=("rules/*.yaml",), description="rule files or globs, relative to this file")
    shutdown_timeout: Duration = timedelta(seconds=30)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for certain, without asking a resolver."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without(value: Any, where: tuple[str | int, ...]) -> Any:
    """A copy of a plain document lacking one mapping entry; unchanged when there is none."""
    if not where or not isinstance(value, dict) or where[0] not in value:
        return value
    if len(where) == 1:
        return {key: item for key, item in value.items() if key != where[0]}
    return {**value, where[0]: without(value[where[0]], where[1:])}
