"""One sentence about a verdict, for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.judge.prepare import Prepared
from monitor.verdict import SegmentVerdict, State, Test, Window


def describe(
    state: State,
    tests: Sequence[Test],
    window: Window,
    prepared: Prepared,
    *,
    p: float,
    segments: Sequence[SegmentVerdict] = (),
) -> str:
    """What was found, where, how sure that is, and what the judge could not do."""
    own = sorted((one for one in segments if one.state is state), key=lambda one: -one.statistic)
    sentence = _finding(state, tests, window)
    if state in {State.DRIFT, State.WARN}:
        sentence = _place(state, tests, window, own)
    if state in {State.DRIFT, State.WARN} and prepared.proven:
        sentence += f"; at most one ordinary window in {_count(1 / p - 1e-6)} goes this far"
    return f"{'; '.join((sentence, *caveats(prepared)))}."


def caveats(prepared: Prepared) -> tuple[str, ...]:
    """What limits every verdict of this reference."""
    found = []
    if not prepared.proven:
        found.append(f"budget not proven: {windows_of(prepared)}")
    if not prepared.tolerances.learnt:
        found.append("tolerance assumed, not measured")
    found += prepared.notes
    return tuple(found)


def windows_of(prepared: Prepared) -> str:
    """The windows of the reference, and those that the budget needs."""
    text = f"the reference has {prepared.windows} windows, {prepared.windows_needed} are needed"
    if prepared.together > 1.0:
        text += f" as they move with those before them ({prepared.together:.1f} count as one)"
    return text


def more_rows(window: Window, prepared: Prepared) -> str:
    """What is lacking before this window could be called ok; "" when nothing is."""
    needed = prepared.rows
    if needed.window <= window.rows:
        return ""
    if not (np.isfinite(needed.window) or np.isfinite(needed.reference)):
        return "reference too small: it has no values to compare with"
    what = f"to see a PSI of {prepared.interest:.2g}"
    if np.isfinite(needed.window):
        return f"{_count(needed.window - window.rows)} more rows are needed {what}"
    lacking = max(needed.reference - prepared.frame.rows, 1)
    return f"reference too small: {_count(lacking)} more rows are needed {what}"


def _place(state: State, tests: Sequence[Test], window: Window, segments: Sequence[SegmentVerdict]) -> str:
    """What drifted: the whole, and the segments in which it did; or, where these alone did, the first of them."""
    if any(test.state is state for test in tests):
        return _finding(state, tests, window) + (f", by segments in {_list(segments)}" if segments else "")
    first = segments[0]
    others = f", and in {_list(segments[1:])}" if segments[1:] else ""
    return f"in {first.segment} alone, {_finding(state, first.tests, first)}{others}"


def _list(segments: Sequence[SegmentVerdict]) -> str:
    more = f" and {len(segments) - 3} more" if len(segments) > 3 else ""
    return ", ".join(one.segment for one in segments[:3]) + more


def _finding(state: State, tests: Sequence[Test], window: Window | SegmentVerdict) -> str:
    top = tests[0]  # there is always the error ratio
    what = f"{top.test}({top.feature}) is {top.score:.3g}, limit {top.threshold:.3g}"
    if state is State.OK:
        return f"{_count(window.rows)} rows, nothing beyond the ordinary; the largest, {what}"
    others = list(dict.fromkeys(t.feature for t in tests if t.state is state and t.feature != top.feature))
    also = ""
    if others:
        also = f", and {', '.join(others[:3])}" + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"{what} in {_count(window.rows)} rows{also}"


def _count(number: float) -> str:
    return f"{int(np.ceil(number)):,}".replace(",", " ")
