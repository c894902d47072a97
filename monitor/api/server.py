"""The HTTP server: routes with their scopes, and the limits that every request meets.

local or token ─▶ size ─▶ route ─▶ scope ─▶ body ─▶ room ─▶ signature ─▶ rate ─▶ handler ─▶ answer written in time
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from monitor.api.auth import Bucket, Rate, Scope, Token, by_digest, find, is_loopback, speaks_locally
from monitor.api.context import ApiContext
from monitor.api.guard_problems import completed
from monitor.api.health import alive
from monitor.api.places import Places, room
from monitor.api.problems import Problem, invalid, later, too_large
from monitor.api.replies import Answer, render
from monitor.api.request import BODY_MAX, Request
from monitor.api.route import Route
from monitor.api.router import Router
from monitor.api.routes import ROUTES
from monitor.api.signing import verify
from monitor.deadlines import Deadlines
from monitor.errors import ConfigError, StoreUnavailable
from monitor.guard.errors import DeadlineExceeded

log = structlog.get_logger("monitor.api")

QUERY_MAX = 2_048
HEADER_MAX = 8_190
HEADERS_MAX = 64
#: Requests worked on at once; more are told to come back. Whoever sends slowly, or does not read, takes no place.
IN_FLIGHT_MAX = 256
#: And so many more of what ends a bet: else money stays held, and bets are lost, while others wait for a refresh.
ENDING_MAX = 64
#: How long a caller may take to read its answer.
WRITE_DEADLINE = timedelta(seconds=10)
#: Below this an event loop's transport takes more without anyone waiting (its low-water mark).
WRITE_QUICK = 16 * 1024
#: How long an idle connection, or one that does not finish its headers, is kept.
IDLE = timedelta(seconds=75)
#: How long a body that nobody wants is read before the connection is closed.
LINGER = timedelta(seconds=2)
SHUTDOWN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Serving:
    """A listening server; `port` is the real one also when 0 was asked for."""

    host: str
    port: int
    _runner: web.ServerRunner

    async def close(self) -> None:
        """Stop listening, and let requests in flight finish for a moment."""
        await self._runner.cleanup()


class App:
    """Answers requests, within the limits. `api` is what it answers from."""

    def __init__(self, api: ApiContext, routes: Sequence[Route] = ROUTES) -> None:
        self._router = Router(routes)
        self._deadlines = Deadlines()
        self._buckets: dict[str, Bucket] = {}
        self.places = Places(room(), api.metrics.hung_up)
        self.in_flight = 0
        self.swap(api)

    def swap(self, api: ApiContext) -> None:
        """Answer from another context from the next request on (a reload)."""
        self.api = api
        self._tokens = by_digest(api.tokens)

    async def handle(self, request: web.BaseRequest) -> Answer:
        """Answer one request, whatever happens."""
        answer = await self._answer(request)
        self.api.metrics.answered(answer.status)
        if not request.content.is_eof():
            # What is left of the body, or was never sent (`Expect: 100-continue`), must not be taken for a request.
            answer.force_close()
        if not _is_taken_at_once(request, answer):
            await _write(request, answer)
        return answer

    async def _answer(self, request: web.BaseRequest) -> Answer:
        """Everything that is raised becomes a problem."""
        route = asked = None
        try:
            self._check(request)
            route, values = self._find(request)
            asked = Request(request, values, None)
            asked.token = self._authorize(request, route.scopes) if route.scopes and self._tokens else None
            if route.scopes and isinstance(request.protocol, _Connection):
                self.places.know(request.protocol)
            if route.in_time and request.content.is_eof():
                # A second limit around its own would be paid for at every bet.
                return await self._ask(route, asked)
            with self._deadlines.within(route.deadline.total_seconds()):
                return await self._ask(route, asked)
        except Problem as known:
            problem = known
        except StoreUnavailable:
            problem = later("store-unavailable", "the store does not answer", timedelta(seconds=1))
        except (TimeoutError, DeadlineExceeded):
            problem = later("deadline-exceeded", "no answer in time", timedelta(seconds=1))
        except Exception:
            # Bulkhead: a bug in one endpoint must not show its insides to the caller, nor end the server.
            log.exception("request.bug", method=request.method, path=route.path if route else "")
            problem = Problem("internal-error", "this is a bug in balance-monitor; its log says more")
        return render(completed(problem, self.api, request.rel_url.raw_path, asked))

    def _check(self, request: web.BaseRequest) -> None:
        """Refuse what no endpoint should see."""
        headers = request.headers
        if not self._tokens and not speaks_locally(headers.get("Host"), headers.get("Origin")):
            raise Problem("host-refused", "without http.tokens only this machine is answered")
        if len(request.rel_url.raw_query_string) > QUERY_MAX:
            raise invalid(f"a query string may have {QUERY_MAX} characters at most")
        if int(headers.get(hdrs.CONTENT_LENGTH, 0)) > BODY_MAX:
            raise too_large()
        if headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
            raise invalid("send the body as it is, without Content-Encoding")

    def _find(self, request: web.BaseRequest) -> tuple[Route, Mapping[str, str]]:
        found = self._router.find(request.rel_url.raw_path)
        if found is None:
            raise Problem("not-found", "there is nothing at this path")
        routes, values = found
        if (route := routes.get(request.method)) is None:
            allowed = ", ".join(sorted(routes))
            raise Problem("method-not-allowed", f"use {allowed}", {"Allow": allowed})
        return route, values

    def _authorize(self, request: web.BaseRequest, scopes: tuple[Scope, ...]) -> Token:
        # Of two, somebody on the way may have read the other.
        shown = request.headers.getall(hdrs.AUTHORIZATION, ())
        token = find(self._tokens, shown[0]) if len(shown) == 1 else None
        if token is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="balance-monitor"'}
            raise Problem("unauthorized", "send a known token: Authorization: Bearer …", challenge)
        if not token.may(scopes):
            raise Problem("forbidden", f"this needs a token with the scope {' or '.join(scopes)}")
        return token

    async def _ask(self, route: Route, request: Request) -> Answer:
        signers = self.api.signers if route.signed else None
        if route.takes is not None or signers is not None:
            await request.read()
        # Whoever watches that we live must not end us for being busy.
        most = IN_FLIGHT_MAX + ENDING_MAX if route.ends else IN_FLIGHT_MAX
        if self.in_flight >= most and route.endpoint is not alive:
            raise later("overloaded", "too many requests at once", timedelta(seconds=1))
        self.in_flight += 1
        try:
            if signers is not None:
                await verify(signers, request, self.api.clock())
            # Only now: who cannot sign must not spend the rate of who can.
            if (token := request.token) is not None and token.rate is not None:
                self._spend(token, token.rate)
            return await route.endpoint(self.api, request)
        finally:
            self.in_flight -= 1

    def _spend(self, token: Token, rate: Rate) -> None:
        now = self.api.clock()
        bucket = self._buckets.setdefault(token.name, Bucket(rate.requests, now))
        if (wait := bucket.take(rate, now)) is not None:
            raise later("rate-limited", "this token's rate is spent", wait)


async def serve(app: App, listen: str) -> Serving:
    """Listen on `host:port` (port 0: any free one). ConfigError when it needs tokens or cannot be had."""
    host, port = _address(listen)
    if not app.api.tokens and not is_loopback(host):
        raise ConfigError([f"http.listen: {listen} is not loopback, so http.tokens are needed"])
    # Without aiohttp's own router and middlewares: with the limits here they cost more than a call to the store.
    server = _Server(
        app.handle,
        places=app.places,
        access_log=None,
        keepalive_timeout=IDLE.total_seconds(),
        lingering_time=LINGER.total_seconds(),
        max_line_size=HEADER_MAX,
        max_field_size=HEADER_MAX,
        max_headers=HEADERS_MAX,
        # What was signed is what was sent, and a small body may not become a large one.
        auto_decompress=False,
    )
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN.total_seconds())
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError([f"http.listen: cannot listen on {listen}: {error.strerror}"]) from None
    return Serving(host, site.port, runner)


def _address(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname or "0.0.0.0", parts.port  # noqa: S104  # ":8787" means everywhere, as in Prometheus
    except ValueError:
        host, port = "", None
    if port is None or not host:
        raise ConfigError([f"http.listen: {listen!r} is not an address, write it like 127.0.0.1:8787"])
    return host, port


class _Server(web.Server):
    """aiohttp's, with connections of ours."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """aiohttp's, but there is room for so many only; and what is no HTTP is refused like everything else, and not
    logged: any stranger can send it."""

    def __init__(self, manager: web.Server, *, places: Places, **options: Any) -> None:
        super().__init__(manager, **options)
        self._places = places

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._places.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self._places.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's may say to stay
        """Who says no more (`nc -N`, some proxies) is still answered what was asked: the money may be held already."""
        idle = self._waiter is not None and not self._waiter.done()
        asked = self._current_request
        if not self._request_count or idle or (asked is not None and not asked.content.is_eof()):
            return False
        self.close()  # once that is done
        return True

    def abort(self) -> None:
        """Hang up at once."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """See aiohttp."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        answer = render(invalid("this is no request that can be read: " + exc.message.partition("\n")[0][:100]))
        answer.force_close()
        return answer


def _is_taken_at_once(request: web.BaseRequest, answer: Answer) -> bool:
    """Whether this answer fits into what the system buffers, so that writing it cannot wait for its reader."""
    transport = request.transport
    return transport is None or transport.get_write_buffer_size() + answer.size < WRITE_QUICK


async def _write(request: web.BaseRequest, answer: Answer) -> None:
    """Write here rather than after us, so that a caller who does not read cannot hold a request for ever."""
    try:
        async with asyncio.timeout(WRITE_DEADLINE.total_seconds()):
            await answer.prepare(request)
            await request.writer.drain()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the caller went away; aiohttp closes the rest
