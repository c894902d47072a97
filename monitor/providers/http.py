"""The door to the network that every provider shares: one request, one judged answer.

No retry, no redirect, no cookie, no proxy. Nothing raised here names a URL or a credential, and every cause
is dropped (`from None`), because aiohttp's messages quote URLs.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from monitor.egress import Egress, guarded, unanswered
from monitor.engine.ports import Budget
from monitor.errors import ProviderGarbled, ProviderRefused, ProviderUnreachable
from monitor.providers.answers import Reply, cut

T = TypeVar("T")

#: A page of 5000 Kaiko rows is about 3 MB; whatever is longer than this is not a balance.
MAX_BODY = 8 * 1024 * 1024
#: The caller bounds the whole poll; a bound for each read would only cost a timer, 3 µs a poll.
CONNECT_TIMEOUT = 10.0
#: Longer than the usual poll interval: a new TLS connection costs 13 times a poll on an open one.
KEEPALIVE = 330.0
#: Connections of this process over all providers; each provider bounds its own by `max_concurrency`.
CONNECTIONS = 4096
#: Addresses of requests that are sent at every poll, about 1 kB each: building one takes a tenth of a request.
ADDRESSES = 20_000
USER_AGENT = "balance-monitor"

_JSON = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode
_DECODERS: dict[type, msgspec.json.Decoder[object]] = {}


def new_session(
    egress: Egress | None = None, *, keepalive: float = KEEPALIVE, read_timeout: float | None = None
) -> aiohttp.ClientSession:
    """The one session of a process; close it on the way out. Must be called with a running loop."""
    connector = aiohttp.TCPConnector(
        limit=CONNECTIONS,
        keepalive_timeout=keepalive,
        ttl_dns_cache=60,
        socket_factory=guarded(egress or Egress()),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=read_timeout),
        trust_env=False,
    )


class Http:
    """Requests to one provider and to nobody else."""

    __slots__ = ("_home", "_max_body", "_origin", "_session")

    def __init__(self, session: aiohttp.ClientSession, origin: str, *, max_body: int = MAX_BODY) -> None:
        self._session = session
        self._origin = origin.rstrip("/")
        self._home = _origin_of(URL(self._origin))
        self._max_body = max_body

    async def get(
        self,
        path: str,
        *,
        budget: Budget,
        cost: int = 1,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Callable[[URL], bool] | None = None,
        steady: bool = False,
    ) -> Reply:
        """GET, never with a body (CloudFront refuses those); every complete answer is a Reply.

        `path` is relative to the origin. An absolute URL must be of the same scheme, host and port, or pass
        `allow`; anything else is ProviderGarbled and is not contacted. `steady` says that the same request is
        sent at every poll, so its address is worth keeping.
        """
        url = self._url(path, allow)
        return await self._send("GET", url, budget, cost, headers, params=params, steady=steady)

    async def post(
        self,
        path: str,
        *,
        budget: Budget,
        cost: int = 1,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Callable[[URL], bool] | None = None,
    ) -> Reply:
        """POST a JSON document or a form; otherwise as `get`."""
        url = self._url(path, allow)
        if form is not None:
            return await self._send("POST", url, budget, cost, headers, data=form)
        sent = _JSON if headers is None else {**headers, **_JSON}
        return await self._send("POST", url, budget, cost, sent, data=_encode(json))

    def _url(self, path: str, allow: Callable[[URL], bool] | None) -> str | URL:
        if path.startswith("/"):
            return self._origin + path
        try:
            url = URL(path)
            known = url.user is None and url.password is None and _origin_of(url) == self._home
            if known or (allow is not None and url.user is None and url.password is None and allow(url)):
                return url
        except ValueError:
            pass
        raise ProviderGarbled("it points to another host, which gets no request and no credentials")

    async def _send(
        self,
        method: str,
        url: str | URL,
        budget: Budget,
        cost: int,
        headers: Mapping[str, str] | None,
        *,
        params: Mapping[str, str] | None = None,
        data: object = None,
        steady: bool = False,
    ) -> Reply:
        await budget.spend(cost)
        try:
            if steady and params:
                url, params = _address(str(url), tuple(params.items())), None
            # Without `async with`, which costs a tenth of the request: a body read to its end frees its
            # connection by itself, and `_read` hangs up when it does not get there.
            answer = await self._session.request(
                method, url, headers=headers, params=params, data=data, allow_redirects=False
            )
            return Reply(answer.status, await _read(answer, self._max_body), answer.headers)
        except aiohttp.ClientResponseError as error:
            # What came back is not HTTP. Its message quotes bytes of it, which may echo what we sent.
            raise ProviderGarbled(f"the answer is not HTTP ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            raise ProviderUnreachable(unanswered(error)) from None
        except ValueError:
            # A line break in a credential, for example: nothing was sent, and a person must look.
            raise ProviderRefused("the request cannot be built from the configuration", "credentials") from None


@lru_cache(maxsize=ADDRESSES)
def _address(url: str, query: tuple[tuple[str, str], ...]) -> URL:
    return URL(url).extend_query(query)


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body after decompression; ProviderGarbled as soon as it is longer than `most` bytes.

    Whatever ends the reading early also ends the connection.
    """
    content = answer.content
    try:
        body = await content.readany()
        if content.at_eof() and len(body) <= most:
            return body
        chunks, size = [body], len(body)
        while size <= most:
            chunk = await content.readany()
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
    except BaseException:
        answer.close()
        raise
    answer.close()
    raise ProviderGarbled(f"the answer is longer than {most} bytes")


def decode(body: bytes, kind: type[T]) -> T:
    """`body` as `kind`, numbers and strings straight into Decimal; ProviderGarbled says where it differs.

    `kind` is a msgspec Struct or any other type; its decoder is built once and kept.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(body)  # type: ignore[return-value]  # the decoder was built for `kind`
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise ProviderGarbled(cut(f"not the documented answer: {error}")) from None


def _origin_of(url: URL) -> tuple[str, str | None, int | None]:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("an http or https URL with a host is needed")
    return url.scheme, url.host, url.port
