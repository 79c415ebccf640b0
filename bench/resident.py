"""Resident memory of a daemon by kind, so that a soak can say what grew.

Kinds, in bytes; the first five add up to what is resident:

    heaps in use     what the C library has given out: arrays, records fetched ahead, SQLite's pages
    heaps free       resident, and not given out: kept for the next burst
    large blocks     of the C library, each with a mapping of its own; as large as they were asked for
    other            memory without a file: objects of Python, stacks, what compiling left; less what of the
                     large blocks was never touched
    files            programs and libraries, and the state log's index
    sqlite           part of the heaps in use
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

KINDS = ("heaps in use", "heaps free", "large blocks", "other", "files", "sqlite")
HEAP = 64 << 20
"""glibc puts the heap of a thread at a multiple of this; what is not used of it yet has no permissions."""


class Span(NamedTuple):
    """One line of `/proc/PID/smaps` and what is resident of it."""

    start: int
    end: int
    rights: str
    name: str
    resident: int


def mappings(lines: Iterable[str]) -> list[Span]:
    """All mappings in the order of their addresses."""
    found: list[Span] = []
    for line in lines:
        parts = line.split()
        if parts[0] == "Rss:":
            found[-1] = found[-1]._replace(resident=1024 * int(parts[1]))
        elif not parts[0].endswith(":"):
            start, end = (int(part, 16) for part in parts[0].split("-"))
            found.append(Span(start, end, parts[1], " ".join(parts[5:]), 0))
    return found


def kinds(found: Iterable[Span], told: Mapping[str, int]) -> dict[str, int]:
    """Bytes by kind; `told` is what the daemon says: used, mapped and sqlite, each 0 where it is missing."""
    heaps = other = files = 0
    for one in found:
        if one.name.startswith("/"):
            files += one.resident
        elif one.name == "[heap]" or (not one.name and one.start % HEAP == 0 and one.end - one.start <= HEAP):
            heaps += one.resident
        else:
            other += one.resident
    used, mapped = min(told.get("used", 0), heaps), min(told.get("mapped", 0), other)
    return {
        "heaps in use": used,
        "heaps free": heaps - used,
        "large blocks": mapped,
        "other": other - mapped,
        "files": files,
        "sqlite": told.get("sqlite", 0),
    }


def resident(pid: int, told: Mapping[str, int]) -> dict[str, int]:
    """What process `pid` holds now, by kind."""
    with Path(f"/proc/{pid}/smaps").open() as lines:
        return kinds(mappings(lines), told)
