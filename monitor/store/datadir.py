"""The directory of an embedded store: who owns it, who wrote it, and how that ended.

daemon.lock        held (flock) by the one process that may run a server here; names it
server.lock        inherited by the server, hence held exactly while one lives, orphans included
server.json        the socket, for commands beside a running daemon
stamp.json         product and version of the writer; whether it stopped in order; which life of the data this is
server.log         what the server complained of since it started; server.log.old: the run before
appendonlydir/     the server's own files
"""

import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self, TypeVar

import msgspec

from monitor.errors import StoreUnusable
from monitor.store.binary import Binary, named

if sys.platform != "win32":
    import fcntl

_T = TypeVar("_T", bound=msgspec.Struct)

#: Who owns a directory: a daemon stays, a command is done soon.
Kind = Literal["daemon", "command"]

#: A socket's path with its closing zero must fit into sun_path: 104 bytes on macOS, 108 on Linux.
SOCKET_PATH_MAX = 103
_SERVERS = {"valkey-server", "redis-server"}


class Owner(msgspec.Struct, frozen=True):
    """Who holds daemon.lock."""

    pid: int
    host: str
    kind: Kind

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host} ({self.kind})"


class Address(msgspec.Struct, frozen=True):
    """Where the server of a directory listens, on which machine, and which life of the data it has."""

    socket: str
    host: str
    life: str


class Stamp(msgspec.Struct, frozen=True):
    """Who wrote the data and how it ended: `open` is a server running or killed.

    `life` names the data for as long as nothing that was acknowledged can have been lost. `place` and `files` say
    whether it is still the same data, and not a copy that was put in its place.
    """

    product: str
    version: tuple[int, ...]
    ended: Literal["open", "clean"]
    life: str = ""
    fsync: str = ""
    place: str = ""
    files: str = ""

    def refuse(self, binary: Binary, where: Path) -> None:
        """Raise StoreUnusable unless `binary` reads what was written here.

        Patch releases read each other's files, so only a newer minor version is refused.
        """
        written = named(self.product, self.version)
        if self.product != binary.product:
            why = "and neither reads the other's files"
        elif self.version[:2] > binary.version[:2]:
            why = "which may not read a newer version's files"
        else:
            return
        raise StoreUnusable(
            f"the data in {where} was written by {written}, but the server program here is {binary} "
            f"({binary.path}), {why}: install {written}, or move the directory away to start empty"
        )

    def kept(self, data: "DataDir", *, in_order: bool) -> bool:
        """Whether all that was acknowledged is in the data. `in_order`: its server has just stopped with all of it.

        A server that was killed has lost up to two seconds unless it syncs each write, also where the host stayed up:
        while it waits for the disk it acknowledges what it has not written yet (`flushAppendOnlyFile` in aof.c).
        """
        if in_order:
            return True
        if self.ended == "clean":
            return self.files == data.files()
        return self.fsync == "always" and self.place == data.place()


class Lock:
    """An flock on a file: the kernel drops it with its last holder, whatever the file says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        """Try once; False when somebody else holds it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def name(self, owner: Owner | None) -> None:
        """Say in the file who holds it."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, msgspec.json.encode(owner) if owner else b"", 0)

    def close(self) -> None:
        """Let go, unless a child inherited it."""
        os.close(self.fd)


class DataDir:
    """The files of one embedded store."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create it for us alone, or use what is there; OSError when that cannot be."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.resolve()
        # The server would make this one readable for everybody.
        (found / "appendonlydir").mkdir(mode=0o700, exist_ok=True)
        return cls(found)

    def owner(self) -> Owner | None:
        """Who says to hold daemon.lock; None when that cannot be read."""
        return self._read("daemon.lock", Owner)

    def address(self) -> Address | None:
        """Where a server here listens, or listened; None when that cannot be read."""
        return self._read("server.json", Address)

    def publish(self, where: Path, life: str) -> None:
        """Tell commands where the server listens."""
        self._write("server.json", Address(str(where), socket.gethostname(), life))

    def withdraw(self) -> None:
        """Take the address back, with its socket's directory (never with anything else in it)."""
        address = self.address()
        (self.path / "server.json").unlink(missing_ok=True)
        if address is not None and address.host == socket.gethostname():
            with suppress(OSError):
                Path(address.socket).unlink(missing_ok=True)
                Path(address.socket).parent.rmdir()

    def stamp(self) -> Stamp | None:
        """Who wrote the data; None for an empty directory, StoreUnusable for data of unknown origin."""
        stamp = self._read("stamp.json", Stamp)
        if stamp is not None:
            return stamp
        if (self.path / "stamp.json").exists():
            raise StoreUnusable(
                f"{self.path / 'stamp.json'} is damaged, so nobody knows which server wrote the data beside "
                "it: restore it from a copy, or move the directory away to start empty"
            )
        if any((self.path / "appendonlydir").iterdir()) or (self.path / "dump.rdb").exists():
            raise StoreUnusable(
                f"{self.path} holds data of another server: give this store a directory of its own "
                "(`store: {url: embedded:DIRECTORY}`), or use that server by redis:// or unix://"
            )
        return None

    def write_stamp(self, stamp: Stamp) -> None:
        """Replace the stamp for good: it has reached the disk when this returns."""
        self._write("stamp.json", stamp)

    def place(self) -> str:
        """What a copy of this directory does not share with it."""
        return str((self.path / "appendonlydir").stat().st_ino)

    def files(self) -> str:
        """What changes whenever anybody writes, or puts other files in place of these."""
        found = ((file.name, file.stat()) for file in sorted((self.path / "appendonlydir").iterdir()))
        return " ".join(f"{name}:{about.st_ino}:{about.st_size}:{about.st_ctime_ns}" for name, about in found)

    def new_log(self) -> int:
        """A descriptor of an empty server.log; the one before is kept as server.log.old."""
        log = self.path / "server.log"
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def complaints(self) -> list[str]:
        """The last lines of server.log, without its timestamps."""
        try:
            lines = (self.path / "server.log").read_bytes()[-8192:].decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [line.partition(" # ")[2] or line for line in lines if line.strip()]

    def _read(self, name: str, kind: type[_T]) -> _T | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _write(self, name: str, content: msgspec.Struct) -> None:
        fresh = self.path / f"{name}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / name)
        directory = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def socket_path() -> Path:
    """A socket in a new directory for us alone, short enough for the kernel; StoreUnusable when none is.

    systemd's RuntimeDirectory comes first: with PrivateTmp, commands outside the unit see no socket in /tmp.
    """
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    for parent in filter(None, (runtime, tempfile.gettempdir(), "/tmp")):  # noqa: S108 - mkdtemp makes it private
        with suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="bm-", dir=parent)) / "s"
            if len(os.fsencode(made)) <= SOCKET_PATH_MAX:
                return made
            made.parent.rmdir()
    raise StoreUnusable(
        f"no place for a socket: {tempfile.gettempdir()} and /tmp are not writable, or their paths are too "
        f"long ({SOCKET_PATH_MAX} bytes at most): set TMPDIR to a short directory you may write to"
    )


def servers_in(path: Path) -> list[int]:
    """The pids of servers whose working directory this is; empty where there is no /proc to ask."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            comm = (entry / "comm").read_text("utf-8", "replace").strip()
            if comm in _SERVERS and (entry / "cwd").readlink() == path:
                found.append(int(entry.name))
    return found
