"""What goes back over the wire: JSON, and problems as JSON."""

from functools import lru_cache
from http import HTTPStatus

import msgspec
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time

from monitor.api.problems import Problem

#: Of every answer: it does not name the software below, is what it says, and nobody keeps it.
_ALWAYS = "Server: balance-monitor\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
_JSON, _PROBLEM = "application/json", "application/problem+json"


class Answer(web.StreamResponse):
    """An answer that is all there. It goes out in one piece, for a quarter of what aiohttp takes for its own, which has
    its headers in a dictionary. `more` are header lines of its own."""

    def __init__(self, status: int, body: bytes, content_type: str, more: str = "") -> None:
        super().__init__(status=status)
        self.size = len(body)
        self._bytes, self._kind, self._more = body, content_type, more
        self._written = False

    async def prepare(self, request: web.BaseRequest) -> None:
        """See aiohttp: all of it is written here, once."""
        if self._written:
            return
        self._written = True
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        now = rfc822_formatted_time()
        head = _head(request.version, self.status, self._kind, self._more, self._keep_alive, now)
        body = b"" if request.method == hdrs.METH_HEAD else self._bytes
        await request.writer.write(b"%b%d\r\n\r\n%b" % (head, self.size, body))

    async def write_eof(self, data: bytes = b"") -> None:
        """See aiohttp."""


# The same ones for a second, until the date changes.
@lru_cache(maxsize=64)
def _head(version: HttpVersion, status: int, content_type: str, more: str, stays: bool, date: str) -> bytes:
    """All that goes before a body, up to its length."""
    connection = ""
    if stays and version == HttpVersion10:
        connection = "Connection: keep-alive\r\n"
    elif not stays and version == HttpVersion11:
        connection = "Connection: close\r\n"
    return (
        f"HTTP/{version.major}.{version.minor} {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
        f"{_ALWAYS}{more}Date: {date}\r\n{connection}Content-Length: "
    ).encode()


def answer(body: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, msgspec.json.encode(body), _JSON)


def document(body: bytes, content_type: str) -> Answer:
    """An answer that is no JSON of ours."""
    return Answer(200, body, content_type)


def render(problem: Problem) -> Answer:
    """A problem, as RFC 9457 wants it."""
    body = {
        "type": problem.name,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    more = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    return Answer(problem.status, msgspec.json.encode(body), _PROBLEM, more)
