"""Figures of a table of predictions by labels, and how far each cell moves them.

A figure is a smooth function of the table that does not change with its size, so that its variance is that of a sum
over rows: Σ rows · (weight · gradient)² (delta method; of the AUC that is DeLong, DeLong and Clarke-Pearson 1988).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from monitor.labels.cells import BINS, HALF, Array, bin_edges

CONFUSION = ("true_positive", "false_positive", "false_negative", "true_negative")
_OF_CELLS = {
    "accuracy": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "precision": ((1, 0, 0, 0), (1, 1, 0, 0)),
    "recall": ((1, 0, 0, 0), (1, 0, 1, 0)),
    "f1": ((2, 0, 0, 0), (2, 1, 1, 0)),
} | {
    name: (tuple(int(at == other) for other in range(len(CONFUSION))), (1, 1, 1, 1))
    for at, name in enumerate(CONFUSION)
}  # fmt: skip
"""Of the four cells, which are added up above the line and which below."""
_ABOVE, _BELOW = (np.array([pair[side] for pair in _OF_CELLS.values()], np.float64) for side in (0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """gradient: of each cell, by what the figure moves with one more row there."""

    value: float
    gradient: Array


def of_classes(table: Array, classes: int) -> dict[str, Smooth]:
    """Figures of predicted class by label. Rows and columns beyond `classes` are no class of their own.

    Macro figures are means over the classes that have one: precision where it was predicted, recall where it is a
    label, F1 where it is either. Whether two other classes are the same is not known: accuracy is without such rows.
    """
    hit = np.zeros(table.shape)
    np.fill_diagonal(hit[:classes, :classes], 1.0)
    known = np.ones(table.shape)
    known[classes:, classes:] = 0.0
    inner = np.arange(len(table)) < classes
    right, predicted, labels = (table * hit).sum(axis=1), table.sum(axis=1), table.sum(axis=0)
    nothing = np.zeros(len(table))
    found = {
        "accuracy": ratio(table, hit, known),
        "macro_precision": _macro(hit, right, predicted * inner, nothing),
        "macro_recall": _macro(hit, right, nothing, labels * inner),
        "macro_f1": _macro(hit, right, predicted * inner, labels * inner),
    }
    return {name: smooth for name, smooth in found.items() if smooth is not None}


def of_scores(table: Array, threshold: float) -> dict[str, Smooth]:
    """Figures of score bin by label; Brier score and log loss as if scores lay evenly in their bins."""
    positive = np.zeros(BINS)
    positive[HALF:] = 1.0
    squares, losses, _ = losses_of(threshold)
    found = {"log_loss": ratio(table, losses), "brier": ratio(table, squares)}
    return of_bins(table, positive) | {name: smooth for name, smooth in found.items() if smooth is not None}


def of_bins(table: Array, positive: Array) -> dict[str, Smooth]:
    """Figures of bins of any score by label; `positive` float64[bins] is the share of each that is predicted 1."""
    return {name: Smooth(*one) for name, *one in zip(*stacked(table, positive), strict=True)}


def stacked(
    table: Array, positive: Array, *, confusion: bool = False
) -> tuple[list[str], list[float], Array]:
    """The figures of `of_bins`: names, values and gradients, float64[figures, bins, 2].

    With `confusion` the shares of all rows that they are made of, too.
    """
    flat = _cells(np.ascontiguousarray(positive, np.float64).tobytes())
    used = len(_OF_CELLS) if confusion else len(_OF_CELLS) - len(CONFUSION)
    sums = flat @ table.ravel()
    above, below = _ABOVE[:used], _BELOW[:used]
    lower = below @ sums
    size = np.where(lower > 0, lower, 1.0)
    values = above @ sums / size
    gradients = np.empty((used + 1, *table.shape))
    np.matmul((above - values[:, None] * below) / size[:, None], flat, out=gradients[:-1].reshape(used, -1))
    found = [at for at, name in enumerate(_OF_CELLS) if at < used and lower[at] > 0]
    names, shares = [*list(_OF_CELLS)[:used], "auc"], values.tolist()
    auc = _auc(table, gradients[-1])
    if auc is not None:
        found.append(used)
        shares.append(auc)
    return (
        [names[at] for at in found], [shares[at] for at in found],
        gradients if len(found) == len(gradients) else gradients[found],
    )  # fmt: skip


@functools.lru_cache(maxsize=16)
def _cells(positive: bytes) -> Array:
    """Share of each bin and label that is in each cell of CONFUSION: float64[4, 2 * bins]."""
    share = np.frombuffer(positive)
    cells = np.zeros((len(CONFUSION), len(share), 2))
    cells[0, :, 1] = cells[1, :, 0] = share
    cells[2, :, 1] = cells[3, :, 0] = 1.0 - share
    cells.flags.writeable = False
    return cells.reshape(len(CONFUSION), -1)


def losses_of(threshold: float) -> tuple[Array, Array, Array]:
    """Means over each bin and label: squared error, log loss and its square; float64[BINS, 2] each."""
    edges = bin_edges(threshold)
    low, high = edges[:-1], edges[1:]
    squares = np.stack([np.diff(edges**3 / 3), np.diff((edges - 1) ** 3 / 3)], axis=1)
    first, second = [], []
    for ends in (1 - edges, edges):
        log = np.log(np.maximum(ends, 1e-300))
        first.append(np.diff(ends - ends * log))
        second.append(np.diff(ends * log**2 - 2 * ends * log + 2 * ends))
    wide = np.where(high > low, high - low, 1.0)[:, None]
    return (
        squares / wide,
        np.abs(np.stack(first, axis=1)) / wide,
        np.abs(np.stack(second, axis=1)) / wide,
    )


def auc_ties(table: Array) -> float:
    """By how much the AUC of single scores can differ: half the pairs of both labels that share a bin."""
    pairs = float(table[:, 0].sum() * table[:, 1].sum())
    return float(table[:, 0] @ table[:, 1]) / pairs / 2 if pairs else 0.0


def ratio(table: Array, above: Array, below: Array | float = 1.0) -> Smooth | None:
    """Σ table · above ÷ Σ table · below; None where nothing is below."""
    lower = float(table.sum() * below) if isinstance(below, float) else float(np.vdot(table, below))
    if lower <= 0:
        return None
    value = float(np.vdot(table, above)) / lower
    return Smooth(value, (above - value * below) / lower)


def _macro(hit: Array, right: Array, predicted: Array, labels: Array) -> Smooth | None:
    """The mean over classes of their hits ÷ their rows; with both sides the hits count twice."""
    sides = 1 + bool(predicted.any() and labels.any())
    rows = predicted + labels
    used = rows > 0
    if not used.any():
        return None
    size = np.where(used, rows, 1.0)
    own = np.where(used, sides * right / size, 0.0)
    each, missed = np.where(used, sides / size, 0.0), own / size
    gradient = hit * each[:, None]
    if predicted.any():
        gradient = gradient - missed[:, None]
    if labels.any():
        gradient = gradient - missed[None, :]
    return Smooth(float(own[used].mean()), gradient / used.sum())


def _auc(table: Array, gradient: Array) -> float | None:
    """The chance that a row of label 1 has the higher score; within a bin one half. Writes its gradient."""
    summed = table.cumsum(axis=0)
    zeros, ones = summed[-1].tolist()
    if not (zeros > 0 and ones > 0):
        return None
    middle = summed - table / 2
    value: float = float(middle[:, 0] @ table[:, 1]) / (zeros * ones)
    gradient[:, 0] = (1.0 - value - middle[:, 1] / ones) / zeros
    gradient[:, 1] = (middle[:, 0] / zeros - value) / ones
    return value
