"""What is kept of each measured window beside its figures: when its labels came, and how often the model was wrong.

Of the windows of the shortest step, and of what lies in their last step alone, so that all of them together have every
prediction once. `outcomes` of a verdict: {delays: {edges, counts: [bins][classes]}, errors: [sum, labels]}, beside what
`runs`, `concept` and `versions` keep of windows of any step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.labels.cells import Array, Binary, Counts, Multiclass, Regression
from monitor.labels.delays import Delays
from monitor.plan import JoinPlan, ModelPlan, WindowSpec
from monitor.verdict import Verdict

BINS = 24
SMALLEST = 1_000
"""Where the first bin of delays ends, ms; from there on each is as many times longer as the one before it."""
QUANTILES = (0.5, 0.9, 0.99)


def finest(plan: ModelPlan) -> WindowSpec:
    """The windows of the shortest step; the first of several."""
    return min(plan.windows, key=lambda spec: spec.step)


def edges_of(join: JoinPlan, span: int) -> Counts:
    """Ends of the bins of delays, ms from the start of a cohort of this span on: int64[BINS + 1]."""
    return np.array([0, *np.geomspace(SMALLEST, join.wait + span, BINS).round()], np.int64)


def classes_of(join: JoinPlan) -> int:
    """Labels that may come sooner than others: of scores 0 and 1; of numbers all are taken to be alike."""
    return {"score": 2, "class": len(join.classes) + 1}.get(join.kind, 1)


def outcomes_of(
    values: NDArray[np.float32],
    delays: Counts,
    cell: Binary | Multiclass | Regression,
    *,
    join: JoinPlan,
    span: int,
) -> dict[str, Any]:
    """`values`, `delays`: of each label; `cell`: what they were counted in."""
    edges, classes = edges_of(join, span), classes_of(join)
    own = np.zeros(len(values), np.int64)
    if join.kind == "score":
        own = (values > 0.5).astype(np.int64)
    elif join.kind == "class":
        own = np.clip(values.astype(np.int64), 0, classes - 1)
    bins = np.clip(np.searchsorted(edges, delays, side="right") - 1, 0, BINS - 1)
    counts = np.bincount(bins * classes + own, minlength=BINS * classes).reshape(BINS, classes)
    return {
        "delays": {"edges": edges.tolist(), "counts": counts.tolist()},
        "errors": [wrong(cell), cell.labelled],
    }


def wrong(cell: Binary | Multiclass | Regression) -> float:
    """Labelled rows that were predicted otherwise; of numbers the sum of absolute errors, in the scale of the prediction."""
    if isinstance(cell, Binary):
        half = len(cell.counts) // 2
        return float(cell.counts[:half, 1].sum() + cell.counts[half:, 0].sum())
    if isinstance(cell, Multiclass):
        return float(cell.labelled - np.trace(cell.counts[:-1, :-1]))
    return float(cell.sums[2]) / 65536


def delays_of(history: Sequence[Verdict], edges: Counts) -> Delays | None:
    """When labels came, of all windows that are remembered and were counted in the same bins; None without any."""
    found = [one.outcomes["delays"] for one in history if "delays" in one.outcomes]
    counts = [np.array(one["counts"], np.int64) for one in found if one["edges"] == edges.tolist()]
    if not counts or len({one.shape for one in counts}) > 1:
        return None
    total: Counts = np.sum(counts, axis=0)
    return Delays(edges.astype(np.float64), total) if total.any() else None


def quantiles(delays: Delays) -> Mapping[str, Sequence[float]]:
    """Class of the label, "" all → QUANTILES of the delay, ms, evenly within a bin; classes without labels are left out."""
    counts = {"": delays.counts.sum(axis=1)}
    if delays.counts.shape[1] > 1:
        counts |= {str(own): delays.counts[:, own] for own in range(delays.counts.shape[1])}
    return {name: _quantiles(one, delays.edges) for name, one in counts.items() if one.any()}


def _quantiles(counts: Counts, edges: Array) -> list[float]:
    passed = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    return [float(np.interp(share, passed, edges)) for share in QUANTILES]
