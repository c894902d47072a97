"""Which life of its server a guard call reaches: whether what was acknowledged may have been lost since another call.

A server gives itself a new `master_replid` whenever it starts, or becomes the primary. Asked when a connection is made,
before anything else is sent on it, it holds for all that travels on that connection: a primary that is replaced or
restarted hangs up, or refuses writes, and then the connection is made again.
Source: https://redis.io/docs/latest/commands/info/
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.exceptions import ResponseError

#: Says how a call shall say whose life it reaches: wires with a witness put that connection's own word in its place, so
#: that no call ever claims another life than its own. Others send it as it is: the same life for ever.
LIFE: Final = "same"
#: How the word begins where nobody says that what is acknowledged also reaches an append-only file. There a store that
#: remembers no life at all may have had one.
FORGETFUL: Final = "?"

#: Asks on a connection for the word.
Witness = Callable[[Any], Awaitable[str]]


async def primary_life(connection: Any) -> str:
    """What the server says of itself.

    Where it may not be asked (a managed service without INFO) every connection is a life of its own: nobody knows what
    was lost between two of them, so the guard is in quarantine after each.
    """
    known = re.search(rb"^master_replid:(\w+)", await _asked(connection, "INFO", "replication") or b"", re.MULTILINE)
    life = known[1].decode() if known else f"unknown-{secrets.token_hex(8)}"
    kept = await _asked(connection, "CONFIG", "GET", "appendonly")
    return life if kept and kept[-1] == b"yes" else FORGETFUL + life


def told(life: str) -> Witness:
    """The witness of a server whose life is known already."""

    async def witness(_: Any) -> str:
        return life

    return witness


async def _asked(connection: Any, *command: str) -> Any:
    await connection.send_command(*command)
    try:
        return await connection.read_response()
    except ResponseError:
        return None
