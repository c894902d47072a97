"""The demo from curtain to verdict: servers up, daemon started, script played, messages compared."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web
from rich.console import Console

from monitor.demo import bets, providers
from monitor.demo.chat import SECRET, Chat
from monitor.demo.incidents import LENGTH, SCRIPT, Heard
from monitor.demo.settings import CONFIG, RULES
from monitor.demo.world import World

#: A shorter show would squeeze the script until polls and pauses no longer fit between its scenes.
SHORTEST = timedelta(seconds=25)
#: Start-up, the last poll and the way out, beside the script itself.
MARGIN = 2.5
#: The daemon must have read everything this soon, on the slowest of machines.
PATIENCE = 60.0
_STYLES = {"FIRING": "bold red", "RESOLVED": "green", "EVENT": "yellow", "chat": "cyan"}
_PROVIDERS = ("fuse", "kuna", "kaiko", "pacifica")


async def show(length: timedelta | None, now: Callable[[], datetime], *, verbose: bool) -> int:
    """Play the script; 0 only if the chat heard exactly what it should have."""
    console = Console(highlight=False, soft_wrap=True)
    began = now()
    for signal_ in (signal.SIGTERM, signal.SIGHUP):
        # However it is ended, the daemon and its store end with it.
        asyncio.get_running_loop().add_signal_handler(signal_, signal.raise_signal, signal.SIGINT)

    def say(style: str, line: str) -> None:
        marked = line if style in ("FIRING", "RESOLVED", "EVENT") else f"    · {line}"
        console.print(marked, style=_STYLES.get(style, "dim"), markup=False)

    world = World(now)
    chat = Chat(world, say)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="balance-monitor-demo-")))
        bank = await _serve(stack, providers.build(world))
        room = await _serve(stack, chat.build())
        api = _free_port()
        (folder / "config.yaml").write_text(CONFIG.format(bank=bank, chat=room, api=api, secret=SECRET), "utf-8")
        (folder / "rules.yaml").write_text(RULES, "utf-8")
        daemon = await _start(stack, folder, verbose=verbose)
        say("", f"four simulated providers on {bank}, a chat on {room}, the API on http://127.0.0.1:{api}/v1/accounts")
        if not await _ready(world, daemon):
            console.print(_last_words(folder), style="red", markup=False)
            return 1
        answers = await bets.rush(f"http://127.0.0.1:{api}")
        say("", bets.words(world, answers))
        left = None if length is None else length.total_seconds() - (now() - began).total_seconds() - MARGIN
        await _play(world, say, now, scale=1.0 if left is None else min(1.0, left / LENGTH))
        code = _verdict(chat, console, solvent=answers == bets.expected(world))
        if length is None:
            say("", "the script is over; the daemon goes on until Ctrl-C")
            code = max(code, await _until_stopped(daemon))
        else:
            await asyncio.sleep(max(0.0, length.total_seconds() - (now() - began).total_seconds() - 1))
        return code


async def _serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _start(stack: AsyncExitStack, folder: Path, *, verbose: bool) -> asyncio.subprocess.Process:
    """The daemon as anybody would start it, in a process of its own."""
    log = None if verbose else stack.enter_context((folder / "daemon.log").open("wb"))
    command = (sys.executable, "-m", "monitor", "run", "--config", str(folder / "config.yaml"))
    daemon = await asyncio.create_subprocess_exec(*command, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})

    async def leave() -> None:
        if daemon.returncode is None:
            daemon.send_signal(signal.SIGTERM)
        await daemon.wait()

    stack.push_async_callback(leave)
    return daemon


async def _until_stopped(daemon: asyncio.subprocess.Process) -> int:
    """Wait for Ctrl-C, which is how this is meant to end: 0; 1 when the daemon fails first."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    waits = [asyncio.create_task(one) for one in (stopped.wait(), daemon.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for wait in waits:
            wait.cancel()
    # A terminal's Ctrl-C reaches the daemon too, which may be the first to leave.
    return 1 if daemon.returncode and not stopped.is_set() else 0


async def _ready(world: World, daemon: asyncio.subprocess.Process) -> bool:
    """Wait until every provider was read twice: then the baselines are stored."""
    for _ in range(int(PATIENCE / 0.05)):
        if daemon.returncode is not None:
            return False
        if all(world.asked[name] >= 4 for name in _PROVIDERS):
            return True
        await asyncio.sleep(0.05)
    return False


def _last_words(folder: Path) -> str:
    log = folder / "daemon.log"
    tail = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
    return f"the daemon did not come up:\n{tail}"


async def _play(world: World, say: Callable[[str, str], None], now: Callable[[], datetime], *, scale: float) -> None:
    curtain = now()
    for incident in SCRIPT:
        await asyncio.sleep(max(0.0, incident.at * scale - (now() - curtain).total_seconds()))
        say("", f"{incident.at * scale:4.1f} s  {incident.title}")
        incident.act(world)
    await asyncio.sleep(max(0.0, LENGTH * scale - (now() - curtain).total_seconds()))


def _verdict(chat: Chat, console: Console, *, solvent: bool) -> int:
    """Compare what was heard with the script: nothing missing, nothing else, nothing twice, in order.

    `solvent`: as many bets were allowed as there was money for.
    """
    wanted = Counter(heard for incident in SCRIPT for heard in incident.expect)
    got = Counter(heard for _, heard in chat.heard)
    problems = [f"missing: {_words(heard)} ({count}×)" for heard, count in (wanted - got).items()]
    problems += [f"not in the script: {_words(heard)} ({count}×)" for heard, count in (got - wanted).items()]
    if chat.refused:
        problems.append(f"{chat.refused} messages with a bad signature")
    if not solvent:
        problems.append("the guard did not allow what there was money for, and nothing else")
    fired: set[str] = set()
    for name, heard in chat.heard:
        if heard.kind == "RESOLVED" and name not in fired:
            problems.append(f"resolved before firing: {_words(heard)}")
        fired.add(name)
    for problem in problems:
        console.print(problem, style="bold red", markup=False)
    if not problems:
        told = f"Every one of the {len(SCRIPT)} incidents was told exactly as expected: {sum(wanted.values())} alerts."
        console.print(f"\n{told}", style="bold")
    return 1 if problems else 0


def _words(heard: Heard) -> str:
    return " ".join(part for part in (heard.kind, heard.rule, heard.account, heard.asset) if part)
