"""What destinations get wrong, for every channel: hand a fault's `answer` to a `Receiver` and see what comes of it.

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    async def test_…(http, receiver, fault):
        receiver.answers = [fault.answer]
        outcome = await outcome_of(channel, message)
        assert fault.allows(outcome)

`allows` is what holds for all channels. What a destination's own codes and bodies mean is its channel's test.
"""

import asyncio
import gzip
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from monitor.channels.http import WAIT_MAX
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import Message, Receipt
from tests.builders import NOON

Answer = tuple[int, str | bytes, dict[str, str]] | Callable[[web.Request], Awaitable[web.StreamResponse]]
Outcome = Receipt | DeliveryError

#: What a channel under test is given where it is to run out of time: the slow ones answer long after it.
SHORT = timedelta(milliseconds=300)
#: And where it is to answer, however busy this machine is.
AMPLE = timedelta(seconds=20)
_LONG = 60.0


@dataclass(frozen=True)
class Fault:
    """`later`: every channel must try again. `wait`: and that is what it was asked to wait, None for nothing usable.
    `slow`: it takes longer than anybody waits.

    A fault that is not `later` may be final or not, as its channel knows better, but is told as a DeliveryError;
    with `may_pass` the channel may also take it for a success.
    """

    name: str
    answer: Answer
    later: bool = False
    wait: timedelta | None = None
    may_pass: bool = False
    slow: bool = False

    @property
    def timeout(self) -> timedelta:
        """What to give the channel."""
        return SHORT if self.slow else AMPLE

    def __str__(self) -> str:
        return self.name

    def allows(self, outcome: Outcome) -> bool:
        """Whether a channel may make that of it."""
        if isinstance(outcome, Receipt):
            return self.may_pass
        if self.later:
            return isinstance(outcome, DeliveryDeferred) and outcome.wait == self.wait
        return isinstance(outcome, DeliveryDeferred | DeliveryRejected)


async def outcome_of(channel, message: Message, now=NOON) -> Outcome:
    """What a channel made of one message; anything but a DeliveryError is its bug and is raised."""
    try:
        return await channel.send(message, now)
    except DeliveryError as error:
        return error


def shown(outcome: Outcome) -> str:
    """All that logs, dead letters and people could ever see of it: to be searched for secrets."""
    return repr(outcome) + ("".join(traceback.format_exception(outcome)) if isinstance(outcome, Exception) else "")


def _stream(request: web.Request, **settings) -> web.StreamResponse:
    answer = web.StreamResponse(**settings)
    # Nobody is to take the end of it for the end of the connection.
    answer.enable_chunked_encoding()
    return answer


async def slow_headers(request: web.Request) -> web.StreamResponse:
    """Takes the request and says nothing."""
    await asyncio.sleep(_LONG)
    return web.Response(text="ok")


async def endless_body(request: web.Request) -> web.StreamResponse:
    """An error whose body never ends."""
    answer = _stream(request, status=500)
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b"x" * 65_536)
    except ConnectionError:
        return answer


async def dripping_body(request: web.Request) -> web.StreamResponse:
    """An error whose body comes byte by byte."""
    answer = _stream(request, status=503)
    await answer.prepare(request)
    try:
        for _ in range(int(_LONG / 0.05)):
            await answer.write(b"x")
            await asyncio.sleep(0.05)
    except ConnectionError:
        pass
    return answer


async def torn_body(request: web.Request) -> web.StreamResponse:
    """An error that breaks off in the middle of its body."""
    answer = web.StreamResponse(status=502, headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"half")
    request.transport.close()
    return answer


async def reset_after_request(request: web.Request) -> web.StreamResponse:
    """Reads all of the request and resets the connection: nobody knows whether it was taken."""
    request.transport.abort()
    return web.Response()


async def close_after_request(request: web.Request) -> web.StreamResponse:
    """The same, politely."""
    request.transport.close()
    return web.Response()


def closing_in_the_pool(said: str, status: int = 200) -> Answer:
    """Answers well, promises to keep the connection, and closes it: the next request meets a dead one."""

    async def close(request: web.Request) -> web.StreamResponse:
        answer = web.Response(status=status, text=said, headers={"Connection": "keep-alive"})
        await answer.prepare(request)
        await answer.write_eof()
        asyncio.get_running_loop().call_later(0.01, request.transport.close)
        return answer

    return close


def _throttled(name: str, after: str | None, wait: timedelta | None) -> Fault:
    headers = {} if after is None else {"Retry-After": after}
    return Fault(f"429 {name}", (429, "slow down", headers), later=True, wait=wait)


def _later(name: str, answer: Answer, *, slow: bool = False) -> Fault:
    return Fault(name, answer, later=True, slow=slow)


_HTML = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
_BOMB = gzip.compress(b"\0" * 20_000_000)
_SECOND = timedelta(seconds=1)

THROTTLED: tuple[Fault, ...] = (
    _throttled("without a wait", None, None),
    _throttled("seconds", "30", 30 * _SECOND),
    _throttled("a fraction of a second", "0.376", _SECOND),
    _throttled("a date", "Fri, 20 Nov 2026 12:00:30 GMT", 30 * _SECOND),
    _throttled("absurdly long", "1000000000", WAIT_MAX),
    _throttled("a negative number", "-5", None),
    _throttled("garbage", "soon", None),
)
UNANSWERED: tuple[Fault, ...] = (
    _later("slow headers", slow_headers, slow=True),
    _later("a reset after the request", reset_after_request),
    _later("a close after the request", close_after_request),
)
BROKEN: tuple[Fault, ...] = (
    _later("500", (500, "internal error", {})),
    _later("502 with a page", (502, _HTML, {"Content-Type": "text/html"})),
    _later("503", (503, "", {})),
    _later("504", (504, "", {})),
    _later("an endless body", endless_body),
    _later("a dripping body", dripping_body, slow=True),
    _later("a torn body", torn_body),
    _later("a compressed bomb", (503, _BOMB, {"Content-Encoding": "gzip"})),
)
REFUSED: tuple[Fault, ...] = tuple(
    Fault(str(status), (status, "no", {})) for status in (400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422)
)
ODD: tuple[Fault, ...] = (
    Fault("200 with an error", (200, '{"ok": false, "error": "channel_not_found"}', {}), may_pass=True),
    Fault("200 with a page", (200, _HTML, {"Content-Type": "text/html"}), may_pass=True),
    Fault("200 with nothing", (200, "", {}), may_pass=True),
    Fault("202", (202, "", {}), may_pass=True),
    Fault("204", (204, "", {}), may_pass=True),
    *(Fault(str(status), (status, "", {"Location": "/elsewhere"})) for status in (301, 302, 303, 307, 308)),
    Fault("a status that is none", (599, "", {})),
)
FAULTS: tuple[Fault, ...] = (*THROTTLED, *UNANSWERED, *BROKEN, *REFUSED, *ODD)
