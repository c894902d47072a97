"""How the demo ends; that it tells what it should is the demo's own verdict."""

import asyncio
import os
import signal
import sys

import pytest

from monitor.demo.show import _until_stopped


async def process(code):
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code)


async def test_ctrl_c_is_how_an_endless_demo_is_meant_to_end():
    daemon = await process("import time; time.sleep(60)")
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)

    code = await _until_stopped(daemon)

    assert (code, daemon.returncode) == (0, None)
    daemon.kill()
    await daemon.wait()


@pytest.mark.parametrize("ended", [0, 1, 2])
async def test_a_daemon_that_fails_by_itself_fails_the_demo(ended):
    assert await _until_stopped(await process(f"raise SystemExit({ended})")) == min(ended, 1)
