"""How a command reaches the embedded store, whether a daemon is running or not."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from monitor.errors import StoreUnusable
from monitor.store.asking import STEP_SECONDS, ask
from monitor.store.datadir import DataDir
from monitor.store.embedded import Busy, EmbeddedServer, Fsync

#: A daemon that has just started publishes its address within moments; another command is done soon.
PATIENCE_SECONDS = 10.0


@asynccontextmanager
async def attach(data_dir: Path, *, fsync: Fsync = "everysec") -> AsyncIterator[str]:
    """The url of the running daemon's server, else of one started for as long as the command lasts.

    StoreUnusable says why there is neither.
    """
    server = EmbeddedServer(data_dir, fsync=fsync, kind="command")
    other = _another_user(data_dir)
    url = await (_reach(server, data_dir) if other is None else _beside(data_dir, other))
    try:
        yield url
    finally:
        await server.stop()


async def _reach(server: EmbeddedServer, data_dir: Path) -> str:
    for step in range(int(PATIENCE_SECONDS / STEP_SECONDS)):
        try:
            return await server.start()
        except Busy as busy:
            owner, last = busy.owner, busy
        # Whoever is a command itself stops its server when it is done: not one to lean on.
        if owner is not None and owner.kind == "daemon":
            if owner.host != socket.gethostname():
                raise last
            url = await _answering(data_dir)
            if url is not None:
                return url
        await asyncio.sleep(STEP_SECONDS if step else 0)
    raise last


def _another_user(data_dir: Path) -> int | None:
    owner = data_dir.stat().st_uid if data_dir.is_dir() else os.geteuid()
    return None if owner == os.geteuid() else owner


async def _beside(data_dir: Path, user: int) -> str:
    # Root may use a daemon's server, but files that root made would keep the daemon from starting again.
    url = await _answering(data_dir)
    if url is None:
        raise StoreUnusable(
            f"no daemon is running on {data_dir}, which belongs to user id {user}: "
            "start the daemon, or run this command as that user"
        )
    return url


async def _answering(data_dir: Path) -> str | None:
    address = DataDir(data_dir).address()
    if address is None or await ask(address.socket, "PING") != "PONG":
        return None
    return f"unix://{address.socket}"
