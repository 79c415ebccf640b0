"""Neyman's smooth test of numeric features: location, spread, skewness and tails, by four numbers instead of all bins.

The rows of a window have mid-ranks in the reference. With b the first ORDER Legendre polynomials of them, the differences
of the means of b between window and reference, made uncorrelated and of variance 1 by the covariance of b in the reference,
are z. Then y = Σ z² / k, with k = 1/n + 1/m, is under no change nearly chi-square of ORDER degrees of freedom (Neyman 1937;
of two samples and with mid-ranks for ties Mukhopadhyay and Parzen 2020).

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
FLAT = 1e-9
"""Share of a polynomial's variance below which nothing is left of it beside those of lower order."""
_UPPER = np.triu_indices(ORDER)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The polynomials of one numeric feature.

    slots   first and last + 1 of its slots of finite values
    values  float64[slots, ORDER + products]  the polynomials, and their products for the covariance
    least   float64[ORDER]  effective rows from which each votes, inf where it never does; never less than the one before
    """

    slots: tuple[int, int]
    values: Array
    least: Array


def bases(counts: NDArray[np.int64], layout: Layout) -> tuple[Basis, ...]:
    """Of every numeric feature of a reference, in column order."""
    found = []
    for feature in np.flatnonzero(layout.kind == NUMERIC).tolist():
        slots = int(layout.start[feature]) + BELOW, int(layout.start[feature + 1])
        mass = counts[slots[0] : slots[1]].astype(np.float64)
        share = mass / max(mass.sum(), 1.0)
        ranks = np.clip(2.0 * np.cumsum(share) - share - 1.0, -1.0, 1.0)
        polynomials = legvander(ranks, ORDER)[:, 1:] * np.sqrt(2.0 * np.arange(1, ORDER + 1) + 1.0)
        products = polynomials[:, _UPPER[0]] * polynomials[:, _UPPER[1]]
        found.append(Basis(slots, np.hstack([polynomials, products]), _least(polynomials, share)))
    return tuple(found)


def smooth_scores(counts: NDArray[np.int64], frame: Frame, *, left: int) -> Array:
    """float64[windows, numeric, ORDER + 2]: z, and the finite rows of window and reference. `left`: windows are part of the
    reference and left out one by one. No rows on either side: zeros."""
    out = np.zeros((len(counts), len(frame.bases), ORDER + 2))
    for at, basis in enumerate(frame.bases):
        low, high = basis.slots
        own = counts[:, low:high]
        rows, sums = own.sum(axis=1), own @ basis.values
        whole = frame.counts[low:high]
        rest, rest_sums = whole.sum() - left * rows, whole @ basis.values - left * sums
        known = (rows > 0) & (rest > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            means, theirs = sums / rows[:, None], rest_sums / rest[:, None]
        out[known, at, :ORDER] = _whitened(means[known, :ORDER] - theirs[known, :ORDER], theirs[known])
        out[known, at, ORDER:] = np.stack([rows, rest], axis=1)[known]
    return out


def order_of(n: Array, frame: Frame) -> Array:
    """How many polynomials vote in windows of so many effective rows: float64[windows, numeric]."""
    least = np.array([basis.least for basis in frame.bases]).reshape(-1, ORDER)
    return np.asarray((n[:, :, None] >= least).sum(axis=2), np.float64)


def _least(polynomials: Array, share: Array) -> Array:
    """Rows from which each is near normal."""
    products = polynomials[:, _UPPER[0]] * polynomials[:, _UPPER[1]]
    means = share @ np.hstack([polynomials, products])
    centred = polynomials - means[:ORDER]
    white = _whitened(centred, np.broadcast_to(means, (len(centred), len(means))))
    spread, fourth = share @ white**2, share @ white**4
    least = np.where(spread > 0.5, fourth / PEAKED, np.inf)
    return np.asarray(np.maximum.accumulate(least), np.float64)


def _whitened(differences: Array, means: Array) -> Array:
    """Solve by the Cholesky root of the covariance that `means` float64[rows, ORDER + products] tell: float64[rows, ORDER].
    0 for a polynomial of which nothing is left beside those before it."""
    covariance = np.empty((len(means), ORDER, ORDER))
    covariance[:, _UPPER[0], _UPPER[1]] = means[:, ORDER:]
    covariance[:, _UPPER[0], _UPPER[1]] -= means[:, _UPPER[0]] * means[:, _UPPER[1]]
    root, z = np.zeros_like(covariance), np.zeros_like(differences)
    for i in range(ORDER):
        left = covariance[:, i, i] - (root[:, i, :i] ** 2).sum(axis=1)
        stays = left > FLAT
        pivot = np.where(stays, np.sqrt(np.maximum(left, FLAT)), np.inf)
        root[:, i, i] = np.where(stays, pivot, 0.0)
        for j in range(i + 1, ORDER):
            root[:, j, i] = (covariance[:, i, j] - (root[:, i, :i] * root[:, j, :i]).sum(axis=1)) / pivot
        z[:, i] = (differences[:, i] - (root[:, i, :i] * z[:, :i]).sum(axis=1)) / pivot
    return z
