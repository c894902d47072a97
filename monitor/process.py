"""How a process of ours runs Python: its event loop and its garbage collector."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine

#: Net growth in objects after which the garbage collector looks at the young ones, and how many such looks
#: make one at the older ones. Polls leave no cycles: the default of 700 costs each 20 µs and finds nothing.
COLLECT_AFTER = (50_000, 20, 20)


def calm_collector() -> None:
    """Collect seldom, and never again look through what is there by now (modules, configuration)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def run_async(main: Callable[[], Coroutine[None, None, int]]) -> int:
    """Run to the end on the fastest loop there is."""
    if sys.platform == "win32":
        return asyncio.run(main())
    import uvloop  # noqa: PLC0415 - not built for Windows

    return uvloop.run(main())
