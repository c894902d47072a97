"""The HTTP server: routes with their scopes, and the limits that every request meets.

local or token ─▶ size ─▶ room ─▶ route ─▶ scope ─▶ signature ─▶ rate ─▶ handler ─▶ answer written in time
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from monitor.api.auth import Bucket, Scope, Token, find, is_loopback, speaks_locally
from monitor.api.context import ApiContext
from monitor.api.problems import Problem, from_http, invalid, later, too_large
from monitor.api.replies import render
from monitor.api.routes import ROUTES, Route
from monitor.api.signing import verify
from monitor.errors import ConfigError, StoreUnavailable

log = structlog.get_logger("monitor.api")

BODY_MAX = 64 * 1024
QUERY_MAX = 2_048
HEADER_MAX = 8_190
HEADERS_MAX = 64
#: Requests worked on at once; more are told to come back.
IN_FLIGHT_MAX = 256
#: How long a caller may take to read its answer.
WRITE_DEADLINE = timedelta(seconds=10)
#: How long an idle connection, or one that does not finish its headers, is kept.
IDLE = timedelta(seconds=75)
#: How long a body that nobody wants is read before the connection is closed.
LINGER = timedelta(seconds=2)
SHUTDOWN = timedelta(seconds=5)


@dataclass(slots=True)
class _Running:
    """What changes while the server runs: the context on reload, and the counts behind the limits."""

    api: ApiContext
    in_flight: int = 0
    buckets: dict[str, Bucket] = field(default_factory=dict)


_RUNNING = web.AppKey("running", _Running)


@dataclass(frozen=True, slots=True)
class Serving:
    """A listening server; `port` is the real one also when 0 was asked for."""

    host: str
    port: int
    _runner: web.AppRunner

    async def close(self) -> None:
        """Stop listening, and let requests in flight finish for a moment."""
        await self._runner.cleanup()


def build(api: ApiContext, routes: Sequence[Route] = ROUTES) -> web.Application:
    """The application, ready to serve. `routes` is there for tests."""
    app = web.Application(middlewares=[_limits], client_max_size=BODY_MAX)
    app[_RUNNING] = _Running(api)
    for route in routes:
        app.router.add_route(route.method, route.path, _handler(route))
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, _handler(route))
    return app


def swap(app: web.Application, api: ApiContext) -> None:
    """Answer from another context from the next request on (a reload)."""
    app[_RUNNING].api = api


async def serve(app: web.Application, listen: str) -> Serving:
    """Listen on `host:port` (port 0: any free one). ConfigError when it needs tokens or cannot be had."""
    host, port = _address(listen)
    if not app[_RUNNING].api.tokens and not is_loopback(host):
        raise ConfigError([f"http.listen: {listen} is not loopback, so http.tokens are needed"])
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        logger=_server_log(),
        keepalive_timeout=IDLE.total_seconds(),
        lingering_time=LINGER.total_seconds(),
        shutdown_timeout=SHUTDOWN.total_seconds(),
        max_line_size=HEADER_MAX,
        max_field_size=HEADER_MAX,
        max_headers=HEADERS_MAX,
        # What was signed is what was sent, and a small body may not become a large one.
        auto_decompress=False,
    )
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


def _server_log() -> logging.Logger:
    """aiohttp's log without what any stranger can put there: requests that are no HTTP."""
    logger = logging.getLogger("aiohttp.server.api")
    if not logger.filters:
        logger.addFilter(_not_their_fault)
    return logger


def _not_their_fault(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _handler(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        running = request.app[_RUNNING]
        api = running.api
        token = _authorize(api, request, route.scopes) if route.scopes and api.tokens else None
        try:
            async with asyncio.timeout(route.deadline.total_seconds()):
                if route.signed and api.signers is not None:
                    await verify(api.signers, request, api.clock())
                # Only now: who cannot sign must not spend the rate of who can.
                if token is not None:
                    _spend(running, token)
                return await route.endpoint(api, request)
        except StoreUnavailable:
            raise later("store-unavailable", "the store does not answer", timedelta(seconds=1)) from None
        except TimeoutError:
            raise later("deadline-exceeded", "no answer in time", timedelta(seconds=1)) from None

    return handle


def _authorize(api: ApiContext, request: web.Request, scopes: tuple[Scope, ...]) -> Token:
    token = find(api.tokens, request.headers.get("Authorization", ""))
    if token is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="balance-monitor"'}
        raise Problem("unauthorized", "send a known token: Authorization: Bearer …", challenge)
    if not token.may(scopes):
        raise Problem("forbidden", f"this needs a token with the scope {' or '.join(scopes)}")
    return token


def _spend(running: _Running, token: Token) -> None:
    if token.rate is None:
        return
    now = running.api.clock()
    bucket = running.buckets.setdefault(token.name, Bucket(token.rate.requests, now))
    if (wait := bucket.take(token.rate, now)) is not None:
        raise later("rate-limited", "this token's rate is spent", wait)


@web.middleware
async def _limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    running = request.app[_RUNNING]
    running.in_flight += 1
    try:
        answer = await _answer(running, request, handler)
        answer.headers["Server"] = "balance-monitor"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Cache-Control"] = "no-store"
        running.api.metrics.answered(answer.status)
        await _write(request, answer)
        return answer
    finally:
        running.in_flight -= 1


async def _answer(running: _Running, request: web.Request, handler: Handler) -> web.StreamResponse:
    """The answer, whatever happens: everything that is raised becomes a problem."""
    try:
        _check(running, request)
        return await handler(request)
    except Problem as problem:
        return render(problem)
    except web.HTTPException as error:
        return render(from_http(error))
    except Exception:
        # Bulkhead: a bug in one endpoint must not show its insides to the caller, nor end the server.
        resource = request.match_info.route.resource
        log.exception("request.bug", method=request.method, path=resource.canonical if resource else "")
        return render(Problem("internal-error", "this is a bug in balance-monitor; its log says more"))


def _check(running: _Running, request: web.Request) -> None:
    """Refuse what no handler should see."""
    if not running.api.tokens and not speaks_locally(request.headers.get("Host"), request.headers.get("Origin")):
        raise Problem("host-refused", "without http.tokens only this machine is answered")
    if len(request.query_string) > QUERY_MAX:
        raise invalid(f"a query string may have {QUERY_MAX} characters at most")
    if (request.content_length or 0) > BODY_MAX:
        raise too_large()
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise invalid("send the body as it is, without Content-Encoding")
    if running.in_flight > IN_FLIGHT_MAX:
        raise later("overloaded", "too many requests at once", timedelta(seconds=1))


async def _write(request: web.Request, answer: web.StreamResponse) -> None:
    """Write here rather than after us, so that a caller who does not read cannot hold a request for ever."""
    try:
        async with asyncio.timeout(WRITE_DEADLINE.total_seconds()):
            await answer.prepare(request)
            await answer.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the caller went away; aiohttp closes the rest
