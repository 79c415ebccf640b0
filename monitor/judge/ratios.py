"""Is a ratio larger than in the reference, by more than a tolerance?

p = ∫ P(Bin(n, min(1, θ + τ)) ≥ x) dBeta(θ; y + 1, m - y): the reference's ratio is itself uncertain.
x, n, y and m are real (rows divided by design effects); the binomial tail is the incomplete beta
function, which continues it.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NODES = 64
EDGE = 1e-20
"""Probability left out at each end of the posterior: below any level that is asked for."""
STEPS = 60
"""Most evaluations of p for a threshold; 6 are usual, and halving a bracket needs 50."""
_TINY = 1e-290


def p_value(x: Array, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """Probability of at least `x` of `n` when the reference has `y` of `m`; 1 where nothing is known."""
    x, n, y, m, tau = _columns(x, n, y, m, tau)
    out = np.ones(len(x))
    live = (x > 0) & (n > 0) & (m - y > 1e-6)
    if live.any():
        theta, weight = _posterior(y[live], m[live])
        out[live] = _tail(x[live], n[live], tau[live], theta, weight)
    return out


def threshold(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """The difference to the reference's ratio at which p is `level`; inf where n or m is 0.

    Above 1 - y/m (more than can happen) where even n of n is no evidence.
    """
    n, y, m, tau = _columns(n, y, m, tau)
    out = np.full(len(n), np.inf)
    live = (n > 0) & (m > 0)
    if not live.any():
        return out
    cases, inverse = np.unique(np.stack([n[live], y[live], m[live], tau[live]]), axis=1, return_inverse=True)
    out[live] = _solve(level, *cases)[inverse.ravel()]
    return out


def rough_threshold(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """A normal approximation of `threshold`, mostly below it: the binomial's upper tail is heavier."""
    from scipy.special import ndtri

    n, y, m, tau = _columns(n, y, m, tau)
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.clip(y / m + tau, 0.0, 1.0)
        spread = np.sqrt(theta * (1.0 - theta) * (1.0 / n + 1.0 / m))
    return np.where((n > 0) & (m > 0), tau - ndtri(level) * np.nan_to_num(spread), np.inf)


def tolerance_needed(level: float, x: Array, n: Array, y: Array, m: Array) -> Array:
    """The tolerance with which `x` of `n` would just be rejected at `level`, approximately; ≥ 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.nan_to_num(x / n - y / m)
    tau = np.clip(excess, 0.0, 1.0)
    for _ in range(6):
        margin = rough_threshold(level, n, y, m, tau).reshape(tau.shape) - tau
        tau = np.clip(excess - np.where(np.isfinite(margin), margin, 1.0), 0.0, 1.0)
    return tau


def _solve(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """Secant steps on √(-ln p), which is almost a line in x, kept inside a bracket."""
    theta, weight = _posterior(np.minimum(y, m - 1e-6), m)
    goal = np.sqrt(-np.log(level))

    def gap(x: Array, at: NDArray[np.intp]) -> Array:
        return np.asarray(np.sqrt(-np.log(_tail(x, n[at], tau[at], theta[at], weight[at]))) - goal)

    every = np.arange(len(n))
    beyond = gap(n, every) < 0.0
    low, high = np.zeros(len(n)), n.copy()
    x0 = _guess(level, n, y, m, tau)
    g0 = gap(x0, every)
    x1 = np.minimum(1.02 * x0 + 0.3, n)
    at = every[~beyond]
    steps = 0
    while len(at) > 0 and steps < STEPS:
        steps += 1
        x, g = x1[at], gap(x1[at], at)
        low[at] = np.where(g < 0, np.maximum(low[at], x), low[at])
        high[at] = np.where(g >= 0, np.minimum(high[at], x), high[at])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - g * (x - x0[at]) / (g - g0[at])
        outside = ~(np.isfinite(step) & (step > low[at]) & (step < high[at]))
        step[outside] = 0.5 * (low[at] + high[at])[outside]
        going = (np.abs(g) > 1e-7) & (high[at] - low[at] > 1e-12 * high[at])
        x0[at], g0[at] = x, g
        at = at[going]
        x1[at] = step[going]
    return np.asarray(np.where(beyond, 1.0 + 1.0 / n, x1 / n) - y / m)


def _guess(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """Mean and variance of x, and a skew as of a Poisson variable: right to a few per cent."""
    from scipy.special import ndtri

    rate = np.minimum((y + 1.0) / (m + 1.0) + tau, 1.0)
    z = -float(ndtri(level))
    spread = np.sqrt(n * rate * (1.0 - rate) + n * n * rate * (1.0 - rate) / m)
    return np.asarray(np.clip(n * rate + z * spread + z * z / 4.0, 1e-9, n))


def _tail(x: Array, n: Array, tau: Array, theta: Array, weight: Array) -> Array:
    from scipy.special import betainc

    rate = np.minimum(theta + tau[:, None], 1.0)
    at_least = betainc(np.maximum(x, 1e-9)[:, None], (n - x + 1.0)[:, None], rate)
    return np.asarray(np.clip((at_least * weight).sum(axis=1), _TINY, 1.0))


def _posterior(y: Array, m: Array) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights over the bulk of Beta(y + 1, m - y): float64[cases, NODES]."""
    from scipy.special import betainccinv, betaincinv, betaln, xlog1py, xlogy

    a, b = y + 1.0, np.maximum(m - y, 1e-6)
    low, high = betaincinv(a, b, EDGE), betainccinv(a, b, EDGE)
    node, share = _legendre()
    theta = 0.5 * ((high - low)[:, None] * node + (high + low)[:, None])
    log_density = xlogy(a - 1.0, theta.T) + xlog1py(b - 1.0, -theta.T) - betaln(a, b)
    weight = np.exp(log_density.T) * share * 0.5 * (high - low)[:, None]
    total = weight.sum(axis=1, keepdims=True)
    degenerate = ~(np.isfinite(total) & (total > 0.0))
    return np.where(degenerate, 1.0, theta), np.where(degenerate, 1.0 / NODES, weight / total)


@functools.lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    node, share = np.polynomial.legendre.leggauss(NODES)
    return node, share


def _columns(*arrays: Array) -> tuple[Array, ...]:
    return tuple(np.ravel(a).astype(np.float64) for a in np.broadcast_arrays(*arrays))
