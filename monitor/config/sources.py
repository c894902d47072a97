"""The files that a configuration was read from, and whether they have changed since.

They are looked at, not subscribed to: that sees an editor that replaces a file, a glob that matches one more, and
the symbolic links by which Kubernetes swaps a whole folder, on any file system.
"""

import asyncio
import glob
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

#: When a file was written and when it or who may read it was changed, its size and its inode; None while there is no
#: file to be read.
Stamp = tuple[int, int, int, int] | None


@dataclass(slots=True)
class Sources:
    """What one reading of a configuration read, good or bad. `files` are stamped before each is opened."""

    files: dict[Path, Stamp] = field(default_factory=dict)
    patterns: list[tuple[Path, str]] = field(default_factory=list)

    def note(self, path: Path) -> None:
        """This file is about to be read."""
        self.files.setdefault(path, stamp(path))

    def matching(self, folder: Path, pattern: str) -> list[Path]:
        """The files that a pattern names, in order; one that it names later has then changed."""
        self.patterns.append((folder, pattern))
        return matching(folder, pattern)

    def look(self) -> Mapping[Path, Stamp]:
        """The same files as they are now, with those that match by now."""
        more = [path for folder, pattern in self.patterns for path in matching(folder, pattern)]
        return {path: stamp(path) for path in (*self.files, *more)}


@dataclass(slots=True)
class FileWatch:
    """Says once of every change that it has come to rest: an editor's half-written file is not read."""

    sources: Sources
    _last: Mapping[Path, Stamp] | None = None
    #: Said already; so nothing is said for ever of what a reading does not stamp.
    _said: Mapping[Path, Stamp] | None = None

    async def changed(self) -> bool:
        """Whether the files differ from those last read, and have not moved since this was last asked."""
        found = await aside(self.sources.look)
        if found in (self.sources.files, self._said):
            self._last = None
            return False
        rests, self._last = found == self._last, found
        if rests:
            self._said = found
        return rests


def stamp(path: Path) -> Stamp:
    """The stamp of a regular file; a pipe or a device has none, for reading it would not tell the same again."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def matching(folder: Path, pattern: str) -> list[Path]:
    """The files that a pattern names, absolute or below a folder, in order."""
    return [folder / name for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207 - Path.glob refuses absolute patterns


async def aside(work: Callable[[], T]) -> T:
    """Do something that may never end in a thread that nobody waits for, not even at the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(done.set_result, work())
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            settle = partial(done.set_exception, error)
        # Nobody is there any more when the loop has ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, settle)

    Thread(target=run, name="files", daemon=True).start()
    return await done
