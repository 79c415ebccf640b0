"""Predictions that have their label beside them, counted as they come. Step 5, beside the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.join import add_labelled, width_of
from monitor.columns import Columns
from monitor.labels.join import KINDS
from monitor.plan import JoinPlan

Sums = NDArray[np.int64]


def width(join: JoinPlan) -> int:
    """Of the sums of one cell."""
    return width_of(KINDS[join.kind], len(join.classes))


def count(columns: Columns, number: NDArray[np.int32], cells: int, join: JoinPlan) -> Sums:
    """int64[cells, width]: the sums of the rows of each cell; `number` is -1 where a row has none."""
    assert columns.outcome is not None
    assert columns.label is not None
    sums = np.zeros((cells, width(join)), np.int64)
    kind = KINDS[join.kind], len(join.classes), join.threshold, join.scale
    add_labelled(sums, *kind, number, columns.outcome, columns.label)
    return sums
