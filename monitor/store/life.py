"""Which life of its server a guard call reaches: whether what was acknowledged may have been lost since another call.

A server gives itself a new `master_replid` whenever it starts, or becomes the primary. Asked when a connection is made,
before anything else is sent on it, it holds for all that travels on that connection: a primary that is replaced or
restarted hangs up, or refuses writes, and then the connection is made again.
Source: https://redis.io/docs/latest/commands/info/
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError


class _Word(str):
    """Text that is told from the same text by whose it is."""

    __slots__ = ()


#: How a call shall say whose life it reaches. Wires with a witness put their connection's own word in its place, so
#: that no call ever claims another life than the one it reaches. Others send it as it is: the same life for ever.
LIFE: Final = _Word("same")
#: Likewise whether a store that remembers no life may be taken for a new one: `1`, or `0` where nobody says that what
#: is acknowledged also reaches an append-only file. Without one it may have lost all it had.
TRUSTED: Final = _Word("1")


class Life(NamedTuple):
    """What is put in the place of LIFE and TRUSTED."""

    name: str
    trusted: str


#: Sends one command on a connection, and returns its answer.
Ask = Callable[..., Awaitable[Any]]
#: Asks on a connection.
Witness = Callable[[Ask], Awaitable[Life]]


async def primary_life(ask: Ask) -> Life:
    """What the server says of itself.

    Where it may not be asked (a managed service without INFO) every connection is a life of its own: nobody knows what
    was lost between two of them, so the guard is in quarantine after each.
    """
    known = re.search(rb"^master_replid:(\w+)", await _asked(ask, "INFO", "replication") or b"", re.MULTILINE)
    kept = await _asked(ask, "CONFIG", "GET", "appendonly")
    name = known[1].decode() if known else f"unknown-{secrets.token_hex(8)}"
    return Life(name, "1" if kept and kept[-1] == b"yes" else "0")


def told(name: str) -> Witness:
    """The witness of an embedded server, whose life its directory knows."""

    async def witness(_: Ask) -> Life:
        return Life(name, "1")

    return witness


async def _asked(ask: Ask, *command: str) -> Any:
    try:
        return await ask(*command)
    except ResponseError:
        return None
