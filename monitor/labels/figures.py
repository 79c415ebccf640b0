"""Figures of how well a model does, of counts that the join of labels leaves, with bounds that hold at every look.

Exact, from the first label on, where all rows are alike: accuracy, precision, recall and F1 of two classes and accuracy
of many (`sequences.bound_share`; F1 is 2J / (1 + J) of the share J of hits among all rows but true negatives). Exact
but for scores within a bin: calibration error, whose groups share alpha. Asymptotic, from 100 labels on
(`sequences.half_width`): AUC, whose bounds are widened by what ties within a bin can hide, log loss, Brier score, macro
figures, MAE, bias, RMSE, and R² given the spread of these labels. Variances are those of the rows and of one more
that would move the figure far, so that bounds are not narrow by the luck of few rows.

Fourth powers of errors are not counted, so RMSE goes by twice the kurtosis that MAE and RMSE suggest. In simulation, at
a nominal 5 %, its bounds were left by 0 % of runs with normal errors and 1 % with those of Student's distribution with 5
degrees of freedom, but by 18 % where one error in 50 is five times as large: believe it less than MAE's.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.labels.cells import Array, Binary, Multiclass, Regression, bin_edges
from monitor.labels.sequences import bound_share, half_width
from monitor.labels.smooth import Smooth, auc_ties, losses_of, of_classes, of_scores

ALPHA = 0.05
GROUPS = 16
"""Groups of score bins that the calibration error is a mean over: 8 below the threshold, 8 from it on."""
UNIT = 2.0**20
_CLIP = 24 * math.log(2)
"""The largest log loss of a row."""


class Better(enum.StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    NEAR_ZERO = "near_zero"


class Measure(NamedTuple):
    """What a figure can be, and which way is better."""

    better: Better
    low: float
    high: float


_SHARE = Measure(Better.HIGHER, 0.0, 1.0)
CATALOGUE: Mapping[str, Measure] = {
    "accuracy": _SHARE,
    "precision": _SHARE,
    "recall": _SHARE,
    "f1": _SHARE,
    "auc": _SHARE,
    "log_loss": Measure(Better.LOWER, 0.0, _CLIP),
    "brier": Measure(Better.LOWER, 0.0, 1.0),
    "calibration_error": Measure(Better.LOWER, 0.0, 1.0),
    "macro_precision": _SHARE,
    "macro_recall": _SHARE,
    "macro_f1": _SHARE,
    "mae": Measure(Better.LOWER, 0.0, math.inf),
    "rmse": Measure(Better.LOWER, 0.0, math.inf),
    "bias": Measure(Better.NEAR_ZERO, -math.inf, math.inf),
    "r2": Measure(Better.HIGHER, -math.inf, 1.0),
}
"""Every figure there is; `bias` is the mean of prediction - label."""


class Basis(enum.StrEnum):
    """Which labels figures are of."""

    COMPLETE = "complete"
    """Of cohorts whose labels have come."""
    EARLY = "early"
    """Of the labels that came so far, as they are: wrong wherever what comes early is not like the rest."""
    WEIGHTED = "weighted"
    """Of the labels that came so far, each for those of its class that will come: `monitor.labels.delays`."""


class Figure(NamedTuple):
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Realised:
    """How well a cohort did. Figures that its labels do not define are left out."""

    kind: str
    """binary | multiclass | regression"""
    basis: Basis
    predictions: int
    labelled: int
    figures: Mapping[str, Figure]

    @property
    def coverage(self) -> float:
        """Share of the predictions that have a label; NaN without predictions."""
        return self.labelled / self.predictions if self.predictions else math.nan


def realise(
    cell: Binary | Multiclass | Regression, *, basis: Basis = Basis.COMPLETE, alpha: float = ALPHA
) -> Realised:
    """Figures of the labels that a cohort has; `basis` says whether they are all that will come."""
    match cell:
        case Binary():
            kind, figures = "binary", _binary(cell, alpha)
        case Multiclass():
            kind, figures = "multiclass", _multiclass(cell, alpha)
        case Regression():
            kind, figures = "regression", _regression(cell, alpha)
    return Realised(kind, basis, cell.predictions, cell.labelled, figures)


def bounded(name: str, value: float, half: float) -> Figure:
    """A figure within what it can be."""
    measure = CATALOGUE[name]
    return Figure(value, max(value - half, measure.low), min(value + half, measure.high))


def width_of(
    smooth: Smooth, squares: Array, rows: int, alpha: float, *, extra: float = 0.0, heaviest: float = 1.0
) -> float:
    """Half the width around a smooth figure of `rows` labels.

    `squares`: Σ weight² of the labels of each cell; `heaviest`: the largest weight there is; `extra`: variance
    that does not come of the labels.
    """
    single = (heaviest * float(np.abs(smooth.gradient).max())) ** 2
    variance = float((squares * smooth.gradient**2).sum()) + single + extra
    return half_width(variance * rows, rows, alpha)


def with_ties(auc: Figure, table: Array) -> Figure:
    """Bounds that hold of the AUC of single scores, too, whatever the order within a bin."""
    ties = auc_ties(table)
    return Figure(auc.value, max(auc.low - ties, 0.0), min(auc.high + ties, 1.0))


def calibration(table: Array, threshold: float, bounds: Array) -> Figure:
    """Mean distance of share of label 1 and score over groups of bins; `bounds` float64[GROUPS, 2] of the shares.

    The value is never below what chance makes of it: 0.8 of the mean standard error of the shares.
    """
    edges = bin_edges(threshold)
    rows = table.sum(axis=1)
    centres = (rows * (edges[:-1] + edges[1:]) / 2).reshape(GROUPS, -1).sum(axis=1)
    ones, rows = table[:, 1].reshape(GROUPS, -1).sum(axis=1), rows.reshape(GROUPS, -1).sum(axis=1)
    used = rows > 0
    weight, score, share = rows[used] / rows.sum(), centres[used] / rows[used], ones[used] / rows[used]
    low, high = bounds[used, 0], bounds[used, 1]
    near = np.maximum(np.maximum(low - score, score - high), 0.0)
    far = np.maximum(np.abs(low - score), np.abs(high - score))
    return Figure(float(weight @ np.abs(share - score)), float(weight @ near), min(float(weight @ far), 1.0))


def _binary(cell: Binary, alpha: float) -> dict[str, Figure]:
    table, rows = cell.counts.astype(np.float64), cell.labelled
    figures = {}
    for name, smooth in of_scores(table, cell.threshold).items():
        if name not in {"log_loss", "brier"}:
            figures[name] = bounded(name, smooth.value, width_of(smooth, table, rows, alpha))
    if not rows:
        return figures
    figures |= _shares(table, alpha)
    if "auc" in figures:
        figures["auc"] = with_ties(figures["auc"], table)
    figures |= _losses(cell, alpha)
    groups = table.reshape(GROUPS, -1, 2).sum(axis=1)
    bounds = np.array([bound_share(one, zero + one, alpha / GROUPS) for zero, one in groups])
    return figures | {"calibration_error": calibration(table, cell.threshold, bounds)}


def _shares(table: Array, alpha: float) -> dict[str, Figure]:
    """The figures that are probabilities of one kind of row, exactly."""
    half = len(table) // 2
    (tn, fn), (fp, tp) = table[:half].sum(axis=0), table[half:].sum(axis=0)
    of = {
        "accuracy": (tp + tn, tp + tn + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "f1": (tp, tp + fp + fn),
    }
    figures = {}
    for name, (hits, rows) in of.items():
        if rows:
            three = (hits / rows, *bound_share(hits, rows, alpha))
            figures[name] = Figure(*(2 * x / (1 + x) if name == "f1" else x for x in three))
    return figures


def _losses(cell: Binary, alpha: float) -> dict[str, Figure]:
    """Means are those of the sums. What log loss has beyond its bins' means is taken to lie at the largest there is."""
    rows = cell.labelled
    squares, losses, seconds = losses_of(cell.threshold)
    loss, brier = float(cell.sums[2]) / UNIT, float(cell.sums[1]) / UNIT
    second = float((cell.counts * seconds).sum())
    second += max(loss - float((cell.counts * losses).sum()), 0.0) * 2 * _CLIP
    worst = float(losses.max())
    figures = {}
    for name, total, square, most in (
        ("log_loss", loss, second, worst),
        ("brier", brier, float((cell.counts * squares**2).sum()), 1.0),
    ):
        mean = total / rows
        variance = max(square / rows - mean**2, 0.0) + (most - mean) ** 2 / rows
        figures[name] = bounded(name, mean, half_width(variance, rows, alpha))
    return figures


def _multiclass(cell: Multiclass, alpha: float) -> dict[str, Figure]:
    table, rows = cell.counts.astype(np.float64), cell.labelled
    classes = len(table) - 1
    figures = {
        name: bounded(name, smooth.value, width_of(smooth, table, rows, alpha))
        for name, smooth in of_classes(table, classes).items()
    }
    if "accuracy" in figures:
        hits, known = float(np.trace(table[:classes, :classes])), rows - float(table[classes, classes])
        figures["accuracy"] = Figure(hits / known, *bound_share(hits, known, alpha))
    return figures


def _regression(cell: Regression, alpha: float) -> dict[str, Figure]:
    rows, total, absolute, coarse, labels, coarse_labels = (float(x) for x in cell.sums)
    if not rows:
        return {}
    unit = cell.scale / 65536
    mean, mae = total / rows, absolute / rows
    square = max(_mean_square(coarse, total, rows), mae**2)
    spread = _mean_square(coarse_labels, labels, rows) - (labels / rows) ** 2
    widths = {
        "bias": (mean, square - mean**2),
        "mae": (mae, square - mae**2),
    }
    figures = {}
    for name, (value, variance) in widths.items():
        half = half_width((max(variance, 0.0) + square / rows) * unit**2, rows, alpha)
        figures[name] = bounded(name, value * unit, half)
    half = half_width((2 * kurtosis(mae, square) - 1) * square**2, rows, alpha)
    low, high = max(square - half, 0.0), square + half
    figures["rmse"] = Figure(*(math.sqrt(x) * unit for x in (square, low, high)))
    if spread > 0:
        figures["r2"] = Figure(1 - square / spread, 1 - high / spread, 1 - low / spread)
    return figures


def _mean_square(coarse: float, total: float, rows: float) -> float:
    """Mean of q² from Σ (q >> 8)² and Σ q. With q / 256 = f + u, u even in [0, 1): Σ f² + Σ f + rows / 3."""
    return (coarse + total / 256 - rows / 6) / rows * 65536


def kurtosis(mae: float, square: float) -> float:
    """Of Student's distribution with this mean absolute value and mean square, 3 at least.

    Of heavier tails than those of 5 degrees of freedom: of the generalised normal distribution, 9 at least.
    """
    ratio = mae**2 / square if square > 0 else 1.0
    if ratio >= 2 / math.pi:
        return 3.0
    if ratio <= _student(5.0):
        low, high = 0.25, 2.0  # shapes; 1 is Laplace's, 2 the normal distribution
        for _ in range(50):
            shape = math.sqrt(low * high)
            g1, g2, g3 = (math.lgamma(k / shape) for k in (1, 2, 3))
            low, high = (shape, high) if math.exp(2 * g2 - g1 - g3) < ratio else (low, shape)
        return max(9.0, math.exp(math.lgamma(5 / shape) + g1 - 2 * g3))
    low, high = 5.0, 1e6
    for _ in range(50):
        freedom = math.sqrt(low * high)
        low, high = (freedom, high) if _student(freedom) < ratio else (low, freedom)
    return 3 + 6 / (low - 4)


def _student(freedom: float) -> float:
    """(E |t|)² / E t² of Student's distribution."""
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    return 4 * (freedom - 2) * math.exp(2 * log) / (math.pi * (freedom - 1) ** 2)
