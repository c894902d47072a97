"""A word with a server that may be loading, stopping, foreign or gone."""

import asyncio
import os
import signal
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from monitor.store.datadir import DataDir, Lock, servers_in

#: A shutdown writes and syncs what is left of the append-only file.
STOP_SECONDS = 15.0
STEP_SECONDS = 0.05
_ASK_SECONDS = 2.0
#: Once this is answered nothing acknowledged is lost any more, however it ends (`flushAppendOnlyFile` in aof.c).
_SYNC = "CONFIG SET appendfsync always"


async def ask(socket: str, command: str) -> str | None:
    """One command to a server; `LOADING` while it reads its data, None when nobody answers.

    `SHUTDOWN` has no answer when it succeeds.
    """
    client = Redis(
        unix_socket_path=socket,
        socket_timeout=_ASK_SECONDS,
        socket_connect_timeout=_ASK_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    try:
        answer = await client.execute_command(command)  # type: ignore[no-untyped-call]  # redis-py left it so
        return "PONG" if answer is True else str(answer)
    except BusyLoadingError:
        return "LOADING"
    except (RedisError, OSError):
        return None
    finally:
        await client.aclose()


async def end_orphan(data: DataDir, lock: Lock) -> tuple[bool, bool]:
    """Shut down the server that outlived its daemon, and take its lock.

    Whether it let go, and whether all that it acknowledged is known to be on the disk: one that is just being killed
    lets go, too. Asked through its socket; if the socket is gone (a cleaner of /tmp), by signal. A signal goes only to
    a server program that works in this very directory while our lock is held.
    """
    address, synced = data.address(), None
    if address is not None and (synced := await ask(address.socket, _SYNC)) is not None:
        await ask(address.socket, "SHUTDOWN")
        if await _taken(lock):
            return True, synced == "OK"
    for pid in servers_in(data.path):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    return await _taken(lock), False


async def _taken(lock: Lock) -> bool:
    for _ in range(int(STOP_SECONDS / STEP_SECONDS)):
        if lock.take():
            return True
        await asyncio.sleep(STEP_SECONDS)
    return False
