"""How long the panes of a reference are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid

HOUR = 3_600_000
DAY = 24 * HOUR
MAX_PANES = 2_000
"""Panes kept. 50 features of 100 filled slots are then about 100 MB in memory, a few in the file;
15 days of hourly windows, what two pages a month need, are 360 of them."""


def pane_size(panes: NDArray[np.int64], *, pane: int, unit: int = 0, limit: int = MAX_PANES) -> int:
    """The pane size, milliseconds, at which at most `limit` panes have rows.

    panes  int64: the distinct numbers of the panes of size `pane` that have rows
    unit   what every window is a multiple of, milliseconds (the greatest common divisor of window
           sizes and steps); 0 when it is not known

    A size that is too small grows along sizes that windows can still be cut from: multiples of
    `pane` that divide `unit` (unknown: that divide an hour, then whole hours that divide a day), and only beyond the unit
    itself by doubling it, when windows of the unit can no longer be cut. Plain doubling from
    5 min would give 40 min, from which no hour can be cut.
    """
    if pane <= 0:
        raise ReferenceInvalid(f"{pane} ms is no pane - pane size - at least 1 ms is right")
    for size in _sizes(pane, unit):
        if len(np.unique(np.floor_divide(panes * pane, size))) <= limit:
            return size
    raise AssertionError  # doubling always ends: one pane holds everything


def show_span(ms: int) -> str:
    """A length of time as configurations write it."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def _sizes(pane: int, unit: int) -> list[int]:
    if unit and unit % pane == 0:
        ladder = _divisors(unit, pane)
    else:
        ladder = _divisors(HOUR, pane) + [
            size for size in _divisors(DAY, math.lcm(pane, HOUR)) if size > HOUR
        ]
    if not ladder:
        ladder = [pane]
    top = ladder[-1]
    return ladder + [top << power for power in range(1, 64) if top << power < 1 << 62]


def _divisors(whole: int, pane: int) -> list[int]:
    """Multiples of `pane` that divide `whole`, ascending."""
    if whole % pane:
        return []
    count = whole // pane
    low = [n for n in range(1, int(count**0.5) + 1) if count % n == 0]
    return sorted({pane * n for n in low} | {pane * (count // n) for n in low})
