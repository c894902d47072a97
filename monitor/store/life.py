"""Which life of its server a guard call reaches: whether what was acknowledged may have been lost since another call.

A server has a new `run_id` whenever it starts, and a new `master_replid` when it becomes the primary: that of the
primary before is `master_replid2` then. Asked when a connection is made, before anything else is sent on it, this holds
for what travels on that connection: a primary that is replaced or restarted hangs up, or refuses writes, and then the
connection is made again. Where neither happens (it was a replica for a moment, or a proxy is in between) it is noticed
by asking again, every second.

A primary also changes its `master_replid` when it gets its first replica, or has been without any for an hour, and then
forgets the one before (`changeReplicationId` in replication.c). Nothing is lost by that, and nobody is disconnected.
Source: https://redis.io/docs/latest/commands/info/

Where INFO may not be asked, what a library of functions keeps in memory is a sign of the run as well: it is neither
stored nor replicated, and is gone when the server restarts, or takes over all of another's data as its replica.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog
from redis.exceptions import ResponseError

log = structlog.get_logger("monitor.guard")


class _Word(str):
    """Text that is told from the same text by whose it is."""

    __slots__ = ()


#: How a call shall say whose life it reaches. Wires with a witness put their connection's own word in its place, so
#: that no call ever claims another life than the one it reaches. Others send it as it is: the same life for ever.
LIFE: Final = _Word("same")
#: Likewise when the store may last have lost all it had, in microseconds since 1970: what remembers no life is then not
#: taken for new until nothing that was lost can matter any more. `0`: never.
LOST: Final = _Word("0")
#: Where nobody says that what is acknowledged also reaches an append-only file.
_AT_ANY_TIME = "9" * 16


class Life(NamedTuple):
    """What is put in the place of LIFE and LOST. Where it is not `known` the name is that of this one answer."""

    name: str
    lost: str
    known: bool = True


#: A library of its own, the same in all releases: each load of it is another life.
_LIBRARY = """#!lua name=balance_monitor_life
local life
redis.register_function{function_name='bm_life', flags={'no-writes'}, callback=function()
  if not life then
    local time = redis.call('TIME')
    life = 'since' .. time[1] .. ('00000' .. time[2]):sub(-6)
  end
  return life
end}
"""

#: Sends one command on a connection, and returns its answer.
Ask = Callable[..., Awaitable[Any]]
#: Asks on a connection.
Witness = Callable[[Ask], Awaitable[Life]]


async def primary_life(ask: Ask) -> Life:
    """What the server says of itself: its run, and where it became the primary during that also since when.

    The run alone means the same as with anything after it. Where nothing tells one run from another, every connection
    is a life of its own: nobody knows what was lost between two of them, so the guard is in quarantine after each.
    """
    run = _said("run_id", await _asked(ask, "INFO", "server"))
    replication = await _asked(ask, "INFO", "replication")
    since, before = _said("master_replid", replication), _said("master_replid2", replication)
    kept = await _asked(ask, "CONFIG", "GET", "appendonly")
    name = "-".join([one for one in (run, since if before.strip("0") or not run else "") if one])
    name = name or await _remembered(ask)
    lost = "0" if kept and kept[-1] == b"yes" else _AT_ANY_TIME
    return Life(name or f"unknown-{secrets.token_hex(8)}", lost, known=bool(name))


def _said(name: str, info: bytes | None) -> str:
    """One line of what INFO answers; empty where there is none."""
    found = re.search(rf"^{name}:(\w+)", (info or b"").decode(), re.MULTILINE)
    return found[1] if found else ""


async def _remembered(ask: Ask) -> str:
    """What the library says of itself; empty where it cannot be had, or says something else each time."""
    question = ("FCALL", "bm_life", "0")
    first = await _asked(ask, *question)
    if first is None:
        await _asked(ask, "FUNCTION", "LOAD", _LIBRARY)
        first = await _asked(ask, *question)
    return first.decode() if first and first == await _asked(ask, *question) else ""


def said_unknown(life: Life, said: bool) -> bool:
    """Say once that nobody tells this server's lives apart; whether that is said."""
    if not life.known and not said:
        log.warning("guard.life_unknown", why="neither INFO nor a function tells one run of the store from another")
    return said or not life.known


def new_life(lost_us: int | None = None) -> str:
    """A name for the life of an embedded server's data; with when they may have lost what they had, if they had any."""
    name = secrets.token_hex(16)
    return name if lost_us is None else f"{name}@{lost_us}"


def told(name: str) -> Witness:
    """The witness of an embedded server, whose life its directory knows: a name that `new_life` made."""

    async def witness(_: Ask) -> Life:
        return Life(name, name.partition("@")[2] or "0")

    return witness


async def _asked(ask: Ask, *command: str) -> Any:
    try:
        return await ask(*command)
    except ResponseError:
        return None
