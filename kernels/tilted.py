"""How much likelier it is that some of the rows are distributed otherwise than the rest, neither of which is known.

That p is q exp(a + way), after a pane and before it, is as likely as it is in a logistic regression of after or before on the
way, with slope 1 and the best intercept (Prentice and Pyke 1979; Qin 1998, "Inferences for case-control and semiparametric
two-sample density ratio models"). Where the rest has by far the most rows it is the plain likelihood ratio to a known q,
which takes the noise of a small reference for a change.
"""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

CLOSE = 0.01
"""What of a logarithm is left open before the next term of its series is added."""
NEVER = -30.0
"""A logarithm that is as good as none."""
STRIDE = 2.0
"""Longest step to an intercept: where the function is flat Newton's are too long."""
MOST = 100
"""Most steps to an intercept; one is usual, as it is nearly that of the pane after it."""
FARTHEST = 200.0
"""Largest intercept: DEEPEST and the logarithm of any number of rows lie within it."""
DEEPEST = 60.0
"""Shares that are smaller by more than exp of it after a change, beside others, count as smaller by that: such a change is
none that any row of theirs leaves possible."""


@kernel("float64(const float64[::1], float64[::1], float64, float64, float64)")
def _intercept(shares: Array, weights: Array, rows: float, part: float, start: float) -> float:
    """Of the largest likelihood: the mean of p over all rows is then 1. Newton's steps of a concave function."""
    low = -FARTHEST
    high = FARTHEST
    a = start
    for _ in range(MOST):
        weight = np.exp(a)
        mean = 0.0
        slope = 0.0
        for j in range(len(shares)):
            ratio = weight * weights[j]
            whole = 1.0 / (1.0 - part + part * ratio)
            each = shares[j] * ratio * whole
            mean += each
            slope += each * whole
        slope = max((1.0 - part) * slope, 1e-300)
        if rows * (mean - 1.0) * (mean - 1.0) <= CLOSE * slope:
            break
        if mean < 1.0:
            low = a
        else:
            high = a
        a += max(-STRIDE, min(STRIDE, (1.0 - mean) / slope))
        if not low < a < high:
            a = 0.5 * (low + high)
    return a


@kernel("float64(const float64[::1], float64[::1], float64, float64, float64)")
def _of_all(shares: Array, weights: Array, rows: float, part: float, a: float) -> float:
    """What all rows together add to the logarithm at an intercept, and by how much the best one is better."""
    weight = np.exp(a)
    total = 0.0
    mean = 0.0
    slope = 0.0
    for j in range(len(shares)):
        ratio = weight * weights[j]
        whole = 1.0 - part + part * ratio
        total += shares[j] * np.log(whole)
        each = shares[j] * ratio / whole
        mean += each
        slope += each / whole
    slope = max((1.0 - part) * slope, 1e-300)
    more = 0.5 * rows * (mean - 1.0) * (mean - 1.0) / slope
    return rows * (a - total / part) + min(more, CLOSE)


@kernel("float64(float64[::1], const float64[:, ::1], int64)")
def _scale(weights: Array, ways: Array, number: int) -> float:
    """exp of a way, by its largest: that."""
    top = -np.inf
    for j in range(len(weights)):
        top = max(top, ways[number, j])
    for j in range(len(weights)):
        weights[j] = np.exp(max(ways[number, j] - top, -DEEPEST))
    return top


@kernel("float64(const float64[::1], float64[::1])")
def _alone(shares: Array, weights: Array) -> float:
    """The intercept where the rest is all there is."""
    mean = 0.0
    for j in range(len(shares)):
        mean += shares[j] * weights[j]
    return -np.log(mean)


@kernel(
    "void(float64[:, ::1], const float64[::1], float64, const float64[::1], const float64[:, ::1], int64)"
)
def tilt(out: Array, rows: Array, total: float, shares: Array, ways: Array, sizes: int) -> None:
    """Logarithms of the likelihood ratios of many ways and panes.

    out     float64[ways, panes]  Σ way over the rows from each pane on; what is missing of the logarithm is added
    rows    float64[panes]        from each pane on, less than `total`
    total   all rows, with the reference's
    shares  float64[slots]        of all rows, none 0
    ways    float64[ways, slots]  ln p/q, but for a constant
    sizes   so many ways after each other are of one direction, ascending

    Along a direction the logarithm is concave, from 0 of no change: past NEVER all larger sizes have what the last one had.
    """
    weights = np.empty(len(shares))
    for way in range(len(ways)):
        top = _scale(weights, ways, way)
        a = _alone(shares, weights)
        for pane in range(len(rows) - 1, -1, -1):
            if way % sizes > 0 and out[way - 1, pane] < NEVER:
                out[way, pane] = out[way - 1, pane]
            elif rows[pane] > 0.0:
                part = rows[pane] / total
                a = _intercept(shares, weights, rows[pane], part, a)
                out[way, pane] += _of_all(shares, weights, rows[pane], part, a) - rows[pane] * top


@kernel("void(float64[::1], const float64[::1], float64, const float64[::1], const float64[:, ::1])")
def tilt_each(out: Array, rows: Array, total: float, shares: Array, ways: Array) -> None:
    """As `tilt`, with a way for each pane.

    out     float64[panes]         Σ way over the rows from each pane on; what is missing of the logarithm is added
    rows    float64[panes]         from each pane on, less than `total`
    shares  float64[slots]         of all rows, none 0
    ways    float64[panes, slots]  ln p/q, but for a constant
    """
    weights = np.empty(len(shares))
    for pane in range(len(rows)):
        if rows[pane] > 0.0:
            top = _scale(weights, ways, pane)
            part = rows[pane] / total
            a = _intercept(shares, weights, rows[pane], part, _alone(shares, weights))
            out[pane] += _of_all(shares, weights, rows[pane], part, a) - rows[pane] * top
