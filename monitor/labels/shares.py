"""From the sums that a join leaves to figures as a verdict has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.join import BINS, SCORE_SUMS, width_of
from monitor.labels.cells import Binary, Multiclass, Regression
from monitor.labels.figures import Realised, realise
from monitor.labels.join import KINDS
from monitor.labels.sampled import Parts, kept, pooled, stands_for
from monitor.plan import JoinPlan, ModelPlan

FIRST = {"score": "auc", "class": "accuracy", "number": "mae"}
"""The figure that a sentence about a window begins with."""
MANY = 1_000
"""Labels of which some should be positive: with one in 200 all of them are negative once in 150 windows."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How well some predictions did."""

    predictions: int
    """About as many where they were sampled."""
    labelled: int
    scores: Mapping[str, float]
    """Figures by name, `NAME_low` and `NAME_high` around them, `label_coverage`, `labels`; `sampled`: the share of the
    predictions that was joined, where it is not all."""
    detail: str


def measure(parts: Parts, plan: ModelPlan) -> Shares:
    """Figures of rows of `kernels.join`'s sums, by level."""
    assert plan.join is not None
    width = width_of(KINDS[plan.join.kind], len(plan.join.classes))
    sums = cell_of(pooled(parts, width), plan.join)
    found = realise(sums)
    (predictions, labelled), whole = kept(parts), stands_for(parts)
    scores: dict[str, float] = {}
    for name, figure in found.figures.items():
        scores |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    if found.predictions:
        scores |= {"label_coverage": found.coverage, "labels": float(labelled)}
    if predictions < whole:
        scores["sampled"] = predictions / whole
    text = _text(found, FIRST[plan.join.kind], predictions, labelled)
    text += _none_positive(sums, plan.join)
    if predictions < whole:
        text += f" A sample of {predictions / whole:.2g} of about {whole:,} predictions."
    return Shares(whole, labelled, scores, text)


def cell_of(sums: NDArray[np.int64], join: JoinPlan) -> Binary | Multiclass | Regression:
    """The counts in a row of sums by name; the columns are those of `kernels.join.width_of`."""
    predictions = int(sums[-2])
    if join.kind == "score":
        end = 3 * BINS
        return Binary(
            threshold=join.threshold, counts=sums[: 2 * BINS].reshape(BINS, 2), sums=sums[end : end + SCORE_SUMS],
            predicted=sums[2 * BINS : end], predictions=predictions,
        )  # fmt: skip
    if join.kind == "class":
        classes = len(join.classes) + 1
        return Multiclass(sums[: classes * classes].reshape(classes, classes), predictions)
    return Regression(join.scale, sums[:-2], predictions)


def _text(found: Realised, first: str, predictions: int, labelled: int) -> str:
    if not found.predictions:
        return "No predictions with an id in this window."
    labels = f"{labelled:,} labels of {predictions:,} predictions ({found.coverage:.0%})"
    figure = found.figures.get(first)
    if figure is None:
        return f"{labels}."
    return f"{first} {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) by {labels}."


def _none_positive(cell: Binary | Multiclass | Regression, join: JoinPlan) -> str:
    """Labels that are written otherwise than the settings say are all negative, and look like any other."""
    if not isinstance(cell, Binary) or (labels := int(cell.counts.sum())) < MANY or cell.counts[:, 1].any():
        return ""
    return f" None of {labels:,} labels is positive, which are {', '.join(join.classes)} (labels.positive)."
