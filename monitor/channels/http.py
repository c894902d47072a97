"""The one sender of all channels: a request, and what came of it.

No retry, no redirect, no cookie, no proxy, a bounded answer. A channel's URL is a credential: nothing raised
here names it, and aiohttp's exceptions, which quote URLs and headers, are kept neither as cause nor as context.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from io import BytesIO
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from pydantic import SecretStr

from monitor.channels.text import clean, cut
from monitor.egress import Egress, SocketFactory, guarded, unanswered
from monitor.engine.ports import Clock
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.redact import Redactor

#: A longer body is sent piece by piece: in one piece it holds up everything else (and aiohttp warns of that).
PIECE_MAX = 1 << 20
#: What is read of an answer: enough to know what it means, too little to be a weapon.
BODY_MAX = 4096
#: The same where the answer repeats what was sent, with the name it was given.
ECHO_MAX = 262_144
#: What is told of it to people.
EXCERPT_MAX = 200
CONNECT_TIMEOUT = timedelta(seconds=5)
TIMEOUT = timedelta(seconds=10)
#: The longest wait a destination may ask for.
WAIT_MAX = timedelta(hours=1)
CONNECTIONS = 200
#: Longer than the usual `group_interval`: a new TLS connection costs more than the message.
KEEPALIVE = 75.0
USER_AGENT = "balance-monitor"

#: Hosts that want nothing from any of our channels, until when; a process has one session.
_HELD: WeakKeyDictionary[aiohttp.ClientSession, dict[str, datetime]] = WeakKeyDictionary()
_SECONDS = re.compile(r"\d{1,18}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, the beginning of its body as text, and the wait it asks for."""

    status: int
    text: str
    wait: timedelta | None = None

    @property
    def excerpt(self) -> str:
        """The body as far as a person should see it."""
        return cut(clean(self.text), EXCERPT_MAX)

    @property
    def why(self) -> str:
        """Its code and the beginning of its body, for people."""
        return f"HTTP {self.status} {self.excerpt}".strip()


class _Guarded(aiohttp.TCPConnector):
    """Dials only what the egress policy permits; `dial` is for channels that do not speak HTTP."""

    def __init__(self, egress: Egress) -> None:
        self.dial = guarded(egress)
        super().__init__(limit=CONNECTIONS, keepalive_timeout=KEEPALIVE, ttl_dns_cache=10, socket_factory=self.dial)


def new_session(egress: Egress | None = None) -> aiohttp.ClientSession:
    """The session of all channels of a process; close it on the way out. Needs a running loop."""
    connector = _Guarded(egress or Egress())
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        auto_decompress=False,
        trust_env=False,
    )


@dataclass(frozen=True, slots=True)
class Http:
    """Sends for channels over one session.

    `clock` is the time of day here, for what a receiver compares with its own; the store's may be anything.
    """

    session: aiohttp.ClientSession
    clock: Clock

    async def post(
        self,
        url: SecretStr,
        body: bytes,
        headers: Mapping[str, str],
        now: datetime,
        timeout: timedelta | None = None,  # noqa: ASYNC109  # aiohttp's covers each step, which asyncio's cannot
        *,
        method: str = "POST",
        most: int = BODY_MAX,
        secrets: tuple[SecretStr, ...] = (),
    ) -> Reply:
        """Send these bytes once. Any answer is a Reply, of at most so many bytes; none at all is a DeliveryError.

        `secrets` are hidden in the reply besides the URL: what a destination may quote.
        """
        total = (timeout or TIMEOUT).total_seconds()
        limits = aiohttp.ClientTimeout(total=total, connect=min(total, CONNECT_TIMEOUT.total_seconds()))
        try:
            async with self.session.request(
                method,
                url.get_secret_value(),
                data=BytesIO(body) if len(body) > PIECE_MAX else body,
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                timeout=limits,
            ) as answer:
                wait = retry_after(answer.headers.get("Retry-After", ""), now)
                return Reply(answer.status, hidden(url, *secrets).clean(await _beginning(answer, most)), wait)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _unsent(error)
        # Raised out here, it does not even carry theirs as its context: that one holds the URL and every header.
        raise failure

    @property
    def dial(self) -> SocketFactory:
        """A socket for an address, for channels of other protocols: OSError where the policy forbids the address."""
        connector = self.session.connector
        assert isinstance(connector, _Guarded), "channels have a session of new_session"
        return connector.dial

    def hold(self, url: SecretStr, until: datetime) -> None:
        """Its host wants nothing from any channel of this process until then."""
        _HELD.setdefault(self.session, {})[_host(url)] = until

    def held(self, url: SecretStr, now: datetime) -> timedelta:
        """How long its host still wants nothing."""
        until = _HELD.get(self.session, {}).get(_host(url), now)
        return max(until - now, timedelta(0))


def _host(url: SecretStr) -> str:
    return urlsplit(url.get_secret_value()).netloc.rpartition("@")[2]


async def _beginning(answer: aiohttp.ClientResponse, most: int) -> str:
    """The first bytes of the body. What breaks after the status no longer changes what the status said."""
    body = b""
    try:
        while len(body) < most:
            chunk = await answer.content.readany()
            if not chunk:
                break
            body += chunk
        else:
            # Nobody reads the rest: an endless body must not keep the connection.
            answer.close()
    except (aiohttp.ClientError, OSError):
        answer.close()
    return body[:most].decode("utf-8", "replace")


@lru_cache(maxsize=256)
def hidden(*secrets: SecretStr) -> Redactor:
    """What takes URLs and other secrets out of an answer that echoes them."""
    redactor = Redactor()
    for secret in secrets:
        redactor.secret(secret.get_secret_value())
    return redactor


def retry_after(value: str, now: datetime) -> timedelta | None:
    """The wait a destination asks for: seconds (fractions round up) or an HTTP date, at most an hour.

    None for garbage and for negative numbers; a date in the past means now.
    """
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=min(math.ceil(float(value)), WAIT_MAX.total_seconds())), WAIT_MAX)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), WAIT_MAX)


def asked(seconds: float | None) -> timedelta | None:
    """The same of a wait that a body asks for: exact, at most an hour, None for none and for a negative number."""
    if seconds is None or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, WAIT_MAX.total_seconds()))


def sendable(url: str) -> str:
    """The URL if something can be posted there; ValueError says what is wrong without quoting it."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname
        _ = parts.port
    except ValueError:
        known = None
    if not known or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("a url to send to must be https://host/path, without spaces")
    return url


def _unsent(error: Exception) -> DeliveryError:
    """What kept a request from being answered."""
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            # The last is of a host name that no resolver can be asked for.
            return DeliveryRejected("the channel's URL is not one", "channel")
        case aiohttp.ClientError() | OSError():
            return DeliveryDeferred(unanswered(error))
        case _:
            # A line break in a header, for example: this payload can never be sent.
            return DeliveryRejected("the request cannot be built", "message")
