"""Segments of a model, each judged against its own part of the reference, within the model's one budget.

A window's M is the largest x over the tests of the whole and of all of its segments, and so is that of the
reference's own windows, which it is ranked among: whatever segments move with each other or with the whole,
the budget holds. Thresholds stand at α / number of all tests, so that no segment speaks louder than another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.judge.extract import Extract
from monitor.judge.frame import Frame
from monitor.judge.power import Rows, rows_needed
from monitor.judge.tolerances import Learnt, Tolerances, learn
from monitor.judge.views import View, view_of
from monitor.judge.weigh import statistics
from monitor.judge.windows import spans
from monitor.plan import ModelPlan, WindowSpec
from monitor.reference.profile import Reference
from monitor.reference.segments import names_of, of_segment
from monitor.segments import OTHER, by_code, names, part_plan, segment_of
from monitor.verdict import Unknown

SAMPLED = 25
"""Features that say how many rows a segment needs. It takes 7 ms each, and the median of so many is near enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One segment of the reference, before there is a level.

    place  int64[windows]  which of the whole's windows each of `windows` lies in
    """

    segment: str
    view: View
    learnt: Learnt
    place: NDArray[np.int64]

    @property
    def tolerances(self) -> Tolerances:
        return self.learnt.live

    @property
    def frame(self) -> Frame:
        return self.view.frame

    @property
    def windows(self) -> Extract | None:
        return self.view.windows

    def rows(self, level: float) -> Rows:
        return rows_needed(self.view.usual, self.tolerances, level, most=SAMPLED)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """All segments of a model. `unready` are those that the reference says nothing or too little of."""

    ready: tuple[Part, ...]
    unready: Mapping[str, Unknown]

    @property
    def tests(self) -> int:
        return sum(part.frame.tests for part in self.ready)

    def largest(self, m: NDArray[np.float64], level: float) -> NDArray[np.float64]:
        """M of the reference's windows, given that of the whole alone."""
        m = m.copy()
        for part in self.ready:
            if part.windows is not None:
                own = statistics(part.windows, part.frame, part.learnt.own, level)
                m[part.place] = np.maximum(m[part.place], own)
        return m


def learn_parts(reference: Reference, plan: ModelPlan, spec: WindowSpec) -> Parts:
    """What the reference says of the plan's segments.

    Of a segment with fewer rows than a window needs there is nothing to compare with.
    """
    left, own, ready = unready(reference, plan), part_plan(plan), []
    first, last = spans(reference, spec)
    kept = _rows(reference, first, last) >= max(plan.min_records, 1)
    for segment, part in _matched(reference, plan):
        if segment in left:
            continue
        view = view_of(part, own, spec)
        learnt = learn(
            view.windows, view.frame, plan.tolerance, least=plan.ratio_tolerance, overlap=spec.overlap
        )
        enough = _rows(part, first, last) >= max(plan.min_records, 1)
        place = np.cumsum(kept)[enough] - 1
        ready.append(Part(segment, view, learnt, place))
    return Parts(tuple(ready), left)


def unready(reference: Reference, plan: ModelPlan) -> dict[str, Unknown]:
    """Segments that cannot be judged by the reference, and why."""
    left: dict[str, Unknown] = dict.fromkeys(names(plan), Unknown.NO_REFERENCE)
    for segment, part in _matched(reference, plan):
        if part.rows < plan.min_records:
            left[segment] = Unknown.REFERENCE_TOO_SMALL
        else:
            del left[segment]
    return left


def _rows(reference: Reference, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.concatenate([[0], np.cumsum(reference.panes.rows)])
    return np.asarray(rows[last] - rows[first], np.int64)


def _matched(reference: Reference, plan: ModelPlan) -> Iterator[tuple[str, Reference]]:
    """The segments that the reference was counted by as the plan counts them: `other` is the same only where
    all values are."""
    counted = {column.name: column for column in reference.segments}
    for segment in plan.segments:
        column = counted.get(segment.name)
        if column is None:
            continue
        wanted = set(by_code(segment))
        if set(column.values) != set(segment.values):
            wanted.discard(segment_of(segment.name, OTHER))
        for at, name in enumerate(names_of(column)):
            if name in wanted:
                yield name, of_segment(reference, column, at)
