"""How a command reaches the embedded store, whether a daemon is running or not."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from monitor.errors import StoreUnusable
from monitor.store.asking import STEP_SECONDS, ask
from monitor.store.datadir import DataDir
from monitor.store.embedded import Busy, EmbeddedServer, Fsync

#: A daemon that has just started publishes its address within moments; another command is done soon.
PATIENCE_SECONDS = 10.0


class Attached(NamedTuple):
    """A server to connect to, and which life of its data this is."""

    url: str
    life: str


@asynccontextmanager
async def attach(data_dir: Path, *, fsync: Fsync = "everysec") -> AsyncIterator[Attached]:
    """The running daemon's server, else one started for as long as the command lasts.

    StoreUnusable says why there is neither.
    """
    server = EmbeddedServer(data_dir, fsync=fsync, kind="command")
    other = _another_user(data_dir)
    found = await (_reach(server, data_dir) if other is None else _beside(data_dir, other))
    try:
        yield found
    finally:
        await server.stop()


async def _reach(server: EmbeddedServer, data_dir: Path) -> Attached:
    for step in range(int(PATIENCE_SECONDS / STEP_SECONDS)):
        try:
            return Attached(await server.start(), server.life)
        except Busy as busy:
            owner, last = busy.owner, busy
        # Whoever is a command itself stops its server when it is done: not one to lean on.
        if owner is not None and owner.kind == "daemon":
            if owner.host != socket.gethostname():
                raise last
            found = await _answering(data_dir)
            if found is not None:
                return found
        await asyncio.sleep(STEP_SECONDS if step else 0)
    raise last


def _another_user(data_dir: Path) -> int | None:
    owner = data_dir.stat().st_uid if data_dir.is_dir() else os.geteuid()
    return None if owner == os.geteuid() else owner


async def _beside(data_dir: Path, user: int) -> Attached:
    # Root may use a daemon's server, but files that root made would keep the daemon from starting again.
    found = await _answering(data_dir)
    if found is None:
        raise StoreUnusable(
            f"no daemon is running on {data_dir}, which belongs to user id {user}: "
            "start the daemon, or run this command as that user"
        )
    return found


async def _answering(data_dir: Path) -> Attached | None:
    address = DataDir(data_dir).address()
    if address is None or await ask(address.socket, "PING") != "PONG":
        return None
    return Attached(f"unix://{address.socket}", address.life)
