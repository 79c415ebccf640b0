"""Scores of categorical features as other products define them, from rows per category.

Each function returns what the product's own code returns for the same rows, to the last digits: their filling of empty
categories, their logarithms, their treatment of missing rows. Formulas were read in Evidently 0.7.23, NannyML 0.13.1,
Scouter 0.25.0 and popmon 1.4.12 and are held against these packages (`python -m bench.compat`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Scores = dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Rows of two samples by category; each category has rows in one of them at least.

    reference, current  float64[categories], in the order of the names; missing rows apart
    """

    reference: Array
    current: Array
    missing: tuple[float, float] = (0.0, 0.0)

    @property
    def is_empty(self) -> bool:
        return bool(self.reference.sum() == 0 or self.current.sum() == 0)

    def with_missing(self) -> tuple[Array, Array]:
        """Missing as a category of its own, where it has rows."""
        if not any(self.missing):
            return self.reference, self.current
        return np.append(self.reference, self.missing[0]), np.append(self.current, self.missing[1])


def evidently(of: Names) -> Scores:
    """Missing rows are dropped. p-values: chisquare, and z of two categories; all others are distances."""
    if of.is_empty:
        return {}
    m, n = of.reference.sum(), of.current.sum()
    p, q = of.reference / m, of.current / n
    found = filled_divergences(p, q)
    found["hellinger"] = math.sqrt(1 - min(math.fsum(np.sqrt(p * q)), 1.0))
    if len(p) > 1:
        expected = of.reference * (n / m)
        with np.errstate(divide="ignore"):  # a category without reference rows: p = 0
            found["chisquare"] = _chi2_tail(len(p) - 1, ((of.current - expected) ** 2 / expected).sum())
    if len(p) <= 2:
        found["z"] = _z(p, q, m, n)
    return found


def filled_divergences(p: Array, q: Array) -> Scores:
    """Evidently's psi, kl_div and jensenshannon of two vectors of shares."""
    one, other = _filled(p), _filled(q)
    return {
        "psi": float(((one - other) * np.log(one / other)).sum()),
        "kl_div": float(_relative_entropy(one / one.sum(), other / other.sum()).sum()),
        "jensenshannon": jensen_shannon(p, q, base=math.e),
    }


def _filled(shares: Array) -> Array:
    least = shares[shares > 0].min()
    return np.where(shares == 0, least / 10**6 if least <= 0.0001 else 0.0001, shares)


def _relative_entropy(p: Array, q: Array) -> Array:
    from scipy.special import rel_entr

    return np.asarray(rel_entr(p, q))


def _chi2_tail(freedom: int, value: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(freedom, value))


def _z(p: Array, q: Array, m: float, n: float) -> float:
    from scipy.special import ndtr

    if len(p) == 1:
        return 1.0
    one, other = float(p[1]), float(q[1])
    pooled = (one * m + other * n) / (m + n)
    z = (one - other) / math.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    return float(2 * (1 - ndtr(abs(z))))


def jensen_shannon(p: Array, q: Array, *, base: float) -> float:
    """The distance, as SciPy has it: both are made to sum to 1 before."""
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    divergence = float(_relative_entropy(p, middle).sum()) + float(_relative_entropy(q, middle).sum())
    return math.sqrt(max(divergence, 0.0) / math.log(base) / 2)


def nannyml(of: Names) -> Scores:
    """Missing rows are dropped. chi2 is the statistic, jensen_shannon the distance of base 2."""
    if of.is_empty:
        return {}
    p, q = of.reference / of.reference.sum(), of.current / of.current.sum()
    known = of.reference > 0
    return {
        **leftover_distances(p[known], q[known]),
        "l_infinity": float(np.abs(p - q).max()),
        "chi2": _contingency(of.reference, of.current),
    }


def leftover_distances(p: Array, q: Array) -> Scores:
    """NannyML's jensen_shannon and hellinger: what is in none of the reference's bins is one more, of share 0.

    Rounding alone makes that bin too, and a distance of 1e-8 where nothing differs; so do they.
    """
    leftover = 1 - np.sum(q)
    if leftover > 0:
        p, q = np.append(p, 0.0), np.append(q, leftover)
    apart = float(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum())) / math.sqrt(2)
    return {"jensen_shannon": jensen_shannon(p, q, base=2.0), "hellinger": apart}


def _contingency(reference: Array, current: Array) -> float:
    """Pearson's statistic of the table of two rows, with Yates' correction for two categories."""
    if len(reference) == 1:
        return 0.0
    table = np.stack([reference, current])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    apart = np.abs(table - expected)
    if len(reference) == 2:
        apart = apart - np.minimum(0.5, apart)
    return float((apart**2 / expected).sum())


def scouter(of: Names) -> Scores:
    """Missing rows are a category where the reference has some; categories it lacks only count as rows."""
    reference, current = of.with_missing()
    if reference.sum() == 0 or current.sum() == 0:
        return {}
    known = reference > 0
    return {"psi": epsilon_psi(reference[known] / reference.sum(), current[known] / current.sum())}


def epsilon_psi(p: Array, q: Array) -> float:
    """Scouter's: 1e-10 is added to every share."""
    p, q = p + 1e-10, q + 1e-10
    return float(((p - q) * np.log(p / q)).sum())


def popmon(of: Names) -> Scores:
    """Missing rows are a category. psi and jsd are of rows, not of shares: they grow with the window."""
    m, n = of.with_missing()
    if m.sum() == 0 or n.sum() == 0:
        return {}
    few = 10e-6
    one, other, middle = n + few, m + few, (n + m) / 2 + few
    jsd = ((one * np.log(one / middle)).sum() + (other * np.log(other / middle)).sum()) / 2
    return {
        "psi": float(((one - other) * np.log(one / other)).sum()),
        "jsd": float(jsd),
        "max_prob_diff": float(np.abs(n / n.sum() - m / m.sum()).max()),
        **_root_chi2(n, m),
    }


def _root_chi2(n: Array, m: Array) -> Scores:
    """The comparison of two histograms of ROOT, as popmon has it."""
    from scipy.special import ndtri

    if len(n) == 1:
        return {"chi2": 0.0}
    rows, other = n.sum(), m.sum()
    value = float(((other * n - rows * m) ** 2 / (n + m)).sum() / other / rows)
    pooled = (n + m) / (rows + other)
    residuals = (
        (n - rows * pooled) / np.sqrt(rows * pooled) / np.sqrt((1 - rows / (rows + other)) * (1 - pooled))
    )
    p = _chi2_tail(len(n) - 1, value)
    return {
        "chi2": value,
        "chi2_norm": value / (len(n) - 1),
        "chi2_pvalue": p,
        "chi2_zscore": float(-ndtri(p)),
        "chi2_max_residual": float(np.abs(residuals).max()),
    }


OF_NAMES = {"evidently": evidently, "nannyml": nannyml, "scouter": scouter, "popmon": popmon}
