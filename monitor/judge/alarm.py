"""From a look at an open window to its verdict. Pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.judge import catalogue as names
from monitor.judge.extract import extract
from monitor.judge.looking import Early, Look
from monitor.judge.prepare import Prepared
from monitor.judge.scores import score
from monitor.judge.votes import counts_of
from monitor.verdict import State, Test, Verdict, Window

SHOWN = 20
"""Features that an alarm shows: as many as an incident keeps."""


def alarm(window: Window, seen: NDArray[np.int64], look: Look, prepared: Prepared, early: Early) -> Verdict:
    """The verdict of a look that is an alarm. `window` and `seen` are what there was up to the look.

    A feature is named whose own e-value reaches 1/α: the average has, so one does at least.
    """
    counts = counts_of(window, prepared)
    numbers = extract(counts, prepared.frame, left_out=False)
    scores = score(window, counts, prepared.frame, hits=numbers.hits[0], trials=numbers.trials[0])
    tests = _tests(seen, look, early)
    top = tests[0]
    p = math.exp(-min(look.log_e, 700.0))
    detail = (
        f"{top.feature} changed while the window was open: PSI {top.effect:.3g} in {_whole(top.n)} rows; "
        f"no change that counts as ordinary goes this far in one window in {_whole(1 / early.alpha)}"
    )
    if not early.proven:
        detail += "; that is estimated, the reference has too few windows to prove it"
    return Verdict(
        model=window.model,
        window=window.name,
        start=window.start,
        end=window.end,
        revision=0,
        state=State.DRIFT,
        reason=None,
        detail=f"{detail}.",
        rows=window.rows,
        coverage=window.coverage,
        p=p,
        statistic=look.log_e / early.limit,
        alpha=early.alpha,
        proven=early.proven,
        reference=prepared.reference,
        reference_windows=prepared.windows,
        windows_needed=prepared.windows_needed,
        tests=tests,
        scores=scores,
        offsets=window.offsets,
        versions=window.versions,
        early=True,
    )


def _whole(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")


def _tests(seen: NDArray[np.int64], look: Look, early: Early) -> tuple[Test, ...]:
    """The rows that speak for a change, the strongest first: log E, its limit, and the PSI since it began."""
    ball, found = early.ball, []
    order = [row for row in np.argsort(-look.rows, kind="stable").tolist() if look.rows[row] > -np.inf]
    for row in order[:SHOWN]:
        counts = seen[look.since[row] :, row].sum(axis=0)
        used = ball.used[row]
        shares = (counts[used] + 0.5) / (counts.sum() + used.sum() / 2.0)
        q = ball.shares[row, used]
        score = float(look.rows[row])
        radius = float(ball.radius[row] * early.widened)
        found.append(
            Test(
                feature=early.slots.names[row],
                test=names.EARLY,
                score=score,
                threshold=early.limit,
                x=score / early.limit,
                p=math.exp(-max(min(score, 700.0), 0.0)),
                n=float(counts.sum() / ball.design[row]),
                m=float(ball.size[row]),
                tolerance=2.0 * radius**2,
                effect=float(((shares - q) * np.log(shares / q)).sum()),
                state=State.DRIFT if score > early.limit else State.WARN,
            )
        )
    return tuple(found)
