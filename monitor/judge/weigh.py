"""Every test of every window: how far its score lies from its threshold.

x is the score divided by its threshold, on the scale of a distance (the root for psi and g, which
grow with the square of a change), so x > 1 exactly when the test rejects, and two x can be
compared. Thresholds stand at `level` = α / number of tests: there all x are 1 at the same
probability, so each test spends an equal share of the false pages. At any higher level the tests of
few slots, whose x has the longer tail, set M alone and blind the others. Windows found, of 360, at
the same false pages (50 features, n = 1,000, level α / tests, α, 5 %): tails 1.6 times as heavy
17 %, 5 %, 1 %; one category twice as frequent 35 %, 13 %, 2 %; 2.5 % missing 97 %, 99 %, 97 %;
a coin from 0.50 to 0.58 77 %, 90 %, 97 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import NUMERIC
from kernels.scores import PEARSON, PSI, SLOTS, THINNEST, G, M, N
from monitor.judge import chi, ratios
from monitor.judge.extract import Extract
from monitor.judge.frame import Frame
from monitor.judge.joint import variance
from monitor.judge.samples import (
    distance_samples,
    divergence_samples,
    joint_samples,
    neyman_samples,
    ratio_samples,
)
from monitor.judge.tolerances import EXCEEDED, Tolerances

Array = NDArray[np.float64]

RARE = 1e-4
"""Below this p, where a slot has under THIN expected rows, Pearson's statistic must agree: PSI's tail
is then up to 2.7 times too heavy at 1e-5."""
THIN = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All tests of some windows: float64[windows, tests]; names are per test.

    Where a test has nothing to go on, threshold is inf, x is 0 and p is 1.
    """

    features: tuple[str, ...]
    tests: tuple[str, ...]
    score: Array
    threshold: Array
    x: Array
    p: Array
    n: Array
    m: Array
    tolerance: Array
    effect: Array


class _Square(NamedTuple):
    """A sum of squares with a chi-square null of `df` degrees of freedom: float64[windows, tests] each.

    y, its threshold `limit`, noncentrality `nc` of the tolerance, effective rows n and m, k = 1/n + 1/m, 0 where either is 0.
    The sum of squares itself and its threshold are `shown` times larger.
    """

    x: Array
    y: Array
    shown: Array | float
    limit: Array
    df: Array
    nc: Array
    n: Array
    m: Array
    k: Array
    tolerance: Array


def weigh(windows: Extract, frame: Frame, tolerances: Tolerances, level: float, past: Array) -> Evidence:
    """Every test of every window in full. `past` are the detectors' scores of the reference's windows."""
    parts = [
        _divergence(windows, frame, tolerances, level),
        _distance(windows, frame, tolerances, level),
        _ratio(windows, frame, tolerances, level),
        _detectors(windows, frame, tolerances, level, past),
        _in_psi(_joint_x(windows, frame, tolerances, level)),
        _in_psi(_neyman_x(windows, frame, tolerances, level)),
    ]
    return Evidence(*frame.labels, *(np.concatenate(column, axis=1) for column in zip(*parts, strict=True)))


def statistics(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> Array:
    """M, the largest x of each window: float64[windows]. As `weigh`, without what M does not need.

    `tolerances` may have a first axis of windows.
    """
    _, _, x, *_ = _divergence_x(windows, frame, tolerances, level)
    m: Array = x.max(axis=1, initial=0.0)
    m = np.maximum(m, _distance_x(windows, frame, tolerances, level)[1].max(axis=1, initial=0.0))
    m = np.maximum(m, _detectors_x(windows, tolerances, level)[2].max(axis=1, initial=0.0))
    m = np.maximum(m, _joint_x(windows, frame, tolerances, level).x.max(axis=1, initial=0.0))
    m = np.maximum(m, _neyman_x(windows, frame, tolerances, level).x.max(axis=1, initial=0.0))
    return np.maximum(m, _largest_ratio(windows, frame, tolerances, level, m))


def _divergence_x(
    windows: Extract, frame: Frame, tolerances: Tolerances, level: float
) -> tuple[Array, Array, Array, Array, Array]:
    """y, its threshold, x, k and noncentrality; a threshold is higher where Pearson's must agree."""
    plain, k = divergence_samples(windows, frame)
    df = windows.divergence[:, :, SLOTS] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        nc = np.where(k > 0, tolerances.divergence / k, 0.0)
    y = _agreed(plain, windows, df, nc)
    limit = chi.isf(level, df, nc)
    x = np.sqrt(y / limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(y < plain, limit * plain / y, limit)
    return y, limit, x, k, nc


def _agreed(y: Array, windows: Extract, df: Array, nc: Array) -> Array:
    """y, lowered to Pearson's statistic where slots are thin, but not below what has p = RARE."""
    pearson = windows.divergence[:, :, PEARSON]
    doubtful = (windows.divergence[:, :, THINNEST] < THIN) & (pearson < y) & (df >= 1)
    if not doubtful.any():
        return y
    y = y.copy()
    rare = chi.isf(RARE, df[doubtful], nc[doubtful])
    y[doubtful] = np.minimum(y[doubtful], np.maximum(pearson[doubtful], rare))
    return y


def _divergence(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> tuple[Array, ...]:
    y, limit, x, k, nc = _divergence_x(windows, frame, tolerances, level)
    out = windows.divergence
    numeric = frame.layout.kind == NUMERIC
    df = np.maximum(out[:, :, SLOTS] - 1, 0.0)
    score = np.where(numeric, out[:, :, PSI], out[:, :, G])
    known = np.isfinite(limit)
    threshold = np.where(numeric & known, k * np.where(known, limit, 0.0), limit)
    effect = np.maximum(np.where(numeric, out[:, :, PSI], k * out[:, :, G]) - k * df, 0.0)
    tolerance = np.broadcast_to(tolerances.divergence, score.shape)
    return score, threshold, x, chi.sf(y, df, nc), out[:, :, N], out[:, :, M], tolerance, effect


def _distance_x(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> tuple[Array, Array]:
    """Threshold and x."""
    d, scale, _, _ = distance_samples(windows, frame)
    return _far(d, scale, frame, tolerances, level)


def _far(d: Array, scale: Array, frame: Frame, tolerances: Tolerances, level: float) -> tuple[Array, Array]:
    from scipy.special import kolmogi

    with np.errstate(divide="ignore"):
        noise = np.where(scale > 0, (kolmogi(level) - frame.shift) / scale, np.inf)
    return tolerances.distance + noise, d / (tolerances.distance + noise)


def _distance(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> tuple[Array, ...]:
    from scipy.special import kolmogorov

    d, scale, n, m = distance_samples(windows, frame)
    threshold, x = _far(d, scale, frame, tolerances, level)
    beyond = d - tolerances.distance
    p = np.where((scale > 0) & (beyond > 0), kolmogorov(scale * np.maximum(beyond, 0.0) + frame.shift), 1.0)
    return d, threshold, x, p, n, m, np.broadcast_to(tolerances.distance, d.shape), d


def _ratio(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> tuple[Array, ...]:
    x, n, y, m = ratio_samples(windows, frame)
    shape = x.shape
    tau = np.broadcast_to(tolerances.ratio, shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.nan_to_num(x / n - y / m)
    threshold = ratios.threshold(level, n, y, m, tau).reshape(shape)
    p = ratios.p_value(x, n, y, m, tau).reshape(shape)
    return score, threshold, np.maximum(score / threshold, 0.0), p, n, m, tau, score


def _largest_ratio(
    windows: Extract, frame: Frame, tolerances: Tolerances, level: float, others: Array
) -> Array:
    """The largest x of the ratio tests of each window, or something below `others`.

    Exact thresholds are only sought for ratios that could exceed the other tests, as told by an
    approximation that is below the threshold (with a fifth to spare).
    """
    x, n, y, m = ratio_samples(windows, frame)
    tau = np.broadcast_to(tolerances.ratio, x.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.nan_to_num(x / n - y / m)
    rough = ratios.rough_threshold(level, n, y, m, tau).reshape(x.shape)
    near = (score > 0) & (score > 0.8 * rough * others[:, None])
    out = np.zeros(x.shape)
    out[near] = score[near] / ratios.threshold(level, n[near], y[near], m[near], tau[near])
    return np.asarray(out.max(axis=1, initial=0.0))


def _detectors_x(windows: Extract, tolerances: Tolerances, level: float) -> tuple[Array, Array, Array]:
    """Score, threshold and x. The threshold extends a normal line through median and 0.9-quantile."""
    from scipy.special import ndtri

    score = windows.detectors.reshape(len(windows), -1)
    middle, far = (part.reshape(*part.shape[:-2], -1) for part in (tolerances.middle, tolerances.far))
    threshold = middle + (far - middle) * (ndtri(level) / ndtri(EXCEEDED))
    known = np.isfinite(score) & np.isfinite(threshold) & (threshold > 0)
    threshold = np.where(known, threshold, np.inf)
    return score, threshold, np.where(known, score, 0.0) / threshold


def _detectors(
    windows: Extract, frame: Frame, tolerances: Tolerances, level: float, past: Array
) -> tuple[Array, ...]:
    if not frame.detectors:
        return _nothing(windows)
    score, threshold, x = _detectors_x(windows, tolerances, level)
    past = past.reshape(len(past), score.shape[1])
    above = (past[None, :, :] >= score[:, None, :]).sum(axis=1)
    p = np.where(np.isfinite(threshold), (1 + above) / (len(past) + 1), 1.0)
    owner = np.repeat(np.arange(len(frame.features)), len(frame.detectors))
    n, m = windows.divergence[:, owner, N], windows.divergence[:, owner, M]
    tolerance = np.broadcast_to(tolerances.far.ravel(), score.shape)
    return score, threshold, x, p, n, m, tolerance, score


def _joint_x(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> _Square:
    y, n, m, df = joint_samples(windows, frame)
    return _square(y, df, n, m, tolerances.joint, level)


def _neyman_x(windows: Extract, frame: Frame, tolerances: Tolerances, level: float) -> _Square:
    """Its tolerance is that of psi."""
    y, df, by, n, m = neyman_samples(windows, frame)
    tolerance = tolerances.divergence[..., frame.numeric[: len(frame.bases)]]
    return _square(y / by, df, n, m, tolerance, level)._replace(shown=by)


def _square(y: Array, df: Array, n: Array, m: Array, tolerance: Array, level: float) -> _Square:
    k = variance(n, m)
    with np.errstate(divide="ignore", invalid="ignore"):
        nc = np.where(k > 0, tolerance / k, 0.0)
    limit = np.where(k > 0, chi.isf(level, df, nc), np.inf)
    return _Square(np.sqrt(y / limit), y, 1.0, limit, df, nc, n, m, k, np.broadcast_to(tolerance, y.shape))


def _in_psi(one: _Square) -> tuple[Array, ...]:
    """Score, threshold and what is beyond noise in units of PSI, k · y."""
    known = np.isfinite(one.limit)
    unit = one.k * one.shown
    threshold = np.where(known, unit * np.where(known, one.limit, 0.0), np.inf)
    p = np.where(one.k > 0, chi.sf(one.y, one.df, one.nc), 1.0)
    return (
        unit * one.y,
        threshold,
        one.x,
        p,
        one.n,
        one.m,
        one.tolerance,
        np.maximum(one.k * (one.y - one.df), 0.0),
    )


def _nothing(windows: Extract) -> tuple[Array, ...]:
    """Of a kind of test that there is none of: float64[windows, 0] for each of `Evidence`."""
    return (np.empty((len(windows), 0)),) * 8
