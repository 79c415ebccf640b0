"""Event times that are a mistake of the unit: seconds read as milliseconds, and the like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.columns import Columns, Novel, Reject
from monitor.intake.schema import show
from monitor.intake.times import LIKELY_MS
from monitor.names import Reason
from monitor.plan import SourcePlan, TimeUnit

_FINER = (TimeUnit.NANOSECONDS, TimeUnit.MICROSECONDS, TimeUnit.MILLISECONDS, TimeUnit.SECONDS)


def sift(columns: Columns, source: SourcePlan) -> tuple[Columns, list[Reject]]:
    """The rows but those that lie in 1970 where a coarser unit would make them of our time, and these as rejects.

    A topic whose unit is declared wrong would fill windows of 1970, and nobody would be told. A record of that
    time itself has a timestamp of that time: it is left alone.
    """
    low, high, unit = *LIKELY_MS, source.time_unit
    if not source.time or not len(columns) or unit not in _FINER or columns.events.min() * 1000 > high:
        return columns, []
    wrong = np.zeros(len(columns), np.int64)
    for step in range(1, len(_FINER) - _FINER.index(unit)):
        times = columns.events.astype(np.float64) * 1000.0**step
        wrong[(times >= low) & (times <= high) & (columns.timestamps >= low)] = step
    if not wrong.any():
        return columns, []
    rejects = [
        Reject(
            int(columns.index[row]),
            Reason.BAD_TIME,
            f"not an event time - {show(source.time)} - in {unit} it lies in 1970; "
            f"it would be plausible as {_FINER[_FINER.index(unit) + int(wrong[row])]}",
            columns.model,
        )
        for row in np.flatnonzero(wrong)
    ]
    return _keep(columns, np.flatnonzero(wrong == 0)), rejects


def _keep(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """Some of the rows, with the names of novel categories."""
    place = np.full(len(columns), -1, np.int32)
    place[rows] = np.arange(len(rows))
    novel = columns.novel
    kept = place[novel.row] >= 0
    return replace(
        columns.take(rows),
        novel=Novel(place[novel.row[kept]], novel.column[kept], novel.name[kept], novel.names),
    )
