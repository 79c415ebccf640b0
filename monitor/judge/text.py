"""One sentence about a verdict, for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.judge.prepare import Prepared
from monitor.verdict import State, Test, Window


def describe(state: State, tests: Sequence[Test], window: Window, prepared: Prepared, *, p: float) -> str:
    """What was found, how sure that is, and what the judge could not do."""
    sentence = _finding(state, tests, window)
    if state in {State.DRIFT, State.WARN} and prepared.proven:
        sentence += f"; at most one ordinary window in {_count(1 / p - 1e-6)} goes this far"
    return f"{'; '.join((sentence, *caveats(prepared)))}."


def caveats(prepared: Prepared) -> tuple[str, ...]:
    """What limits every verdict of this reference."""
    found = []
    if not prepared.proven:
        found.append(
            f"budget not proven: the reference has {prepared.windows} windows, "
            f"{prepared.windows_needed} are needed"
        )
    if not prepared.tolerances.learnt:
        found.append("tolerance assumed, not measured")
    return tuple(found)


def more_rows(window: Window, prepared: Prepared) -> str:
    """What is lacking before this window could be called ok; "" when nothing is."""
    needed = prepared.rows
    what = f"to see a PSI of {prepared.interest:.2g}"
    if np.isfinite(needed.window):
        lacking = needed.window - window.rows
        return f"{_count(lacking)} more rows are needed {what}" if lacking > 0 else ""
    if not np.isfinite(needed.reference):
        return "reference too small: it has no values to compare with"
    lacking = max(needed.reference - prepared.frame.rows, 1)
    return f"reference too small: {_count(lacking)} more rows are needed {what}"


def _finding(state: State, tests: Sequence[Test], window: Window) -> str:
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
