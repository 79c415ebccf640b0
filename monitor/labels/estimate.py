"""How well a model does before any label comes: of its scores, and of what the reference knows of scores and labels.

A score is worth P(label 1 | score bin) of the reference, isotonic over bins (CBPE: Humphrys, Białek, Kuberski 2023,
as NannyML has it). That assumes that P(y | x) has not changed, and whoever shows an estimate says so: a model whose
world has changed looks as good as ever. An estimate by segments has a map for each segment, and so sees what moves
between them; the plain one stands beside it.

Bounds are for one look, at 95 %: of the labels that the window's rows will have, and of how well the reference knows
its map, for rows that do not depend on each other. What the assumption is worth is not in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.labels.cells import Array, Counts
from monitor.labels.figures import CATALOGUE, Figure
from monitor.labels.smooth import stacked

ASSUMES = "P(y | x) stable"
LEAST = 200
"""Labelled rows of a segment that has a map of its own; one of fewer is read by the whole's."""
_Z = 1.959964
"""Of 95 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What scores are worth.

    share  float64[bins]   P(label 1), never falling
    starts int64[blocks]   the first of the bins that are read as one
    rows   float64[blocks] labelled rows of the reference
    doubt  float64[bins]   variance of a label; a share is taken half a row of each label towards the middle, so that a
                           bin of few rows is never sure
    """

    share: Array
    starts: NDArray[np.int64]
    rows: Array
    doubt: Array


class Scored(NamedTuple):
    """Rows of a window by score bin, and what they are worth."""

    rows: Counts
    calibration: Calibration


def calibrate(counts: Counts) -> Calibration | None:
    """The isotonic map of int64[bins, 2] labelled rows by score bin and label; None without rows.

    Pool adjacent violators (Ayer, Brunk, Ewing, Reid and Silverman 1955). A bin without rows is read between its
    neighbours.
    """
    filled = np.flatnonzero(counts.sum(axis=1))
    if not len(filled):
        return None
    pools: list[tuple[float, float, int]] = []
    for zeros, ones in counts[filled].tolist():
        pool = (float(ones), float(zeros + ones), 1)
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    ones_of, rows, bins = (np.array(column) for column in zip(*pools, strict=True))
    block = np.repeat(np.arange(len(pools)), bins.astype(np.int64))
    every = np.arange(len(counts))
    share = np.interp(every, filled, (ones_of / rows)[block])
    nearest = np.maximum(np.searchsorted(filled, every, side="right") - 1, 0)
    read = block[nearest]
    middle = (share * rows[read] + 0.5) / (rows[read] + 1)
    return Calibration(share, np.searchsorted(read, np.arange(len(pools))), rows, middle * (1 - middle))


def positive_shares(edges: Array, threshold: float) -> Array:
    """Share of each bin that is predicted 1, its rows taken to lie evenly: float64[bins]."""
    low, high = edges[:-1], edges[1:]
    inside = (low < threshold) & (threshold < high)
    wide = np.where(inside, high - low, 1.0)  # a bin of a single value may be too narrow to divide by
    return np.where(inside, (high - threshold) / wide, low >= threshold)


def estimate(parts: Sequence[Scored], positive: Array) -> dict[str, Figure]:
    """Figures and the confusion matrix that the rows of all parts together will have, as far as scores tell.

    Figures that are not defined, of no rows or of no positive ones, are left out.
    """
    table = sum((_table(part) for part in parts[1:]), start=_table(parts[0]))
    names, values, gradients = stacked(table, positive, confusion=True)
    if not names:
        return {}
    moved = gradients[:, :, 1] - gradients[:, :, 0]
    half = _Z * np.sqrt(
        sum((_variances(part, moved) for part in parts[1:]), start=_variances(parts[0], moved))
    )
    figures = {}
    for name, value, wide in zip(names, values, half.tolist(), strict=True):
        low, high = (CATALOGUE[name].low, CATALOGUE[name].high) if name in CATALOGUE else (0.0, 1.0)
        figures[name] = Figure(value, max(value - wide, low), min(value + wide, high))
    return figures


def _table(part: Scored) -> Array:
    table = np.empty((len(part.rows), 2))
    table[:, 1] = part.rows * part.calibration.share
    table[:, 0] = part.rows - table[:, 1]
    return table


def _variances(part: Scored, moved: Array) -> Array:
    """Of the labels of these rows, and of the map that they are read by, for each figure: float64[figures].

    moved  float64[figures, bins]  by what a figure moves when a row's label becomes 1
    """
    own = part.calibration
    moved = part.rows * moved
    drawn = moved**2 @ (own.doubt / np.maximum(part.rows, 1))
    together = np.add.reduceat(moved * np.sqrt(own.doubt), own.starts, axis=1) ** 2
    return np.asarray(drawn + together @ (1.0 / own.rows))
