"""What every provider shares: its settings, its accounts' settings, and the door to the network."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from monitor.engine.ports import Provider, Windows
from monitor.fields import Duration, Percentage, RateLimits, Secret, Section
from monitor.providers.http import Http


def _url(value: str) -> str:
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError("write it like https://api.example.com")
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise ValueError("this URL may have no user, password, query or fragment")
    return value


#: `https://host/path`, kept as it is written: their slash may matter.
Url = Annotated[str, AfterValidator(_url)]
#: `https://host/prefix`, kept without a trailing slash.
BaseUrl = Annotated[str, AfterValidator(_url), AfterValidator(lambda url: url.rstrip("/"))]


class ApiKey(Section):
    """`{api_key: {env: NAME}}`"""

    api_key: Secret


class Timetable(Section):
    """When to poll: an interval or a cron line, of the account, its provider or `defaults`, the nearest."""

    interval: Duration | None = Field(default=None, description="time between polls; default 60s, at least 100ms")
    cron: str | None = Field(default=None, description="five Unix fields, instead of interval")
    location: str = Field(default="UTC", description="IANA zone of cron")
    jitter: Percentage = Field(
        default="10%",
        description="first polls are spread over this part of the interval, cron runs behind it; 0%: at once",
    )


class AccountSettings(Timetable):
    """What every account may say, whatever its provider."""

    assets: tuple[str, ...] = Field(default=(), description="assets this account must have; default: all it reports")
    labels: Mapping[str, str] = Field(default_factory=dict)

    @abstractmethod
    def target(self) -> object:
        """What the adapter needs to find this account at the provider, hashable and small."""

    def wallet(self) -> str:
        """Which wallet that is, where another one's balance is other money; empty where it stays the same."""
        return ""


class ProviderSettings(Timetable):
    """What every provider may say. A subclass adds `type`, `base_url`, `auth`, `accounts` and its own."""

    #: The measures its accounts offer; a rule on any other is a configuration error.
    MEASURES: ClassVar[tuple[str, ...]] = ()
    #: Whether its answers hold worths in USD; else a rule in USD needs `prices`.
    WORTHS: ClassVar[bool] = False
    #: The event kinds it may report; `inferred` where movements are derived from `total`.
    KINDS: ClassVar[tuple[str, ...]] = ()
    #: The assets whose `total` moves only with rows of its ledger; none where movements are inferred from totals.
    LEDGER: ClassVar[tuple[str, ...]] = ()
    #: Whether complete answers leave out what is empty, so that an absent asset is zero; elsewhere it is unknown.
    DROPS_ZERO: ClassVar[bool] = False

    #: Whether its events say where money went (`Event.to`).
    DESTINATIONS: ClassVar[bool] = False

    timeout: Duration | None = Field(default=None, description="longest time of one whole poll; default 10s")
    rate_limit: RateLimits = Field(default=(), description="one window or a list of them, shared by all processes")
    max_concurrency: int = Field(default=20, ge=1, le=10_000)
    accounts_from: str | None = Field(default=None, description="a CSV file of accounts, relative to the configuration")
    callback_secret: Secret | None = Field(
        default=None, description="signs `POST /v1/callbacks/<provider>`, which polls an account at once"
    )
    trust_as_of: bool = Field(
        default=False, description="for the guard: a reading is as old as the provider says, where that is older"
    )

    @classmethod
    def tells_events(cls) -> bool:
        """Whether it has a ledger of its own: then some of it may be missing."""
        return bool(cls.KINDS) and "inferred" not in cls.KINDS

    @abstractmethod
    def origin(self) -> str:
        """The base URL without a trailing slash. Credentials go there and nowhere else."""

    @abstractmethod
    def connect(self, http: Http) -> Provider:
        """The adapter. `http` is bound to `origin()`."""

    def refuses(self, account: AccountSettings) -> str:  # noqa: ARG002 - most can read every account
        """Why such an account cannot be read with these settings; empty where it can."""
        return ""

    def quota(self) -> Windows:
        """The budget that all processes share, in units of `poll_cost`; empty for none."""
        return tuple((limit.requests, limit.per) for limit in self.rate_limit)

    def poll_cost(self) -> int:
        """What one ordinary poll costs of the quota; taken before the account is claimed."""
        return 1

    def longest_poll(self, default: timedelta) -> timedelta:
        """The timeout of one poll."""
        return self.timeout or default
