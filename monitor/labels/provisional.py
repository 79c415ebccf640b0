"""Figures of windows whose labels have not all come. Pure; shown, never judged by.

Weighted ones are of `monitor.labels.delays`, which says what they assume; early ones are of the labels that came so far,
as they are. How old a cohort is goes by when labels were sent, as their delays do, and not by any clock of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.labels.cells import Binary, Multiclass, Regression
from monitor.labels.delays import Delays, Part, weigh
from monitor.labels.figures import Basis, Figure, Realised, realise
from monitor.labels.shares import cell_of
from monitor.plan import JoinPlan
from monitor.window.heard import Heard

ASSUMES = "delays of labels depend on the label alone, and are as they were"
PARTS = 8
"""Parts of a window whose labels are taken to be of one age each: bounds cost as much time as there are parts."""


@dataclass(frozen=True, slots=True)
class Provisional:
    """A window as far as its labels tell. `labelled` of `predictions` have one; `used` predictions are in the figures."""

    window: str
    start: int
    end: int
    predictions: int
    labelled: int
    expected: float
    """Share of the labels that should have come by now, those of all classes alike; NaN where delays are not known."""
    used: int
    basis: Basis
    figures: Mapping[str, Figure]
    early: Mapping[str, Figure]
    """Of the labels that came, as they are."""


def newest_label(heard: Heard) -> int:
    """Until when labels have come, ms; -1: none. A partition without any for a while holds nothing back."""
    marks = [one.watermark for one in heard.values() if not one.idle]
    return min(marks) if marks else heard.newest


def provisional(
    window: str, start: int, end: int, sums: Mapping[int, NDArray[np.int64]], *,
    join: JoinPlan, until: int, delays: Delays | None,
) -> Provisional | None:  # fmt: skip
    """`sums`: those of the window's cohorts, by their starts; `until`: as `newest_label`. None without predictions."""
    if not sums:
        return None
    cohorts = sorted(sums)
    parts = [
        _part([(cohort, cell_of(sums[cohort], join)) for cohort in own], until)
        for own in _split(cohorts, PARTS)
    ]
    whole = cell_of(np.sum(list(sums.values()), axis=0), join)
    early = realise(whole, basis=Basis.EARLY)
    found = _weighed(parts, delays)
    shown = found if found is not None and found.figures else early
    return Provisional(
        window=window, start=start, end=end, predictions=whole.predictions, labelled=whole.labelled,
        expected=_expected(parts, delays), used=shown.predictions, basis=shown.basis, figures=shown.figures,
        early=early.figures,
    )  # fmt: skip


class _Aged:
    """Cohorts that are taken together."""

    __slots__ = ("cell", "oldest", "youngest")

    def __init__(self, cell: Binary | Multiclass | Regression, youngest: float, oldest: float) -> None:
        self.cell, self.youngest, self.oldest = cell, youngest, oldest


def _part(cohorts: Collection[tuple[int, Binary | Multiclass | Regression]], until: int) -> _Aged:
    (_, cell), *others = cohorts
    for _, other in others:
        cell = cell.merged(other)  # type: ignore[arg-type]
    starts = [cohort for cohort, _ in cohorts]
    return _Aged(cell, max(until - max(starts), 0), max(until - min(starts), 0))


def _split(cohorts: list[int], parts: int) -> list[list[int]]:
    wide = -(-len(cohorts) // parts)
    return [cohorts[low : low + wide] for low in range(0, len(cohorts), wide)]


def _weighed(parts: list[_Aged], delays: Delays | None) -> Realised | None:
    if delays is None:
        return None
    given = [
        Part(one.cell, one.youngest, one.oldest) for one in parts if not isinstance(one.cell, Regression)
    ]
    return weigh(given, delays) if given else None


def _expected(parts: list[_Aged], delays: Delays | None) -> float:
    rows = sum(one.cell.predictions for one in parts)
    if delays is None or not rows:
        return float("nan")
    all_ = Delays(delays.edges, delays.counts.sum(axis=1, keepdims=True))
    came = [
        float(all_.share(all_.passed(one.youngest, one.oldest))[0]) * one.cell.predictions for one in parts
    ]
    return sum(came) / rows
