"""Servers inside the benchmark's own process, so that both ends of a measurement read the same clock."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """What reached a server."""

    connections: int = 0
    requests: int = 0


#: (request line and headers, body, when its first byte arrived) → the body to answer with, or a whole answer that
#: begins with `HTTP/`, or None to leave the client waiting.
Answer = Callable[[bytes, bytes, float], bytes | None]
#: Hears that the answer to that request has been written.
Written = Callable[[bytes], None]


def _nobody(_head: bytes) -> None:
    pass


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a well-behaved client needs it: one request after another, bodies with a length."""

    def __init__(self, traffic: Traffic, answer: Answer, written: Written) -> None:
        self._traffic, self._answer, self._written = traffic, answer, written
        self._received, self._since = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._traffic.connections += 1

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._since = time.perf_counter()
        self._received += data
        while (request := self._next()) is not None:
            self._traffic.requests += 1
            body = self._answer(*request, self._since)
            if body is None:
                continue
            self._transport.write(body if body.startswith(b"HTTP/") else _HEAD % len(body) + body)
            self._written(request[0])

    def _next(self) -> tuple[bytes, bytes] | None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _length(head) if end else 0
        if not end or len(rest) < length:
            return None
        self._received = rest[length:]
        return head, rest[:length]


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def _length(head: bytes) -> int:
    _, named, value = head.lower().partition(b"content-length:")
    return int(value.split(b"\r\n", 1)[0]) if named else 0


@asynccontextmanager
async def serve(answer: Answer, written: Written = _nobody) -> AsyncIterator[tuple[str, Traffic]]:
    """A server on a free port of loopback: its origin and what has reached it so far."""
    traffic = Traffic()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(traffic, answer, written), "127.0.0.1", 0, backlog=4096)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", traffic
    finally:
        server.close()
