"""How the demo ends, and that its own verdict is that it told what it should."""

import asyncio
import os
import signal
import subprocess
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_leaves_nothing_running_and_nothing_behind(how, tmp_path):
    command = [sys.executable, "-m", "monitor", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as it:
        assert "API on" in it.stdout.readline()
        it.send_signal(how)
        it.wait(30)

    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_every_incident_exactly_as_expected():
    """The README's first command, in the shortest time it takes."""
    command = [sys.executable, "-m", "monitor", "demo", "--for", "25s"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "50 bets of 100 USDT at once on a player's 150: 1 OK, 49 INSUFFICIENT_FUNDS" in ran.stdout
    assert "was told exactly as expected: 13 alerts" in " ".join(ran.stdout.split())
    assert sum(line.startswith(("[FIRING ", "[RESOLVED]", "[EVENT]")) for line in ran.stdout.splitlines()) == 13
