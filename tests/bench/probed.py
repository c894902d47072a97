"""`probed.py FILE run --config …`: the daemon, with a probe in its event loop.

The probe sleeps for two milliseconds at a time. Whenever it wakes late by more than LATE_S it writes a line to
FILE: when (`time.perf_counter`, which all processes of a machine share), how late, and how much of that the
thread was really running; the rest is a machine that was busy with something else.
"""

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from monitor import app, cli

NAP_S = 0.002
LATE_S = 0.005


async def probe(file: Path) -> None:
    """Watch for ever."""
    with file.open("w", buffering=1) as out:
        while True:
            begun, ran = time.perf_counter(), time.thread_time()
            await asyncio.sleep(NAP_S)
            now = time.perf_counter()
            late = now - begun - NAP_S
            if late > LATE_S:
                out.write(f"{now:.6f} {late:.6f} {time.thread_time() - ran:.6f}\n")


def main() -> None:
    file, run = Path(sys.argv.pop(1)), app.run_async

    def probed(daemon):
        async def both():
            task = asyncio.create_task(probe(file))
            try:
                return await daemon()
            finally:
                task.cancel()

        return run(both)

    app.run_async = probed
    cli.main()


main()
