"""The heaps of the C library: arrays, records fetched ahead and SQLite's pages lie there, objects of Python do not."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from monitor.clock import Clock

TRIM_EVERY = 60.0
"""Seconds between two times that free memory is given back. Every thread has a heap of its own, and each keeps
what its largest burst took: 130 MB of 250 were free after four minutes of a soak, and became more with every
new coincidence of bursts, with as much in use all the time. Giving back 117 MB took 11 ms, and taking them anew
costs about as much: a two-thousandth of one processor."""

_FIELDS = (
    "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
)  # fmt: skip


class _Info(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


class Heap:
    """Gives free memory back to the system now and then. One thread calls `tick`.

    Where the C library has no `malloc_trim` (only glibc has it) nothing is done.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._next = clock.monotonic() + TRIM_EVERY

    def tick(self) -> bool:
        """Give back what is free when it is time to; whether it was. Other threads go on meanwhile."""
        now = self._clock.monotonic()
        if self._trim is None or now < self._next:
            return False
        self._next = now + TRIM_EVERY
        self._trim(ctypes.c_size_t(0))
        return True


def usage() -> Mapping[str, int]:
    """Bytes of all heaps by kind; empty where the C library does not tell.

    used    given out; of it, what SQLite holds is in `monitor.state.database.memory`
    free    not given out; resident until it is given back
    mapped  large blocks, each with a mapping of its own
    """
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return {}
    ask.restype = _Info
    info = ask()
    return {"used": info.uordblks, "free": info.fordblks, "mapped": info.hblkhd}
