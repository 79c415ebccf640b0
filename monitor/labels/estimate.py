"""How well a model does before any label comes: of its scores, and of what the reference knows of scores and labels.

A score is worth P(label 1 | score bin) of the reference, isotonic over bins (CBPE: Humphrys, Białek, Kuberski 2023,
as NannyML has it). That assumes that P(y | x) has not changed, and whoever shows an estimate says so: a model whose
world has changed looks as good as ever. An estimate by segments has a map for each segment, and so sees what moves
between them; the plain one stands beside it.

Bounds are for one look, at 95 %: of the labels that the window's rows will have, and of how well the reference knows
its map, for rows that do not depend on each other. What the assumption is worth is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.labels.cells import Array, Counts
from monitor.labels.figures import CATALOGUE, Figure
from monitor.labels.smooth import Smooth, of_bins, ratio

ASSUMES = "P(y | x) stable"
CONFUSION = ("true_positive", "false_positive", "false_negative", "true_negative")
"""Shares of all rows, beside the figures that are made of them."""
LEAST = 200
"""Labelled rows of a segment that has a map of its own; one of fewer is read by the whole's."""
_Z = 1.959964
"""Of 95 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What scores are worth.

    share  float64[bins]   P(label 1), never falling
    block  int64[bins]     which bins are read as one
    rows   float64[blocks] labelled rows of the reference
    """

    share: Array
    block: NDArray[np.int64]
    rows: Array


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
    return Calibration(share, block[nearest], rows)


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
    table = np.sum([_table(part) for part in parts], axis=0)
    found = of_bins(table, positive) | _confusion(table, positive)
    figures = {}
    for name, smooth in found.items():
        half = _Z * math.sqrt(sum(_variance(part, smooth) for part in parts))
        low, high = (CATALOGUE[name].low, CATALOGUE[name].high) if name in CATALOGUE else (0.0, 1.0)
        figures[name] = Figure(smooth.value, max(smooth.value - half, low), min(smooth.value + half, high))
    return figures


def _table(part: Scored) -> Array:
    share = part.calibration.share
    return np.asarray(part.rows[:, None] * np.stack([1 - share, share], axis=1), np.float64)


def _confusion(table: Array, positive: Array) -> dict[str, Smooth]:
    predicted, label = np.stack([positive, positive], axis=1), np.zeros(table.shape)
    label[:, 1] = 1.0
    cells = (
        predicted * label,
        predicted * (1 - label),
        (1 - predicted) * label,
        (1 - predicted) * (1 - label),
    )
    found = {name: ratio(table, cell) for name, cell in zip(CONFUSION, cells, strict=True)}
    return {name: smooth for name, smooth in found.items() if smooth is not None}


def _variance(part: Scored, smooth: Smooth) -> float:
    """Of the labels of these rows, and of the map that they are read by.

    A share is taken half a row of each label towards the middle, so that a bin of few rows is never sure.
    """
    own = part.calibration
    moved = part.rows * (smooth.gradient[:, 1] - smooth.gradient[:, 0])
    known = own.rows[own.block]
    share = (own.share * known + 0.5) / (known + 1)
    doubt = share * (1 - share)
    drawn = float((doubt * moved**2 / np.maximum(part.rows, 1)).sum())
    blocks = len(own.rows)
    together = np.bincount(own.block, moved * np.sqrt(doubt), blocks) ** 2 / own.rows
    return drawn + float(together.sum())
