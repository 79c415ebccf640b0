"""Figures of cohorts whose labels have not all come: what comes early is not like the rest.

A label that came stands for 1 / P(delay ≤ age | label) of its class (inverse probability of censoring; Horvitz and
Thompson 1952), the delays being those of cohorts that are complete. Where scores of all predictions are known, groups of
scores are weighted by them as well, for labels may come of some scores sooner or only. Assumed, and shown as such:
that a label's delay depends on the label alone, as it did before, and that within a score it is not chosen who gets one.
All bounds are asymptotic; they include how well the delays are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.labels.cells import Array, Binary, Counts, Multiclass
from monitor.labels.figures import (
    ALPHA,
    GROUPS,
    UNIT,
    Basis,
    Figure,
    Realised,
    bounded,
    calibration,
    width_of,
    with_ties,
)
from monitor.labels.smooth import Smooth, of_classes, of_scores

LEAST = 0.05
"""A cohort of which less of a class has come is left out: a label would stand for more than 20."""
GROUP_ROWS = 50
"""Labels that a group of scores has at least before it is weighted by the predictions in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Delays:
    """When labels came after their predictions, of cohorts that are complete.

    edges   float64[bins + 1]  of the delay, ascending from 0; within a bin delays are taken to lie evenly
    counts  int64[bins, classes]  labels
    """

    edges: Array
    counts: Counts

    def passed(self, youngest: float, oldest: float) -> Array:
        """Of a cohort whose predictions are evenly of these ages: share of each bin of delays that it is past."""
        low, wide = self.edges[:-1], np.diff(self.edges)
        if oldest <= youngest:
            return np.clip((youngest - low) / wide, 0.0, 1.0)
        below, above = (
            np.where(age > low + wide, age - low - wide / 2, np.maximum(age - low, 0.0) ** 2 / (2 * wide))
            for age in (youngest, oldest)
        )
        return np.asarray((above - below) / (oldest - youngest))

    def share(self, passed: Array) -> Array:
        """P(delay ≤ age | label) of each class; NaN of one without labels."""
        total = self.counts.sum(axis=0)
        share = passed @ self.counts / np.maximum(total, 1)
        return np.where(total > 0, share, np.nan)


class Part(NamedTuple):
    """A cohort, and the ages of its youngest and oldest prediction, in the unit of `Delays.edges`."""

    cell: Binary | Multiclass
    youngest: float
    oldest: float


class _Weighted(NamedTuple):
    """One cohort that is old enough.

    weight  float64[classes]  what a label stands for
    passed  float64[bins]
    """

    cell: Binary | Multiclass
    weight: Array
    passed: Array


def weigh(parts: Sequence[Part], delays: Delays, *, alpha: float = ALPHA) -> Realised:
    """Figures of cohorts of one model, complete or not, as they will be; cohorts that are too young are left out.

    Without figures where none is old enough, or labels came of which no complete cohort has any.
    """
    used = [one for part in parts if (one := _weighted(part, delays)) is not None]
    kind = "binary" if not parts or isinstance(parts[0].cell, Binary) else "multiclass"
    predictions = sum(one.cell.predictions for one in used)
    rows = sum(one.cell.labelled for one in used)
    figures = _figures(_table(used), delays, alpha) if rows else {}
    return Realised(kind, Basis.WEIGHTED, predictions, rows, figures)


def _weighted(part: Part, delays: Delays) -> _Weighted | None:
    """None of a cohort that is too young, or has labels of which no delay is known."""
    passed = delays.passed(part.youngest, part.oldest)
    share = delays.share(passed)
    came = part.cell.counts.sum(axis=0) > 0
    if (share < LEAST).any() or (np.isnan(share) & came).any():
        return None
    return _Weighted(part.cell, 1 / np.where(np.isnan(share), 1.0, share), passed)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Weighted labels of all cohorts.

    cell       all cohorts together, as their labels came
    table, squares  float64[rows, classes]  Σ weight, Σ weight² of the labels of each cell
    group      int64[rows]      which group of scores a bin is in; one of all where there are no scores
    predicted  float64[groups]  share of the predictions
    factor     float64[rows]    what a group's labels are multiplied by, to be as many as its predictions
    """

    used: Sequence[_Weighted]
    cell: Binary | Multiclass
    table: Array
    squares: Array
    group: NDArray[np.int64]
    predicted: Array
    factor: Array

    def split(self, gradient: Array, delays: Delays) -> tuple[Array, float]:
        """The gradient less what is known of each group, and the variance of groups and delays."""
        groups = len(self.predicted)
        size = np.bincount(self.group, self.table.sum(axis=1), groups)
        mean = np.bincount(self.group, (self.table * gradient).sum(axis=1), groups) / size
        inner = gradient - mean[self.group][:, None]
        between = float(self.predicted @ mean**2) * float(size.sum()) ** 2 / max(self.cell.predictions, 1)
        moved = np.zeros(delays.counts.shape)
        for one in self.used:
            stood = one.cell.counts * one.weight * self.factor[:, None] * inner
            moved += one.passed[:, None] * (stood.sum(axis=0) * one.weight)
        total = np.maximum(delays.counts.sum(axis=0), 1)
        apart = (moved - (delays.counts * moved).sum(axis=0) / total) ** 2
        of_delays = (delays.counts * apart).sum(axis=0) / total**2 + apart.max(axis=0) / total**2
        return inner, between + float(of_delays.sum())

    def half(self, gradient: Array, delays: Delays, *, rows: int, alpha: float) -> float:
        """Half the width around a figure of this gradient."""
        inner, extra = self.split(gradient, delays)
        heaviest = max(float(one.weight.max()) for one in self.used) * float(self.factor.max())
        return width_of(Smooth(0.0, inner), self.squares, rows, alpha, extra=extra, heaviest=heaviest)


def _table(used: Sequence[_Weighted]) -> _Table:
    cell: Binary | Multiclass = used[0].cell
    for one in used[1:]:
        cell = cell.merged(one.cell)  # type: ignore[arg-type]
    table = np.sum([one.cell.counts * one.weight for one in used], axis=0)
    group, predicted = np.zeros(len(table), np.int64), np.ones(1)
    if isinstance(cell, Binary):
        group = _groups(cell.counts.sum(axis=1))
        rows = np.bincount(group, cell.predicted)
        predicted = rows / rows.sum()
    factor = (predicted / np.bincount(group, table.sum(axis=1)) * table.sum())[group]
    weights = [one.weight * factor[:, None] for one in used]
    squares = np.sum([one.cell.counts * w**2 for one, w in zip(used, weights, strict=True)], axis=0)
    return _Table(used, cell, table * factor[:, None], squares, group, predicted, factor)


def _groups(labelled: Counts) -> NDArray[np.int64]:
    """Neighbouring bins together until GROUP_ROWS are labelled; what is left at the end joins the last."""
    before = np.concatenate([[0], np.cumsum(labelled)[:-1]])
    group = np.zeros(len(labelled), np.int64)
    start, own = 0, 0
    for row in range(1, len(labelled)):
        if before[row] - start >= GROUP_ROWS and before[-1] + labelled[-1] - before[row] >= GROUP_ROWS:
            start, own = before[row], own + 1
        group[row] = own
    return group


def _figures(found: _Table, delays: Delays, alpha: float) -> dict[str, Figure]:
    cell, rows = found.cell, found.cell.labelled
    if isinstance(cell, Multiclass):
        smooths = of_classes(found.table, len(found.table) - 1)
    else:
        smooths = of_scores(found.table, cell.threshold)
        smooths |= {name: _scaled(smooths[name], cell, name) for name in ("log_loss", "brier")}
    figures = {
        name: bounded(name, smooth.value, found.half(smooth.gradient, delays, rows=rows, alpha=alpha))
        for name, smooth in smooths.items()
    }
    if isinstance(cell, Multiclass):
        return figures
    if "auc" in figures:
        figures["auc"] = with_ties(figures["auc"], found.table)
    return figures | {
        "calibration_error": calibration(found.table, cell.threshold, _share_bounds(found, delays, alpha))
    }


def _scaled(smooth: Smooth, cell: Binary, name: str) -> Smooth:
    """A mean loss times what the sums of the labels that came have for each 1 that their bins have."""
    plain = of_scores(cell.counts.astype(np.float64), cell.threshold)[name].value
    told = float(cell.sums[2 if name == "log_loss" else 1]) / UNIT / cell.labelled
    ratio = told / plain if plain > 0 else 1.0
    return Smooth(smooth.value * ratio, smooth.gradient * ratio)


def _share_bounds(found: _Table, delays: Delays, alpha: float) -> Array:
    """Bounds of the share of label 1 in each group of scores: float64[GROUPS, 2]."""
    bounds = np.tile([0.0, 1.0], (GROUPS, 1))
    wide = len(found.table) // GROUPS
    for own in range(GROUPS):
        part = slice(own * wide, (own + 1) * wide)
        size = float(found.table[part].sum())
        if not size:
            continue
        share = float(found.table[part, 1].sum()) / size
        gradient = np.zeros(found.table.shape)
        gradient[part] = np.array([-share, 1 - share]) / size
        rows = int(found.cell.counts[part].sum())
        half = found.half(gradient, delays, rows=rows, alpha=alpha / GROUPS)
        bounds[own] = max(share - half, 0.0), min(share + half, 1.0)
    return bounds
