"""Where the frozen bins of a numeric feature lie."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

QUANTILES = 256
"""Reference quantiles per feature. 2 kB per pane, and a shift of 0.01 sigma between two windows of
a million rows is seen."""
TAIL = 0.001
"""The quantiles TAIL and 1 - TAIL are always edges, so that the tails are never lumped together."""
ATOM_ROWS = 5
"""Rows that a value needs to be an atom: in a small sample one row is more than 1/256 of the mass,
and a pair of equal rows is no evidence that the value repeats."""
GROUPS = 20
"""Groups of the coarse view: 5 % of the mass each, the smallest that a window of 400 rows fills."""
LARGEST = float(np.finfo(np.float64).max)


def numeric_edges(
    values: NDArray[np.float64], *, minimum: float, maximum: float, quantiles: int = QUANTILES
) -> NDArray[np.float64]:
    """Edges for finite, ascending `values`: float64[bins + 1], strictly ascending.

    The first edge is `minimum`, the last the smallest number above `maximum`, so that both are
    in a bin. Edges are quantiles that occur in the data; a value with more than 1/quantiles of
    the rows has [value, next number) to itself. Without values: [0, 1].
    """
    if len(values) == 0:
        return np.array([0.0, 1.0])
    levels = np.union1d(np.linspace(0.0, 1.0, max(quantiles - 2, 2)), [TAIL, 1.0 - TAIL])
    # level 1 is the maximum: its edge is `last`, or the maximum would have a bin of its own
    ranks = np.maximum(np.ceil(levels[:-1] * len(values)).astype(np.int64) - 1, 0)
    atoms = _atoms(values, quantiles=quantiles)
    last = above(maximum)
    edges = np.unique(np.concatenate([[minimum, last], values[ranks], atoms, np.nextafter(atoms, np.inf)]))
    edges = edges[(edges >= minimum) & (edges <= last)] + 0.0
    if len(edges) == 1:
        return np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return edges


def coarse_groups(mass: NDArray[np.int64], *, groups: int = GROUPS) -> NDArray[np.int16]:
    """The coarse group of each fine bin: int16[bins], ascending from 0 to at most groups - 1.

    mass  int64[bins]: reference rows per fine bin

    A bin belongs to the group in which the middle of its mass lies, so groups are balanced as far
    as bins allow and stay balanced when neighbours are merged (20 → 10 → 5 → 2). An atom of
    several groups' mass leaves numbers out. An empty bin goes with its left neighbour, so that
    no group consists of empty bins alone.
    """
    total = int(mass.sum())
    if total == 0:
        return np.zeros(len(mass), np.int16)
    middle = np.cumsum(mass) - mass / 2
    group = np.minimum(np.floor(middle * groups / total), groups - 1).astype(np.int16)
    filled = np.flatnonzero(mass)
    left = np.maximum(np.searchsorted(filled, np.arange(len(mass)), side="right") - 1, 0)
    return np.asarray(group[filled[left]], np.int16)


def nested(coarse: NDArray[np.int16], *, level: int, groups: int = GROUPS) -> NDArray[np.int16]:
    """The coarse view at one of its levels: 20 → 10 → 5 pairs neighbours, 2 splits at half."""
    return np.asarray(coarse.astype(np.int64) * level // groups, np.int16)


def above(value: float) -> float:
    """The smallest number above `value`; the largest finite number has none and is returned."""
    return min(math.nextafter(value, math.inf), LARGEST)


def _atoms(values: NDArray[np.float64], *, quantiles: int) -> NDArray[np.float64]:
    """Of ascending values those with more than 1/quantiles of the rows: so long a run cannot lie
    between two of the places that are looked at."""
    least = max(len(values) // quantiles + 1, ATOM_ROWS)
    found = np.unique(values[least - 1 :: least])
    rows = np.searchsorted(values, found, side="right") - np.searchsorted(values, found, side="left")
    return np.asarray(found[(rows >= least) & (found < LARGEST)], np.float64)
