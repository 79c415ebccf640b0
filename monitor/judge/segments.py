"""What is said of the segments of one window. Pure; see `monitor.judge.parts` for why the budget holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitor.judge.extract import extract
from monitor.judge.prepare import Prepared
from monitor.judge.text import more_rows
from monitor.judge.votes import counts_of, ranked_tests
from monitor.judge.weigh import weigh
from monitor.plan import ModelPlan
from monitor.segments import names
from monitor.verdict import SegmentVerdict, State, Test, Unknown, Window

SHOWN = 10
"""Tests of a segment that a verdict keeps: 20 segments of 500 features would be 30 MB in the ledger."""
REBUILD = "no reference for this segment: build it again with `driftline reference build -c`"


@dataclass(frozen=True, slots=True)
class Voices:
    """All segments of one window, and what their tests add to the whole's."""

    verdicts: tuple[SegmentVerdict, ...] = ()
    tests: int = 0
    smallest: float = 1.0
    """The smallest p of them."""

    @property
    def statistic(self) -> float:
        return max((verdict.statistic for verdict in self.verdicts), default=0.0)


def judge_segments(windows: Mapping[str, Window], prepared: Prepared, plan: ModelPlan) -> Voices:
    """Judge each segment of a window. `windows` may lack those that have no rows."""
    verdicts, tests, smallest = [], 0, 1.0
    for name in names(plan):
        window = windows.get(name)
        if window is None or window.rows == 0:
            verdicts.append(_unknown(name, 0, Unknown.NO_DATA, "no rows"))
            continue
        part = prepared.parts.get(name)
        if part is None or window.rows < plan.min_records:
            verdicts.append(_unjudged(name, window, prepared, plan))
            continue
        part = part.of(window)
        evidence = weigh(
            extract(counts_of(window, part), part.frame, left_out=False),
            part.frame, part.tolerances, part.level, part.past,
        )  # fmt: skip
        verdicts.append(_judged(name, window, part, ranked_tests(evidence, part, most=SHOWN)))
        tests += evidence.p.shape[1]
        smallest = min(smallest, float(np.nanmin(evidence.p, initial=1.0)))
    return Voices(tuple(verdicts), tests, smallest)


def _judged(name: str, window: Window, part: Prepared, tests: tuple[Test, ...]) -> SegmentVerdict:
    states = {test.state for test in tests}
    state = next((s for s in (State.DRIFT, State.WARN) if s in states), State.OK)
    x = tests[0].x if tests else 0.0
    tests = tests[:SHOWN]
    if state is State.OK and (lacking := more_rows(window, part)):
        small = lacking.startswith("reference")
        reason = Unknown.REFERENCE_TOO_SMALL if small else Unknown.NOT_ENOUGH_DATA
        return SegmentVerdict(name, State.UNKNOWN, reason, lacking, window.rows, x, tests)
    return SegmentVerdict(name, state, None, "", window.rows, x, tests)


def _unjudged(name: str, window: Window, prepared: Prepared, plan: ModelPlan) -> SegmentVerdict:
    reason = prepared.unready.get(name, Unknown.NOT_ENOUGH_DATA)
    detail = f"{plan.min_records - window.rows} more rows are needed"
    if reason is Unknown.NO_REFERENCE:
        detail = REBUILD
    elif reason is Unknown.REFERENCE_TOO_SMALL:
        detail = f"reference too small: it has fewer than {plan.min_records} rows of this segment"
    return _unknown(name, window.rows, reason, detail)


def _unknown(name: str, rows: int, reason: Unknown, detail: str) -> SegmentVerdict:
    return SegmentVerdict(name, State.UNKNOWN, reason, detail, rows, 0.0)
