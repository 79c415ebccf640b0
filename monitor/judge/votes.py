"""From the counts of one window to its tests: what the whole and its segments have in common."""

from __future__ import annotations

import numpy as np

from monitor.judge import catalogue as names
from monitor.judge.extract import Counts
from monitor.judge.prepare import Prepared
from monitor.judge.weigh import Evidence
from monitor.reference.vector import mean_words
from monitor.verdict import State, Test, Window


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
    columns = [evidence.score[0], evidence.threshold[0], x, p]
    columns += [values[0] for values in (evidence.n, evidence.m, evidence.tolerance, evidence.effect)]
    found = []
    for i, row in zip(order.tolist(), np.stack(columns, axis=1)[order].tolist(), strict=True):
        feature, test = evidence.features[i], evidence.tests[i]
        score, threshold, ratio, probability, n, m, tolerance, effect = row
        threshold *= scale ** (2 if test in names.QUADRATIC else 1)
        state = _state(ratio, probability, prepared)
        found.append(
            Test(feature, test, score, threshold, ratio, probability, n, m, tolerance, effect, state)
        )
    return tuple(found)


def _state(x: float, p: float, prepared: Prepared) -> State:
    if x > 1.0 and p <= prepared.alpha and prepared.alpha > 0.0:
        return State.DRIFT
    if x * prepared.critical > prepared.warn_critical and p <= prepared.warn_p:
        return State.WARN
    return State.OK
