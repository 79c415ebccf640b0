"""How many rows a window needs before "ok" means something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import VECTOR
from kernels.vote import vote
from monitor.judge import chi
from monitor.judge.extract import CAP, WIDE
from monitor.judge.frame import Frame
from monitor.judge.tolerances import Tolerances

POWER = 0.8
OF_INTEREST = 0.05
"""PSI that a window must be able to show (or twice the tolerance, where that is more): half of the
0.1 at which the industry starts to watch."""
_RATIO = 1.15
"""Step of the grid of window sizes that is searched."""
_LARGEST = 1e9
_AT_ONCE = 16
"""Sizes of windows that are tried together, as most features need few of the 147: 480 features with 12 tolerances and levels
each took 9.8 s, with all sizes at once 66 s."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that the median feature needs: in a window, or else (inf there) in the reference."""

    window: float
    reference: float


def rows_needed(frame: Frame, tolerances: Tolerances, level: float, *, most: int = 1 << 30) -> Rows:
    """Rows for power POWER against max(2δ, OF_INTEREST) in psi and g at `level`; of `most` features, evenly taken.

    The median over features: one sparse column does not blind a model, and half of them do.
    Features without values in the reference do not count, nor do vectors, which neither test sees. Movement between windows, which no
    number of rows removes, is not part of it.
    """
    step = max(-(-len(frame.features) // most), 1)
    needed = [_feature(frame, tolerances, level, feature) for feature in range(0, len(frame.features), step)]
    known = [rows for rows in needed if rows is not None]
    if not known and frame.layout.vectors.count:
        return Rows(0.0, 0.0)
    if not known:
        return Rows(np.inf, np.inf)
    middle = (len(known) - 1) // 2
    return Rows(sorted(r.window for r in known)[middle], sorted(r.reference for r in known)[middle])


def _feature(frame: Frame, tolerances: Tolerances, level: float, feature: int) -> Rows | None:
    low, high = int(frame.start[feature]), int(frame.start[feature + 1])
    mass = frame.coarse[low:high]
    total = float(mass.sum())
    special = int(frame.special[feature])
    if mass[special:].sum() == 0 or frame.layout.kind[feature] == VECTOR:
        return None
    design, delta = float(frame.design[feature]), float(tolerances.divergence[feature])
    kind, largest = int(frame.layout.kind[feature]), CAP * total / design
    for rows, share, slots in _sizes(mass / total, special=special, kind=kind):
        effective = np.minimum(rows, largest)
        power = _power(effective * share, total / design * share, slots, delta=delta, level=level)
        reached = (power >= POWER) & (rows * design <= CAP * total)
        if reached.any():
            return Rows(float(rows[np.argmax(reached)]) * design, 0.0)
        if rows[-1] * design > CAP * total:
            break
    for rows, share, slots in _sizes(mass / total, special=special, kind=kind):
        ample = _power(rows * share, rows / CAP * share, slots, delta=delta, level=level) >= POWER
        if ample.any():
            return Rows(np.inf, float(rows[np.argmax(ample)]) * design / CAP)
    return Rows(np.inf, np.inf)


def _sizes(
    shares: NDArray[np.float64], *, special: int, kind: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Rows of windows, ascending, some at a time, as most features need few of them; and what `_votes` says of them.

    Windows in which no two slots can vote have no power.
    """
    sizes = np.power(_RATIO, np.arange(1.0, np.floor(np.log(_LARGEST) / np.log(_RATIO))))
    sizes = sizes[np.searchsorted(sizes, 2 * WIDE) :]
    for low in range(0, len(sizes), _AT_ONCE):
        rows = sizes[low : low + _AT_ONCE]
        yield rows, *_votes(shares, rows, special=special, kind=kind)


def _votes(
    shares: NDArray[np.float64], rows: NDArray[np.float64], *, special: int, kind: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the rows in voting slots, and how many slots vote, for windows of so many rows."""
    slots = np.empty(len(shares), np.int64)
    share, count = np.zeros(len(rows)), np.zeros(len(rows))
    for i, n in enumerate(rows):
        count[i] = vote(slots, shares * n, 0, len(shares), special, kind, WIDE)
        share[i] = shares[slots >= 0].sum()
    return share, count


def _power(
    n: NDArray[np.float64], m: NDArray[np.float64], slots: NDArray[np.float64], *, delta: float, level: float
) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        k = 1.0 / n + 1.0 / m
    usable = np.isfinite(k) & (slots >= 2)
    k = np.where(usable, k, 1.0)
    df = np.where(usable, slots - 1, 0.0)
    limit = chi.isf(level, df, delta / k)
    return np.where(usable, chi.sf(limit, df, max(2 * delta, OF_INTEREST) / k), 0.0)
