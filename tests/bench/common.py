"""What the benchmarks share: servers in processes of their own, and how results are shown."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor.store.embedded import EmbeddedServer

SERVER = Path(__file__).parent / "server.py"


@dataclass(frozen=True)
class Result:
    """One line of figures."""

    name: str
    figures: dict[str, float | int | str]


@asynccontextmanager
async def provider(*bodies: str) -> AsyncIterator[str]:
    """A cheap provider; its origin."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(SERVER), *bodies, stdout=asyncio.subprocess.PIPE)
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def store_server() -> AsyncIterator[str]:
    """The embedded server as the product starts it, on an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "data")
        url = await server.start()
        try:
            yield url
        finally:
            await server.stop()
