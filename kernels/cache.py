"""Compiled kernels on disk: one checked file each, in a directory named after everything they depend on.

numba's own cache keeps an index per function that is renewed when that function's file changes. So a
kernel inlined from another file goes stale unseen, and a kill between index and code leaves an index that
names old code. Here a name never means two things: the directory carries a digest of all kernel sources,
versions and the processor, the file a digest of signature and function. A file that is there is right, if
its checksum is; whoever finds none compiles, and replaces the file in one step. No locks: processes that
start together read what the others have finished.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

COMPLETE = "complete"
"""A file of this name says that every kernel has been stored here once."""
KEEP = 4
"""Directories of other versions that stay, however old: a rollback starts warm."""
IDLE = 14 * 86_400.0
"""Seconds without a start after which one more is removed."""
TORN = 3_600.0
"""Age in seconds of a half-written file that nobody is writing any more."""

_OURS = re.compile(r"driftline-\d+-[0-9a-f]{12}(-checked)?")
"""Directories of ours: `~/.cache` holds other people's too."""


def digest(sources: Path, *more: object) -> str:
    """Twelve hexadecimal digits over every Python file below `sources` and the text of `more`."""
    state = hashlib.sha256(repr(more).encode())
    for path in sorted(sources.rglob("*.py")):
        content = path.read_bytes()
        state.update(f"{path.relative_to(sources)} {len(content)}\n".encode())
        state.update(content)
    return state.hexdigest()[:12]


class Cache:
    """Files of one digest. Reading and writing never raise: a kernel that is not there is compiled."""

    def __init__(self, bases: Sequence[Path], name: str) -> None:
        """Directories called `name` below `bases` are read in this order; the first that takes it is written."""
        self.places = tuple(base / name for base in bases)
        self.problem = ""
        """Why the first file that could not be stored was not; "" when all were."""
        for place in self.places:
            _touch(place)

    def read(self, name: str) -> bytes | None:
        """The payload stored under `name`; a file that is not whole is removed."""
        for place in self.places:
            path = place / name
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if content[:32] == hashlib.sha256(content[32:]).digest():
                return content[32:]
            self.forget(name)
        return None

    def write(self, name: str, payload: bytes) -> None:
        """Store a payload. A crash leaves the old file, the new one, or none."""
        problem = ""
        for place in self.places:
            partial = place / f"{name}.{uuid.uuid4().hex[:12]}.tmp"
            try:
                place.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(hashlib.sha256(payload).digest() + payload)
                partial.replace(place / name)
            except OSError as error:
                problem = (
                    problem or f"{error.strerror} - {place} - a directory with room, named by NUMBA_CACHE_DIR"
                )
                _remove(partial)
                continue
            return
        self.problem = self.problem or problem

    def forget(self, name: str) -> None:
        """Remove what is stored under `name`, where that is allowed."""
        for place in self.places:
            _remove(place / name)

    @property
    def is_complete(self) -> bool:
        """Whether every kernel has been stored before."""
        return any((place / COMPLETE).exists() for place in self.places)

    def finish(self) -> None:
        """Every kernel is stored: note it, and remove what other versions and crashes have left."""
        if self.problem:
            return
        self.write(COMPLETE, b"")
        for place in filter(Path.is_dir, self.places):
            now = _used(place)  # `write` has just used it, or `_touch` at this start
            for path in place.glob("*.tmp"):
                if now - _used(path) > TORN:
                    _remove(path)
            others = (path for path in place.parent.iterdir() if _OURS.fullmatch(path.name) and path != place)
            for path in _stale(others, now):
                shutil.rmtree(path, ignore_errors=True)


def _stale(directories: Iterable[Path], now: float) -> list[Path]:
    newest = sorted(((_used(path), path) for path in directories if path.is_dir()), reverse=True)
    return [path for used, path in newest[KEEP:] if now - used > IDLE]


def _used(path: Path) -> float:
    """When it was last used, seconds since the epoch; infinite for what has just gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _touch(directory: Path) -> None:
    """A start from a directory keeps it young."""
    try:
        os.utime(directory)
    except OSError:
        return


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
