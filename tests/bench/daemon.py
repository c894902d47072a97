"""The real daemon as a process of its own, and what can be read of it from outside."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

PROBED = Path(__file__).parent / "probed.py"
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE = re.compile(r"^balance_monitor_(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Daemon:
    """A running `balance-monitor run`. Times are of `time.perf_counter`."""

    def __init__(self, process: asyncio.subprocess.Process, begun: float, port: int, probe: Path | None) -> None:
        self.process, self.begun, self.port, self.probe = process, begun, port, probe
        #: When all was enrolled and the API listened; cancelled when the daemon ended before.
        self.started: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        #: Its warnings and errors.
        self.trouble: list[dict] = []
        self._lines = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for raw in self.process.stderr:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"level": "error", "event": raw.decode(errors="replace").strip()}
            if line.get("event") == "daemon.started":
                self.started.set_result(time.perf_counter())
            elif line.get("level") in ("warning", "error"):
                self.trouble.append(line)
        if not self.started.done():
            self.started.cancel()

    async def ready(self, patience_s: float = 75) -> float:
        """When it had started; RuntimeError with its last words when it did not."""
        await asyncio.wait({self.started}, timeout=patience_s)
        if not self.started.done() or self.started.cancelled():
            raise RuntimeError(f"the daemon did not start: {self.trouble[-5:]}")
        return self.started.result()

    def rss_kb(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def cpu_seconds(self) -> float:
        """CPU time used so far, all threads, without the store's process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    async def metrics(self) -> dict[str, float]:
        """`/metrics` without its prefix: name, or name{labels} → value."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}/metrics") as reply,
        ):
            page = await reply.text()
        return {
            name + (f"{{{labels}}}" if labels else ""): float(value) for name, labels, value in _SAMPLE.findall(page)
        }


@asynccontextmanager
async def daemon(folder: Path, config: str, *, probe: Path | None = None) -> AsyncIterator[Daemon]:
    """Run the daemon on that configuration (a `{port}` in it is its API's) with `folder` as its place.

    With `probe`, a file, the process also measures its event loop there (see probed.py).
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "config.yaml"
    path.write_text(config.replace("{port}", str(port)), "utf-8")
    program = ["-m", "monitor"] if probe is None else [str(PROBED), str(probe)]
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, "run", "--config", str(path),
        cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    try:
        yield Daemon(process, begun, port, probe)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 40)
            except TimeoutError:
                process.kill()
                await process.wait()
