"""Scores of numeric features as other products define them, from the values that occur and their rows.

Exact where every value is known, see `monitor.judge.compat`. The same formulas on values that are taken to lie evenly
within bins come near, no more. Read in the packages that `monitor.judge.published` names, and held against them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.judge.published import (
    Array,
    Scores,
    epsilon_psi,
    filled_divergences,
    leftover_distances,
)

ESTIMATED = 10_000
"""NannyML takes as many bins of equal width instead of the values of a reference of as many rows."""
SCIPY_EXACT = 10_000
"""SciPy's KS test is exact up to so many rows of the larger sample, and slow: up to 50 ms."""
EVIDENTLY_KS = 1_000
"""Rows of a reference up to which Evidently takes the KS test of itself."""
FEW_VALUES = 20
"""Evidently makes no bins of so few distinct values of the reference."""
DECILES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Rows of two samples by value.

    values              float64[values]  strictly ascending
    reference, current  float64[values]  finite rows at each
    low, high           of the reference, and of the window
    rows                all rows of the window, missing ones too
    exact               the values are those of the rows, not a guess
    """

    values: Array
    reference: Array
    current: Array
    low: tuple[float, float]
    high: tuple[float, float]
    rows: float
    exact: bool

    @property
    def is_usable(self) -> bool:
        """Rows on both sides, in a range whose square is a number."""
        span = max(self.high) - min(self.low)
        return bool(self.reference.any() and self.current.any() and np.isfinite(span * span))


def evidently(of: Numbers) -> Scores:
    """Missing and non-finite rows are dropped. ks is a p-value."""
    if not of.is_usable:
        return {}
    m, n = of.reference.sum(), of.current.sum()
    if of.exact and np.count_nonzero(of.reference) <= FEW_VALUES:
        found = filled_divergences(of.reference / m, of.current / n)
    else:
        edges = _sturges(min(of.low), max(of.high), m + n)
        found = filled_divergences(
            *(_histogram(of, rows, edges) / rows.sum() for rows in (of.reference, of.current))
        )
    mean = (of.values * of.reference).sum() / m
    std = math.sqrt(((of.values - mean) ** 2 * of.reference).sum() / m)
    found["wasserstein"] = _wasserstein(of) / max(std, 0.001)
    if of.exact:
        edges = _sturges(min(of.low), max(of.high), len(of.values))
        p, q = (_histogram(of, rows, edges) / rows.sum() for rows in (of.reference, of.current))
        found["hellinger"] = math.sqrt(1 - min(math.fsum(np.sqrt(p * q)), 1.0))
    if m <= EVIDENTLY_KS and n <= EVIDENTLY_KS:
        found["ks"] = _ks_exact(of)
    elif max(m, n) > SCIPY_EXACT:
        found["ks"] = _ks_asymptotic(_ks(of), m, n)
    return found


def nannyml(of: Numbers) -> Scores:
    """Missing rows are dropped; kolmogorov_smirnov is the statistic."""
    if not of.is_usable:
        return {}
    edges = _doane(of)
    p, q = (_histogram(of, rows, edges) / rows.sum() for rows in (of.reference, of.current))
    found = leftover_distances(p, q)
    if of.reference.sum() < ESTIMATED:
        return found | {"kolmogorov_smirnov": _ks(of), "wasserstein": _wasserstein(of)}
    return found | _estimated(of)


def scouter(of: Numbers) -> Scores:
    """Missing rows of the window count as rows. Deciles by R-7, bins closed on the right."""
    m = int(of.reference.sum())
    if not of.is_usable or m < DECILES:
        return {}
    reached = np.cumsum(of.reference)
    edges = []
    for i in range(1, DECILES):
        share = i / DECILES
        place = m * share + (1.0 - share)
        whole = math.floor(place)
        rest, first = place - whole, max(whole - 1, 0)
        one, next_one = of.values[np.searchsorted(reached, [first, min(first + 1, m - 1)], side="right")]
        edges.append((1.0 - rest) * one + rest * next_one)
    at = np.searchsorted(of.values, edges, side="right")
    p, q = (
        np.diff(np.concatenate([[0.0, *rows], [0.0]]).cumsum()[[0, *at, len(rows)]])
        for rows in (of.reference, of.current)
    )
    return {"psi": epsilon_psi(p / m, q / of.rows)}


def _sturges(low: float, high: float, rows: float) -> Array:
    return _edges(low, high, (high - low) / (math.log2(rows) + 1.0))


def _doane(of: Numbers) -> Array:
    rows = of.reference.sum()
    low, high, width = of.low[0], of.high[0], 0.0
    mean = (of.values * of.reference).sum() / rows
    std = math.sqrt(((of.values - mean) ** 2 * of.reference).sum() / rows)
    if rows > 2 and std > 0:
        skew = (((of.values - mean) / std) ** 3 * of.reference).sum() / rows
        error = math.sqrt(6.0 * (rows - 2) / ((rows + 1.0) * (rows + 3.0)))
        width = (high - low) / (1.0 + math.log2(rows) + math.log2(1.0 + abs(skew) / error))
    return _edges(low, high, width)


def _edges(low: float, high: float, width: float) -> Array:
    """NumPy's bins of equal width, at most `width` wide."""
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    return np.linspace(low, high, (math.ceil((high - low) / width) if width else 1) + 1)


def _histogram(of: Numbers, rows: Array, edges: Array) -> Array:
    return np.histogram(of.values, edges, weights=rows)[0]


def _apart(of: Numbers) -> Array:
    """Difference of the two distribution functions at each value."""
    return np.asarray(
        np.abs(np.cumsum(of.reference) / of.reference.sum() - np.cumsum(of.current) / of.current.sum())
    )


def _ks(of: Numbers) -> float:
    return float(_apart(of).max())


def _wasserstein(of: Numbers) -> float:
    return float((_apart(of)[:-1] * np.diff(of.values)).sum())


def _ks_exact(of: Numbers) -> float:
    from scipy.stats import ks_2samp

    one, other = (np.repeat(of.values, rows.astype(np.int64)) for rows in (of.reference, of.current))
    return float(ks_2samp(one, other).pvalue)


def _ks_asymptotic(distance: float, m: float, n: float) -> float:
    from scipy.stats import kstwo

    return float(np.clip(kstwo.sf(distance, np.round(m * n / (m + n))), 0.0, 1.0))


def _estimated(of: Numbers) -> Scores:
    """NannyML's kolmogorov_smirnov and wasserstein of a large reference, over ESTIMATED bins of equal width."""
    low, high, n = of.low[0], of.high[0], of.current.sum()
    edges = (
        np.linspace(low, high, ESTIMATED + 1)
        if low < high
        else np.linspace(low - 0.5, high + 0.5, ESTIMATED + 1)
    )
    reference = np.cumsum(_histogram(of, of.reference, edges) / of.reference.sum())
    current = np.cumsum(_histogram(of, of.current, edges) / n)
    below = of.values < low
    smaller, bigger = _outside(of, below, low), _outside(of, of.values > high, high)
    before = (of.current[below].sum() + 1) / n if of.current[below].sum() else 0.0
    return {
        "kolmogorov_smirnov": float(np.abs(reference - (of.current[below].sum() / n + current)).max()),
        "wasserstein": float(
            (np.abs(reference - (current + before)) * (edges[1] - edges[0])).sum() + smaller + bigger
        ),
    }


def _outside(of: Numbers, where: NDArray[np.bool_], border: float) -> float:
    """Their term for rows beyond the reference's range, with the border as one row more."""
    rows = of.current[where]
    if not rows.sum():
        return 0.0
    is_below = bool(of.values[where][0] < border)
    values = np.append(of.values[where], border) if is_below else np.append(border, of.values[where])
    counts = np.append(rows, 1.0) if is_below else np.append(1.0, rows)
    reached = np.cumsum(counts) / counts.sum()
    weight = reached if is_below else 1 - reached
    return float((weight[:-1] * np.diff(values)).sum() * (rows.sum() + 1) / of.current.sum())


OF_NUMBERS = {"evidently": evidently, "nannyml": nannyml, "scouter": scouter}
"""popmon takes bins of its own from quantiles of its reference; see configs/compat.md."""
