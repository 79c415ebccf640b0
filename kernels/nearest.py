"""The largest likelihood that counts have within a distance of known shares."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

REACH = 30.0
"""ln λ is sought between -30 and 30."""
CLOSE = 5e-11
"""How near ln λ is found."""
MOST = 200
"""Most distances taken of one row of counts: 7 are usual, and 41 halvings are enough."""


@kernel("float64(float64[::1], const float64[:, ::1], int64, float64, float64)")
def _mix(u: Array, shares: Array, row: int, entropy: float, x: float) -> float:
    """KL of the shares q to (u + λq) / (1 + λ), λ = e**x."""
    weight = np.exp(x)
    total = 0.0
    for j in range(len(u)):
        q = shares[row, j]
        if q > 0.0:
            total += q * np.log((u[j] + weight * q) / (1.0 + weight))
    return entropy - total


@kernel("float64(float64[::1], const float64[:, ::1], int64, float64)")
def _slope(u: Array, shares: Array, row: int, x: float) -> float:
    """By how much that distance shrinks as ln λ grows."""
    weight = np.exp(x)
    total = 0.0
    for j in range(len(u)):
        q = shares[row, j]
        if q > 0.0:
            total += q * (q - u[j]) / (u[j] + weight * q)
    return total * weight / (1.0 + weight)


@kernel("float64(float64[::1], const float64[:, ::1], int64, float64, float64)")
def _seek(u: Array, shares: Array, row: int, entropy: float, epsilon: float) -> float:
    """ln λ of the nearest shares that lie no nearer than epsilon: Newton's steps of the distance's logarithm, which is
    straight where λ is large, and halvings where a step leads out of what is known."""
    square = 0.0
    for j in range(len(u)):
        q = shares[row, j]
        if q > 0.0:
            square += (q - u[j]) * (q - u[j]) / q
    low = -REACH
    high = REACH
    guess = np.sqrt(0.5 * square / epsilon) - 1.0 if epsilon > 0.0 else 0.0
    x = min(np.log(guess), REACH - 1.0) if guess > 0.1 else -2.0
    for _ in range(MOST):
        far = _mix(u, shares, row, entropy, x)
        if far > epsilon:
            low = x
        else:
            high = x
        if high - low <= CLOSE:
            break
        slope = _slope(u, shares, row, x)
        step = (
            far / slope * np.log(far / epsilon) if far > 0.0 and epsilon > 0.0 and slope > 0.0 else 2 * REACH
        )
        if abs(step) < CLOSE / 2.0:  # it is here: what lies on its other side remains to be shown
            step = CLOSE / 2.0 if low == x else -CLOSE / 2.0
        x = x + step if low < x + step < high else 0.5 * (low + high)
    return low


@kernel(
    "void(float64[::1], const float64[:, ::1], const float64[:, ::1], const int64[::1], const float64[::1])"
)
def largest_likelihoods(out: Array, counts: Array, shares: Array, rows: Array, epsilon: Array) -> None:
    """max Σ c ln p over KL(q ‖ p) ≤ epsilon, of each of many c: the maximiser is (c/n + λq) / (1 + λ).

    out      float64[cells]
    counts   float64[cells, slots]  c: not negative; 0 where shares are
    shares   float64[rows, slots]   q: 0 where a row has no such slot
    rows     int64[cells]           which q each is held against
    epsilon  float64[cells]         not negative

    λ is too small by CLOSE of its logarithm at most, and never too large but by rounding: what is found is not less than the
    largest.
    """
    u = np.empty(counts.shape[1])
    for cell in range(len(out)):
        row = rows[cell]
        n = 0.0
        entropy = 0.0
        for j in range(len(u)):
            n += counts[cell, j]
            q = shares[row, j]
            if q > 0.0:
                entropy += q * np.log(q)
        for j in range(len(u)):
            u[j] = counts[cell, j] / max(n, 1e-300)
        x = -REACH
        if _mix(u, shares, row, entropy, x) > epsilon[cell]:
            x = _seek(u, shares, row, entropy, epsilon[cell])
        weight = np.exp(x)
        found = 0.0
        for j in range(len(u)):
            q = shares[row, j]
            if q > 0.0:
                found += counts[cell, j] * np.log((u[j] + weight * q) / (1.0 + weight))
        out[cell] = found
