"""Since when there has been a change that was found."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from monitor.judge.early import WIDTH, Array, Ball, Slots, build_ball

NEAR = (25.0, 100.0, 400.0, 1600.0)
"""How closely alternatives lie around the reference, as rows. An e-value that expects anything (½ in
every slot) takes a change that just pages for noise until many rows are there, and dates it late: of
shifts found with power 0.9 in 24 panes of 100 rows it dates 83 % within a pane, this 91 %."""


def onset(panes: NDArray[np.int64], slots: Slots, features: Collection[str]) -> int | None:
    """Number of the pane from which on `features` have changed: panes int64[panes, rows, WIDTH].

    The start with the largest contribution to the Shiryaev-Roberts sum without tolerance: with it small
    changes would be dated late. None where these slots do not tell: vectors, or no rows.
    """
    rows = np.array([row for row, name in enumerate(slots.names) if name in features], np.int64)
    if not len(rows) or not panes[:, rows].any():
        return None
    ball = build_ball(slots, np.zeros(slots.rows - 2), ratio=np.zeros(slots.rows)).take(rows)
    total = contributions(panes[:, rows], ball).sum(axis=1)
    return int(total.argmax())


def contributions(panes: NDArray[np.int64], ball: Ball) -> Array:
    """log of the likelihood ratio to q of the rows from each pane on: [panes, rows, WIDTH] → float64[panes, rows].

    The alternative is a mixture of Dirichlet distributions around q.
    """
    from scipy.special import gammaln

    c = np.cumsum(panes[::-1], axis=0)[::-1] / ball.design[:, None]
    n = c.sum(axis=-1)
    known = np.where(ball.used, ball.shares, 1.0 / WIDTH)
    found = [
        np.where(ball.used, gammaln(c + near * known) - gammaln(near * known), 0.0).sum(axis=-1)
        + gammaln(near)
        - gammaln(n + near)
        for near in NEAR
    ]
    likelihood = (c * np.log(np.where(ball.used, known, 1.0))).sum(axis=-1)
    return np.asarray(np.logaddexp.reduce(np.array(found), axis=0) - np.log(len(NEAR)) - likelihood)
