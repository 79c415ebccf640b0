"""Estimates of a window without labels, by what its reference knows. They have no say in a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.layout import BELOW, FIRST_BIN
from monitor.labels.cells import Array, Counts
from monitor.labels.estimate import (
    ASSUMES,
    LEAST,
    Calibration,
    Scored,
    calibrate,
    estimate,
    positive_shares,
)
from monitor.labels.figures import Figure
from monitor.plan import ModelPlan
from monitor.reference.calibrated import SCORE
from monitor.reference.profile import Reference, SegmentColumn
from monitor.reference.segments import names_of
from monitor.segments import OTHER, segment_of
from monitor.verdict import Window

THRESHOLD = 0.5
"""The score from which on a prediction is 1, where no labels are joined that say another."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """What a reference knows of scores and labels; immutable, one per model.

    start     first slot of the prediction
    threshold the score from which on a prediction is 1
    positive  float64[bins]  share of each bin that is predicted 1
    columns   column of segments → segment → what its scores are worth
    """

    start: int
    threshold: float
    positive: Array
    whole: Calibration
    columns: Mapping[str, Mapping[str, Calibration]]

    def rows_of(self, window: Window) -> Counts:
        """Rows with a score, by bin: int64[bins]. What lies beyond the reference counts at its ends."""
        bins = len(self.positive)
        own = window.counts[self.start : self.start + FIRST_BIN + bins + 1]
        rows = own[FIRST_BIN:-1].copy()
        rows[0] += own[BELOW]
        rows[-1] += own[-1]
        return rows


def estimator_of(reference: Reference, plan: ModelPlan) -> Estimator | None:
    """None where the reference was built without scores or labels."""
    if not len(reference.calibration):
        return None
    at = next(i for i, profile in enumerate(reference.features) if profile.name == SCORE)
    whole = calibrate(reference.calibration[0])
    if whole is None:
        return None
    values = {segment.name: set(segment.values) for segment in plan.segments}
    columns, low = {}, 1
    for column in reference.segments:
        counts = reference.calibration[low : low + len(column.parts)]
        low += len(column.parts)
        if column.name in values:
            columns[column.name] = _maps(column, counts, whole, values[column.name])
    threshold = plan.join.threshold if plan.join is not None else THRESHOLD
    return Estimator(
        start=sum(profile.slots for profile in reference.features[:at]),
        threshold=threshold,
        positive=positive_shares(reference.features[at].edges, threshold),
        whole=whole,
        columns=columns,
    )


def _maps(
    column: SegmentColumn, counts: Counts, whole: Calibration, values: set[str]
) -> dict[str, Calibration]:
    """Segment → its own map, or the whole's where it has few labels. `other` is the same only where all values are."""
    maps = {}
    for name, own in zip(names_of(column), counts, strict=True):
        is_other = name == segment_of(column.name, OTHER) and values != set(column.values)
        found = calibrate(own) if own.sum() >= LEAST and not is_other else None
        maps[name] = found or whole
    return maps


def estimates(estimator: Estimator, window: Window, segments: Mapping[str, Window]) -> dict[str, Any]:
    """{assumes, threshold, rows, figures: name → [value, low, high], segments: column → figures}, JSON-able.

    `figures` are by the scores alone, those under `segments` by the maps of a column's segments; a column whose
    segments are not all of the window's rows is left out. Empty without rows.
    """
    rows = estimator.rows_of(window)
    if not rows.any():
        return {}
    by_column = {}
    for column, maps in estimator.columns.items():
        own = {name: one for name, one in segments.items() if name.startswith(f"{column}=")}
        parts = [Scored(estimator.rows_of(one), maps.get(name, estimator.whole)) for name, one in own.items()]
        if parts and np.array_equal(sum(part.rows for part in parts), rows):
            by_column[column] = _plain(estimate(parts, estimator.positive))
    return {
        "assumes": ASSUMES,
        "threshold": estimator.threshold,
        "rows": int(rows.sum()),
        "figures": _plain(estimate([Scored(rows, estimator.whole)], estimator.positive)),
        "segments": by_column,
    }


def _plain(figures: Mapping[str, Figure]) -> dict[str, list[float]]:
    return {name: [float(value) for value in figure] for name, figure in figures.items()}
