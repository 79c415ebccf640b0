"""From the counts of one window to its tests: what the whole and its segments have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.judge import catalogue as names
from monitor.judge.extract import Counts
from monitor.judge.prepare import Prepared
from monitor.judge.weigh import Evidence
from monitor.reference.vector import mean_words
from monitor.verdict import State, Test, Window

_STATES = State.OK, State.WARN, State.DRIFT


def counts_of(window: Window, prepared: Prepared) -> Counts:
    """A window as what is compared with the frame: one row."""
    breaches = [[int(window.violations[list(b.rules)].sum()) for b in prepared.frame.breaches]]
    return Counts(
        counts=np.ascontiguousarray(window.counts, np.int64)[None, :],
        rows=np.array([window.rows], np.int64),
        errors=np.array([window.errors], np.int64),
        latency=np.asarray(window.latency, np.int64)[None, :],
        breaches=np.array(breaches, np.int64).reshape(1, -1),
        extremes=np.asarray(window.extremes, np.float64)[None, :],
        sums=np.asarray(window.sums, np.int64)[None, :],
        means=np.asarray(window.vectors, np.int64)[None, mean_words(prepared.frame.layout.vectors)],
    )


def ranked_tests(evidence: Evidence, prepared: Prepared, *, most: int = 1 << 30) -> tuple[Test, ...]:
    """The tests of one window, largest x first, scaled so that x > 1 pages. Broken ones are left out, and so
    are those beyond the first `most` that could not even be a warning."""
    scale = prepared.critical
    x, p = evidence.x[0] / scale, evidence.p[0]
    fit = np.flatnonzero(np.isfinite(x) & np.isfinite(p) & np.isfinite(evidence.score[0]))
    order = fit[np.argsort(-x[fit], kind="stable")]
    telling = min(1.0, prepared.warn_critical / scale)
    order = order[: max(most, int(np.count_nonzero(x[fit] > telling)))]
    threshold = evidence.threshold[0] * [
        scale**2 if test in names.QUADRATIC else scale for test in evidence.tests
    ]
    columns = [evidence.score[0], threshold, x, p]
    columns += [values[0] for values in (evidence.n, evidence.m, evidence.tolerance, evidence.effect)]
    rows = np.stack(columns, axis=1)[order].tolist()
    states = _states(x[order], p[order], prepared)
    return tuple(
        Test(
            evidence.features[i],
            evidence.tests[i],
            score,
            limit,
            ratio,
            probability,
            n,
            m,
            tolerance,
            effect,
            state,
        )
        for i, (score, limit, ratio, probability, n, m, tolerance, effect), state in zip(
            order.tolist(), rows, states, strict=True
        )
    )


def _states(x: NDArray[np.float64], p: NDArray[np.float64], prepared: Prepared) -> list[State]:
    pages = (x > 1.0) & (p <= prepared.alpha) & (prepared.alpha > 0.0)
    warns = (x * prepared.critical > prepared.warn_critical) & (p <= prepared.warn_p)
    return [_STATES[at] for at in np.where(pages, 2, warns).tolist()]
