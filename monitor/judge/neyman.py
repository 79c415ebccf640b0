"""Neyman's smooth test of numeric features: location, spread, skewness and tails, by four numbers instead of all bins.

The rows of a window have mid-ranks in the reference. Of the first ORDER Legendre polynomials of these ranks, made uncorrelated
and of variance 1 by the reference, z are the differences of the means between window and reference, made uncorrelated by the
covariance in both together. Then y = Σ z² / k, with k = 1/n + 1/m, is under no change nearly chi-square of ORDER degrees of freedom
(Neyman 1937; of two samples, with mid-ranks for ties, Mukhopadhyay and Parzen 2020). By the covariance of the reference alone it
would be exceeded ten times too often at 1e-5 where n is 55 and m 220; together 2 times where m is large, and `inflation` is for that.

What changes a feature as a whole mostly shows in these few: psi spreads over up to 20 slots what they gather. A change of the
density by a factor 1 + h has Σ z² ≤ E h², which is the PSI of a small change: k · y is in units of PSI, and the tolerance
is that of psi. Polynomials of a feature with atoms are large where few rows are: each votes from as many rows on as make
it near normal, by its fourth moment in the reference and the size of the window, never by what the window holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

from kernels.layout import BELOW, NUMERIC, Layout

if TYPE_CHECKING:
    from monitor.judge.frame import Frame

Array = NDArray[np.float64]

ORDER = 4
PEAKED = 0.045
"""Fourth moment ÷ rows up to which a mean counts as normal: that of the share of a slot with 20 expected rows, as those
that vote in psi have."""
FURTHEST = 40.0
"""y beyond which `inflation` grows no more: a chance of 4e-8."""
BENT = 0.4
"""Share of its slope at 0 that y ÷ `inflation` has lost where that grows no more. With all of it y of few skewed rows
counted less the larger it was, and 1e-5 never came; of two and three values, exactly: 0.2 to 1.6 times at 1e-4 to 1e-6."""
FLAT = 1e-9
"""Share of a polynomial's variance below which nothing is left of it beside those of lower order."""
_PAIRS = np.triu_indices(ORDER)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The polynomials of one numeric feature.

    slots   first and last + 1 of its slots of finite values
    values  float64[slots, ORDER]  of mean 0, variance 1 and uncorrelated in the reference; 0 where it has too few values
    least   float64[ORDER]  effective rows from which each votes, inf where it never does; never less than the one before
    third, fourth  float64[ORDER]  of the first 1 to ORDER together, what `inflation` takes of their cumulants
    """

    slots: tuple[int, int]
    values: Array
    least: Array
    third: Array
    fourth: Array


def bases(counts: NDArray[np.int64], layout: Layout) -> tuple[Basis, ...]:
    """Of every numeric feature of a reference, in column order."""
    features = np.flatnonzero(layout.kind == NUMERIC).tolist()
    slots = [(int(layout.start[feature]) + BELOW, int(layout.start[feature + 1])) for feature in features]
    shares = [counts[low:high] / max(int(counts[low:high].sum()), 1) for low, high in slots]
    ranks = [np.clip(2.0 * np.cumsum(share) - share - 1.0, -1.0, 1.0) for share in shares]
    plain = [legvander(rank, ORDER)[:, 1:] for rank in ranks]
    means = np.array([share @ own for share, own in zip(shares, plain, strict=True)]).reshape(-1, ORDER)
    centred = [own - mean for own, mean in zip(plain, means, strict=True)]
    square = [(own * share[:, None]).T @ own for share, own in zip(shares, centred, strict=True)]
    root, stays = _root(np.array(square).reshape(-1, ORDER, ORDER))
    found = []
    for at, (own, share) in enumerate(zip(centred, shares, strict=True)):
        values = _solved(root[at : at + 1], stays[at : at + 1], own)
        least = np.where(stays[at], share @ values**4 / PEAKED, np.inf)
        found.append(Basis(slots[at], values, np.maximum.accumulate(least), *_cumulants(values, share)))
    return tuple(found)


def _cumulants(values: Array, share: Array) -> tuple[Array, Array]:
    """Σ κ_iij κ_jkk + ⅔ Σ κ_ijk², and Σ κ_iijj, over the first 1 to ORDER polynomials: float64[ORDER] each."""
    square = values**2
    of_two = np.einsum("s,si,sj->ij", share, square, square)
    third = np.einsum("s,si,sj,sk->ijk", share, values, values, values, optimize=True)
    orders = range(1, ORDER + 1)
    own = [third[:p, :p, :p] for p in orders]
    skew = [(np.einsum("iij->j", one) ** 2).sum() + 2.0 / 3.0 * (one**2).sum() for one in own]
    return np.array(skew), np.array([of_two[:p, :p].sum() - p * (p + 2) for p in orders])


def neyman_scores(counts: NDArray[np.int64], frame: Frame, *, left: int, cap: float) -> Array:
    """float64[windows, numeric, ORDER + 2]: z, and the finite rows of window and reference. `left`: windows are part of the
    reference and left out one by one. No rows on either side: zeros. `cap`: a window weighs at most this share of the
    reference in the covariance of both."""
    size = len(counts), len(frame.bases)
    sums, whole = np.zeros((*size, ORDER)), np.zeros((*size, ORDER))
    squares, theirs = np.zeros((*size, len(_PAIRS[0]))), np.zeros((*size, len(_PAIRS[0])))
    rows, rest = np.zeros(size), np.zeros(size)
    for at, basis in enumerate(frame.bases):
        own, others = counts[:, slice(*basis.slots)], frame.counts[slice(*basis.slots)]
        rows[:, at], rest[:, at] = own.sum(axis=1), others.sum()
        sums[:, at], whole[:, at] = own @ basis.values, others @ basis.values
        if not left:  # of a window and the rest of the reference together it is that of the reference, 1
            products = basis.values[:, _PAIRS[0]] * basis.values[:, _PAIRS[1]]
            squares[:, at], theirs[:, at] = own @ products, others @ products
    if left:
        rest, whole = rest - rows, whole - sums
    known = (rows > 0) & (rest > 0)
    out = np.zeros((*size, ORDER + 2))
    n, m = rows[known][:, None], rest[known][:, None]
    own_mean, other_mean = sums[known] / n, whole[known] / m
    z = own_mean - other_mean
    if not left:
        share = np.minimum(n, cap * m) / (np.minimum(n, cap * m) + m)
        mean = share * own_mean + (1.0 - share) * other_mean
        second = share * squares[known] / n + (1.0 - share) * theirs[known] / m
        z = _solved(*_root(_matrix(second - mean[:, _PAIRS[0]] * mean[:, _PAIRS[1]])), z)
    out[known, :ORDER] = z
    out[known, ORDER:] = np.hstack([n, m])
    return out


def order_of(n: Array, frame: Frame) -> Array:
    """How many polynomials vote in windows of so many effective rows: float64[windows, numeric]."""
    least = np.array([basis.least for basis in frame.bases]).reshape(-1, ORDER)
    return np.asarray((n[:, :, None] >= least).sum(axis=2), np.float64)


def inflation(y: Array, order: Array, n: Array, m: Array, frame: Frame) -> Array:
    """By what y is larger than a chi-square of `order` degrees of freedom that is exceeded as often: float64[windows, numeric].

    Rows are skewed and have fourth cumulants; to the order of 1/n that makes 1 and a quadratic of y (Harris 1985), here of two
    samples. 1 of very many rows. y divided by it keeps its order: the quadratic is cut off before it would turn back.
    """
    p = np.maximum(order, 1.0)
    at = np.arange(len(frame.bases)), (p - 1.0).astype(np.int64)
    third = np.array([basis.third for basis in frame.bases]).reshape(-1, ORDER)[at]
    fourth = np.array([basis.fourth for basis in frame.bases]).reshape(-1, ORDER)[at]
    with np.errstate(divide="ignore", invalid="ignore"):
        k = 1.0 / n + 1.0 / m
        skewed = third * (1.0 / n**2 - 1.0 / m**2) ** 2 / k**3
        peaked = fourth * (1.0 / n**3 + 1.0 / m**3) / k**2
        last = skewed / (p + 2.0) / (p + 4.0)
        u = np.minimum(y, np.minimum(FURTHEST, np.sqrt(BENT * (4.0 * p + skewed - peaked) / last)))
    once = u / (p + 2.0)
    more = (peaked * (once - 1.0) + skewed * (once * u / (p + 4.0) - 2.0 * once + 1.0)) / (4.0 * p)
    return np.where((order > 0) & np.isfinite(more), 1.0 + more, 1.0)


def shown(windows: Array, frame: Frame) -> Array:
    """What `neyman_scores` found, as it is shown, in units of PSI: float64[windows, numeric]; NaN where nothing votes."""
    order = order_of(windows[:, :, ORDER], frame)
    far = (windows[:, :, :ORDER] ** 2 * (np.arange(ORDER) < order[:, :, None])).sum(axis=2)
    return np.where((order > 0) & (windows[:, :, ORDER + 1] > 0), far, np.nan)


def _matrix(pairs: Array) -> Array:
    """Their lower half is left empty."""
    found = np.zeros((len(pairs), ORDER, ORDER))
    found[:, _PAIRS[0], _PAIRS[1]] = pairs
    return found


def _root(covariance: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Cholesky roots float64[rows, ORDER, ORDER], of the upper halves, and of which polynomials something is left."""
    root, stays = np.zeros_like(covariance), np.zeros(covariance.shape[:2], np.bool_)
    for i in range(ORDER):
        left = covariance[:, i, i] - (root[:, i, :i] ** 2).sum(axis=1)
        stays[:, i] = left > FLAT * covariance[:, i, i]
        root[:, i, i] = np.sqrt(np.where(stays[:, i], left, 1.0))
        for j in range(i + 1, ORDER):
            rest = covariance[:, i, j] - (root[:, i, :i] * root[:, j, :i]).sum(axis=1)
            root[:, j, i] = np.where(stays[:, i], rest, 0.0) / root[:, i, i]
    return root, stays


def _solved(root: Array, stays: NDArray[np.bool_], differences: Array) -> Array:
    """float64[rows, ORDER]; 0 for a polynomial of which nothing is left."""
    z = np.zeros_like(differences)
    for i in range(ORDER):
        rest = differences[:, i] - (root[:, i, :i] * z[:, :i]).sum(axis=1)
        z[:, i] = np.where(stays[:, i], rest, 0.0) / root[:, i, i]
    return z
