"""The embedded store: a private server process, owned, healed and stopped by us.

One server per data directory, and what was acknowledged survives while the host stays up. Redis does not
protect itself: a second server would take over the socket and append to the same file. So a daemon holds one
lock, its server inherits another, and an orphan of a killed daemon is shut down before a new server starts.
"""

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

from monitor.clock import wall_clock
from monitor.errors import StoreUnusable
from monitor.model.window import micros
from monitor.store.asking import STEP_SECONDS, STOP_SECONDS, ask, end_orphan
from monitor.store.binary import Binary, find_binary
from monitor.store.datadir import DataDir, Kind, Lock, Owner, Stamp, servers_in, socket_path
from monitor.store.life import new_life

#: How often the append-only file is forced to the disk (redis.conf, appendfsync).
Fsync = Literal["everysec", "always"]

RESTARTS_MAX = 3
RESTARTS_WITHIN_SECONDS = 60.0
#: No answer at all for so long, not even "loading": something is wrong with it. Loading takes what it takes.
SILENCE_SECONDS = 30.0
#: Commands own a directory only for a moment: worth waiting for.
PATIENCE_SECONDS = 10.0

#: The child needs no more of our environment, and least of all the secrets in it.
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
#: glibc keeps 7 freed pieces of a size at hand: with thousands of holds a call cost half more. These are 34 MB at most.
#: Source: https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html
_SET = {"LC_ALL": "C", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000"}
_DAMAGED = re.compile(r"(?:Bad file format|Unexpected end of file) reading the append only file ([^\s:]+?)[:.](?:\s|$)")
_DAMAGED_BASE = re.compile(r"RDB (?:CRC|checksum)|in RDB reading|Wrong signature|[Uu]nexpected EOF reading RDB")


class Busy(StoreUnusable):
    """Another process owns the data directory; `owner` is None when it has not said who it is."""

    def __init__(self, path: Path, owner: Owner | None) -> None:
        who = str(owner) if owner else "another process"
        super().__init__(
            f"{path} is in use by {who}: stop that one first, give this one a directory of its own, "
            "or let several processes share one server by redis://"
        )
        self.owner = owner


class _Died(StoreUnusable):
    """The server ended before it answered; worth another try, unlike damaged data."""


class EmbeddedServer:
    """A server of our own for one data directory; a StoreUnusable it raises says what to do about it."""

    def __init__(self, data_dir: Path, *, fsync: Fsync = "everysec", kind: Kind = "daemon") -> None:
        self._where, self._fsync, self._kind = data_dir, fsync, kind
        #: After start: a name for the data, another one if something acknowledged may be missing. For `connect`.
        self.life = ""
        #: After start: who answers.
        self.binary: Binary | None = None
        self._data: DataDir | None = None
        self._owned: Lock | None = None
        self._socket: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._restarts = 0

    async def start(self) -> str:
        """Own the directory, heal what a killed daemon left, and return the url of an answering server."""
        if sys.platform == "win32":
            raise StoreUnusable(
                "the embedded store does not run on Windows: set `store: {url: redis://…}` to a Redis 7+ or "
                "Valkey server"
            )
        try:
            return await self._start()
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise StoreUnusable(
                    f"cannot keep data in {self._where}: {error.strerror or error}; make it a directory that "
                    "this user may write to, or choose another one (`store: {url: embedded:DIRECTORY}`)"
                ) from None
            raise

    async def wait_down(self) -> None:
        """Return once the server ended although nobody stopped it; never after `stop`."""
        assert self._process is not None, "wait_down before start"
        await self._process.wait()
        if self._stopping:
            await asyncio.get_running_loop().create_future()

    async def restart(self) -> None:
        """Start a dead server again under the same url; StoreUnusable when that was needed too often."""
        while True:
            if self._restarts == RESTARTS_MAX:
                raise StoreUnusable(
                    f"the embedded server died more than {RESTARTS_MAX} times within "
                    f"{RESTARTS_WITHIN_SECONDS:.0f} s, last with: {self._last_words()} "
                    f"(more in {self._where}/server.log)"
                )
            self._restarts += 1
            asyncio.get_running_loop().call_later(RESTARTS_WITHIN_SECONDS, self._forgive)
            with suppress(_Died):
                return await self._launch()

    async def stop(self) -> None:
        """Stop in order: everything reaches the disk, the directory is free. Twice does no harm."""
        self._stopping = True
        in_order = await self._end_process()
        if self._data is not None and self._owned is not None:
            if in_order:
                self._stamp("clean")
            self._data.withdraw()
            self._owned.name(None)
        if self._owned is not None:
            self._owned.close()
        self._owned = self._data = self._socket = None

    async def _start(self) -> str:
        self._stopping, self.life = False, ""
        self.binary = await asyncio.to_thread(find_binary)
        self._data = DataDir.open(self._where)
        await self._own(self._data)
        stamp = self._data.stamp()
        if stamp is not None:
            stamp.refuse(self.binary, self._data.path)
        await self._launch(stamp)
        return f"unix://{self._socket}"

    async def _own(self, data: DataDir) -> None:
        lock = Lock(data.path / "daemon.lock")
        try:
            for step in range(self._patience()):
                if lock.take():
                    lock.name(Owner(os.getpid(), socket.gethostname(), self._kind))
                    self._owned = lock
                    return
                owner = data.owner()
                # A first look may still read what the owner before wrote.
                if step > 1 and owner is not None and owner.kind == "daemon":
                    break
                await asyncio.sleep(STEP_SECONDS)
            raise Busy(data.path, data.owner())
        finally:
            if self._owned is None:
                lock.close()

    def _patience(self) -> int:
        return int(PATIENCE_SECONDS / STEP_SECONDS) if self._kind == "daemon" else 1

    async def _launch(self, stamp: Stamp | None = None) -> None:
        data = self._opened()
        lock, in_order = await self._server_lock(data)
        try:
            foreign = servers_in(data.path)
            if foreign:
                raise StoreUnusable(
                    f"another server (pid {foreign[0]}) that we did not start is working in {data.path}: "
                    f"stop it (`kill {foreign[0]}`) and start again"
                )
            # A server that dies under us keeps its life: we remember what it told us, and would notice.
            if not self.life:
                kept = stamp is None or stamp.kept(data, in_order=in_order)
                self.life = (stamp.life if stamp else new_life()) if kept else new_life(micros(wall_clock()))
            self._stamp("open")
            if self._socket is None:
                data.withdraw()
                self._socket = socket_path()
            # The url outlives a restart, even when something cleaned /tmp.
            self._socket.parent.mkdir(mode=0o700, exist_ok=True)
            # Before the server lives, so that there is no moment at which an orphan could not be found.
            data.publish(self._socket, self.life)
            self._process = await self._spawn(data, lock)
        finally:
            # From here on only the server holds it.
            lock.close()
        await self._answering(self._process)

    async def _server_lock(self, data: DataDir) -> tuple[Lock, bool]:
        """The lock, and whether a server had it that has stopped now and lost nothing."""
        lock = Lock(data.path / "server.lock")
        if lock.take():
            return lock, False
        ended, in_order = await end_orphan(data, lock)
        if ended:
            return lock, in_order
        lock.close()
        pids = servers_in(data.path)
        raise StoreUnusable(
            f"a server left over from a killed daemon still holds {lock.path} and does not stop: end it "
            f"({f'`kill -9 {pids[0]}`' if pids else 'find it with `lsof`'}) and start again"
        )

    async def _spawn(self, data: DataDir, lock: Lock) -> asyncio.subprocess.Process:
        log = data.new_log()
        try:
            return await asyncio.create_subprocess_exec(
                *self._command(),
                cwd=data.path,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _SET,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock.fd,),
                # A session of its own: Ctrl-C must reach the daemon alone, which still has messages to flush.
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _command(self) -> list[str]:
        assert self.binary is not None
        # Forking to write that file anew stops the server: at the default of 64 MB every 57 000 bets.
        options = {
            "port": "0", "unixsocket": str(self._socket), "unixsocketperm": "700", "daemonize": "no", "databases": "1",
            "appendonly": "yes", "appendfsync": self._fsync, "aof-load-truncated": "yes", "save": "",
            "auto-aof-rewrite-min-size": "256mb", "maxmemory-policy": "noeviction", "loglevel": "warning",
        }  # fmt: skip
        return [
            str(self.binary.path),
            *(word for key, value in options.items() for word in (f"--{key}", value)),
        ]

    async def _answering(self, process: asyncio.subprocess.Process) -> None:
        silence = 0.0
        while process.returncode is None:
            answer = await ask(str(self._socket), "PING")
            if answer == "PONG":
                return
            silence = 0.0 if answer else silence + STEP_SECONDS
            if silence > SILENCE_SECONDS:
                process.kill()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STEP_SECONDS)
        self._explain()

    def _explain(self) -> NoReturn:
        data, complaints = self._opened(), self._complaints()
        text = "\n".join(complaints)
        found = _DAMAGED.search(text)
        if found is None and not _DAMAGED_BASE.search(text):
            raise _Died(f"the embedded server did not start: {self._last_words()} (more in {data.path}/server.log)")
        # What a repair or a copy brings back is not all.
        self.life = new_life(micros(wall_clock()))
        self._stamp("open")
        start_over = f"restore a copy, or start empty: `mv {data.path} {data.path}.old`"
        if found is None:
            raise StoreUnusable(f"the data in {data.path} is damaged ({self._last_words()}): {start_over}")
        assert self.binary is not None
        damaged = data.path / "appendonlydir" / found[1]
        raise StoreUnusable(
            f"the data in {damaged} is damaged. Copy {data.path} first; then this keeps what came before the "
            f"damage and drops the rest:\n  {self.binary.repair_command(damaged)}\nor {start_over}"
        )

    async def _end_process(self) -> bool:
        """Whether the server had been answering and stopped as it was told."""
        process = self._process
        if process is None or process.returncode is not None:
            return False
        loaded = await ask(str(self._socket), "PING") == "PONG"
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        return loaded and process.returncode == 0

    def _stamp(self, ended: Literal["open", "clean"]) -> None:
        assert self.binary is not None
        data = self._opened()
        what = self.binary.product, self.binary.version, ended, self.life, self._fsync, data.place(), data.files()
        data.write_stamp(Stamp(*what))

    def _opened(self) -> DataDir:
        assert self._data is not None, "not started"
        return self._data

    def _complaints(self) -> list[str]:
        return self._data.complaints() if self._data is not None else []

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        ended = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return "; ".join([ended, *self._complaints()[-1:]])

    def _forgive(self) -> None:
        self._restarts -= 1
