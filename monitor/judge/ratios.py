"""Is a ratio larger than in the reference, by more than a tolerance?

p = ∫ P(Bin(n, min(1, θ + τ)) ≥ x) dBeta(θ; y + 1, m - y): the reference's ratio is itself uncertain.
x, n, y and m are real (rows divided by design effects); the binomial tail is the incomplete beta
function, which continues it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NODES = 64
EDGE = 1e-20
"""Probability left out at each end of the posterior: below any level that is asked for."""
STEPS = 60
"""Most evaluations of p for a threshold; 6 are usual, and halving a bracket needs 50."""
FEW = 4.0
"""x, or n - x, below which p is not integrated by parts."""
MANY = 4096
"""Ratios of which what was worked out is kept: those of one window of a model, not all of its reference's."""
_TINY = 1e-290


def p_value(x: Array, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """Probability of at least `x` of `n` when the reference has `y` of `m`; 1 where nothing is known."""
    x, n, y, m, tau = _columns(x, n, y, m, tau)
    out = np.ones(len(x))
    known = (n > 0) & (m > 0)
    live = (x > 0) & known & (m - y > 1e-6)
    if live.any():
        tail = _Tail(n[known], y[known], m[known], tau[known])
        out[live] = tail(x[live], np.flatnonzero(live[known]))
    return out


def threshold(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """The difference to the reference's ratio at which p is `level`; inf where n or m is 0.

    Above 1 - y/m (more than can happen) where even n of n is no evidence. Not to be written to.
    """
    given = np.stack(_columns(n, y, m, tau))
    return _kept(level, given.tobytes()) if given.shape[1] <= MANY else _threshold(level, *given)


@functools.lru_cache(maxsize=64)
def _kept(level: float, given: bytes) -> Array:
    """`_threshold`, by the bytes of float64[4, ratios]: windows with many rows have the same n, as many as the reference
    allows (`monitor.judge.extract.CAP`), and so the same thresholds."""
    found = _threshold(level, *np.frombuffer(given).reshape(4, -1))
    found.flags.writeable = False
    return found


def _threshold(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    out = np.full(len(n), np.inf)
    known = (n > 0) & (m > 0)
    if not known.any():
        return out
    tail = _Tail(n[known], y[known], m[known], tau[known])
    cases = np.stack([n[known], tail.case.astype(np.float64)])
    _, first, inverse = np.unique(cases, axis=1, return_index=True, return_inverse=True)
    limit = _solve(level, tail, first, n[known][first], y[known][first], m[known][first], tau[known][first])
    out[known] = limit[inverse.ravel()]
    return out


def rough_threshold(level: float, n: Array, y: Array, m: Array, tau: Array) -> Array:
    """A normal approximation of `threshold`, mostly below it: the binomial's upper tail is heavier."""
    from scipy.special import ndtri

    n, y, m, tau = _columns(n, y, m, tau)
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.clip(y / m + tau, 0.0, 1.0)
        spread = np.sqrt(theta * (1.0 - theta) * (1.0 / n + 1.0 / m))
    return np.where((n > 0) & (m > 0), tau - ndtri(level) * np.nan_to_num(spread, posinf=0.0), np.inf)


def tolerance_needed(level: float, x: Array, n: Array, y: Array, m: Array) -> Array:
    """The tolerance with which `x` of `n` would just be rejected at `level`, approximately; ≥ 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.nan_to_num(x / n - y / m)
    tau = np.clip(excess, 0.0, 1.0)
    for _ in range(6):
        margin = rough_threshold(level, n, y, m, tau).reshape(tau.shape) - tau
        tau = np.clip(excess - np.where(np.isfinite(margin), margin, 1.0), 0.0, 1.0)
    return tau


def _solve(
    level: float, tail: _Tail, rows: NDArray[np.intp], n: Array, y: Array, m: Array, tau: Array
) -> Array:
    """Secant steps on √(-ln p), which is almost a line in x, kept inside a bracket."""
    goal = np.sqrt(-np.log(level))

    def gap(x: Array, at: NDArray[np.intp]) -> Array:
        return np.asarray(np.sqrt(-np.log(tail(x, rows[at]))) - goal)

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


class _Posterior(NamedTuple):
    """Of some cases of (y, m, tau), all that does not depend on the window: float64[cases, NODES], float64[cases].

    rate    θ + τ at the nodes, at most 1
    weight  probability that a node stands for
    above   probability above a node, times the width that it stands for
    log, log_rest  logarithms of the rate and of 1 - rate
    low     rate where the bulk of the posterior begins
    plain   1 where the posterior is a point, else 0
    """

    rate: Array
    weight: Array
    above: Array
    log: Array
    log_rest: Array
    low: Array
    plain: Array


class _Tail:
    """p of many x for the same n, y, m and τ.

    A window of at most as many rows as the reference has a density of x that is no narrower than
    the posterior. Then p is integrated by parts, p = ∫ P(θ > r - τ) dI(r), I being the incomplete
    beta function of x: its density costs a twelfth of it, and the rest is the same for every x.
    Below FEW the density may have a pole at 0. Both ways agree to 1e-9 of p.
    """

    def __init__(self, n: Array, y: Array, m: Array, tau: Array) -> None:
        given = np.stack([y, m, tau])
        cases, self.case = _cases(given.tobytes()) if len(n) <= MANY else _distinct(given)
        self._known = _posterior(cases)
        self._n = n
        self._plain = (n > m) | (self._known.plain[self.case] > 0)

    def __call__(self, x: Array, rows: NDArray[np.intp]) -> Array:
        """p of each x; `rows` are places in the n that the cases were given by."""
        n, case = self._n[rows], self.case[rows]
        plain = self._plain[rows] | (x < FEW) | (x > n - FEW)
        out = np.empty(len(x))
        out[plain] = self._sum(x[plain], n[plain], case[plain])
        out[~plain] = self._by_parts(x[~plain], n[~plain], case[~plain])
        return np.clip(out, _TINY, 1.0)

    def _sum(self, x: Array, n: Array, case: NDArray[np.intp]) -> Array:
        from scipy.special import betainc

        rate, weight = self._known.rate[case], self._known.weight[case]
        at_least = betainc(np.maximum(x, 1e-9)[:, None], (n - x + 1.0)[:, None], rate)
        return np.asarray((at_least * weight).sum(axis=1))

    def _by_parts(self, x: Array, n: Array, case: NDArray[np.intp]) -> Array:
        from scipy.special import betainc, betaln

        log_density = (x - 1.0)[:, None] * self._known.log[case]
        log_density += (n - x)[:, None] * self._known.log_rest[case]
        log_density -= betaln(x, n - x + 1.0)[:, None]
        inside = (np.exp(log_density) * self._known.above[case]).sum(axis=1)
        return np.asarray(betainc(x, n - x + 1.0, self._known.low[case]) + inside)


@functools.lru_cache(maxsize=64)
def _cases(given: bytes) -> tuple[bytes, NDArray[np.intp]]:
    """`_distinct`, by the bytes of float64[3, ratios]; the same for all windows that one reference judges."""
    return _distinct(np.frombuffer(given).reshape(3, -1))


def _distinct(given: Array) -> tuple[bytes, NDArray[np.intp]]:
    """The cases among (y, m, tau) as `_posterior` takes them, and the case of each."""
    cases, case = np.unique(given, axis=1, return_inverse=True)
    return cases.tobytes(), case.ravel()


@functools.lru_cache(maxsize=4)
def _posterior(cases: bytes) -> _Posterior:
    """Gauss-Legendre nodes over the bulk of Beta(y + 1, m - y); the bytes are of float64[3, cases].

    Kept, because all windows of a model are compared with the same y and m.
    """
    from scipy.special import betainc, betainccinv, betaincinv, betaln, xlog1py, xlogy

    y, m, tau = np.frombuffer(cases).reshape(3, -1)
    a, b = y + 1.0, np.maximum(m - y, 1e-6)
    low, high = betaincinv(a, b, EDGE), betainccinv(a, b, EDGE)
    node, share = _legendre()
    theta = 0.5 * ((high - low)[:, None] * node + (high + low)[:, None])
    log_density = xlogy(a - 1.0, theta.T) + xlog1py(b - 1.0, -theta.T) - betaln(a, b)
    width = share * 0.5 * (high - low)[:, None]
    weight = np.exp(log_density.T) * width
    total = weight.sum(axis=1, keepdims=True)
    point = ~(np.isfinite(total) & (total > 0.0))
    theta, weight = np.where(point, 1.0, theta), np.where(point, 1.0 / NODES, weight / total)
    rate = np.minimum(theta + tau[:, None], 1.0)
    above = np.nan_to_num(betainc(b[:, None], a[:, None], 1.0 - theta) * width)
    with np.errstate(divide="ignore"):
        logs = np.log(rate), np.log1p(-rate)
    return _Posterior(
        rate, weight, above, *logs, np.minimum(low + tau, 1.0), point.ravel().astype(np.float64)
    )


@functools.lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    node, share = np.polynomial.legendre.leggauss(NODES)
    return node, share


def _columns(*arrays: Array) -> tuple[Array, ...]:
    return tuple(np.ravel(a).astype(np.float64) for a in np.broadcast_arrays(*arrays))
