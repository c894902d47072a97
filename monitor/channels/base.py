"""What every channel shares: its settings, and the door to the network."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from monitor.channels.http import Http, sendable
from monitor.engine.ports import Channel
from monitor.fields import Context, Duration, RateLimit, Secret, Section
from monitor.model.channel import BATCH_MAX

#: The longest `timeout`: an attempt must end well before the delivery's lease does.
TIMEOUT_MAX = timedelta(seconds=20)

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


def read(info: ValidationInfo) -> bool:
    """Whether secrets were read; with `check --no-secrets` there is nothing behind them to judge."""
    return not isinstance(info.context, Context) or info.context.secrets


def as_list(value: object) -> object:
    """One value may stand for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _posted_to(url: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info):
        sendable(url.get_secret_value())
    return url


def _server(url: str) -> str:
    parts = urlsplit(sendable(url))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("this URL may have no user, password, query or fragment")
    return url.rstrip("/")


def _in_a_header(token: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info) and not _PRINTABLE.fullmatch(token.get_secret_value()):
        raise ValueError("a token is letters, digits and signs of ASCII, without spaces")
    return token


#: A credential that is sent in a header: whatever breaks one would make every message fail.
Token = Annotated[Secret, AfterValidator(_in_a_header)]
#: `https://host/prefix` of a server, kept without a trailing slash.
ServerUrl = Annotated[str, AfterValidator(_server)]
#: A URL that is a credential, as those of nearly all chats are.
SecretUrl = Annotated[Secret, AfterValidator(_posted_to)]


class ChannelSettings(Section):
    """What every channel may say. A subclass adds `type`, where it sends, and its secrets."""

    #: The destination's own rate, used when `rate_limit` is not set; None for no limit.
    RATE: ClassVar[RateLimit | None] = None
    #: Messages that may be on their way to it at once, from one process. Where they must arrive in order: 1.
    MOST: ClassVar[int] = BATCH_MAX
    #: Whether several groups may go out as one message where more are due than it takes. Where every alert is sent by
    #: itself anyway that spares nothing.
    TOGETHER: ClassVar[bool] = True

    send_resolved: bool = True
    rate_limit: RateLimit | None = None
    timeout: Duration | None = Field(default=None, description="longest time of one attempt; default 10s, at most 20s")
    redact: tuple[Literal["amounts"], ...] = ()

    @abstractmethod
    def connect(self, http: Http) -> Channel:
        """The adapter."""

    def rate(self) -> RateLimit | None:
        """How often it may be sent to, over all processes; None for no limit."""
        return self.rate_limit or self.RATE

    def beats(self) -> tuple[timedelta, timedelta] | None:
        """Of a store of alerts that forgets: how often what fires is told again, and for how long what is over."""
        return None

    def secrets(self) -> tuple[SecretStr, ...]:
        """Every secret of these settings: what a destination must not be quoted with."""
        return tuple(value for _, value in self._flat() if isinstance(value, SecretStr))

    def warnings(self) -> tuple[str, ...]:
        """What `check` should tell the operator although it works."""
        texts = (
            (name, value.get_secret_value() if isinstance(value, SecretStr) else value) for name, value in self._flat()
        )
        clear = dict.fromkeys(name for name, text in texts if isinstance(text, str) and insecure(text))
        return tuple(f"{name} is http: everybody on the way can read and forge it, use https" for name in clear)

    def _flat(self) -> Iterator[tuple[str, object]]:
        """Every value with the name of its key, those of a list one by one."""
        for name, value in self:
            yield from ((name, part) for part in (value if isinstance(value, tuple) else (value,)))

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta | None) -> timedelta | None:
        if timeout is not None and not timedelta(0) < timeout <= TIMEOUT_MAX:
            raise ValueError("timeout must be more than 0s and at most 20s")
        return timeout


def insecure(url: str) -> bool:
    """Whether this URL sends in the clear to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not loopback(parts.hostname or "")


def loopback(host: str) -> bool:
    """Whether this host, as it is written, is this machine: nobody is on the way there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
