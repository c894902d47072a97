"""A provider as cheap as one can be in Python: the same bytes for every request, from a process of its own.

Prints its port. Bodies come from the command line; with two, it answers them in turn.
"""

import asyncio
import itertools
import sys

import uvloop


class Answers(asyncio.Protocol):
    """Answers each complete request head (bodies are small and arrive with it)."""

    def __init__(self, bodies: itertools.cycle) -> None:
        self._bodies = bodies
        self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self._transport.write(next(self._bodies))


def packed(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


async def main() -> None:
    bodies = itertools.cycle([packed(body.encode()) for body in sys.argv[1:]])
    server = await asyncio.get_running_loop().create_server(lambda: Answers(bodies), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


uvloop.run(main())
