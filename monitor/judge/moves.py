"""What the rows of a numeric feature may be distributed like after a change, by the bins that are counted.

    moved    all values are shifted, or spread about their mean, by one of many sizes
    smooth   ln p/q is a sum of waves of the rank, the shorter the smaller: a Gaussian prior, of one of many heights

Slots as coarse as others are dated by lose what happens in the tails, where a spread shows most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW
from monitor.judge.column import LEAK, Column, column, of_part
from monitor.judge.early import Array
from monitor.judge.frame import Frame

SIZES = tuple(0.005 * 2.0 ** (k / 2) for k in range(18))
"""Of a shift, in standard deviations; of a spread, by what part of 1 values lie further from their mean, or nearer: from what
a million rows just show to what nobody has to be told."""
FINEST = 256
"""Of more bins several are taken as one: they cost more and say nothing else."""
NOISE = 2.0
"""Four times what the reference's own noise may be worth, in all rows that are looked at: then it is as good as known."""
WAVES = 24
STEEPNESS = 2.0
"""The variance of a wave falls by this power of its number."""
HEIGHTS = tuple(0.02 * 4.0**k for k in range(4))
"""Standard deviation of the first wave."""
LEAST = 1e-9
"""A wave of less of the first one's variance is made of the others: where a feature has a few values only."""


class Numbers(NamedTuple):
    """The values of one numeric feature of a reference, in slots.

    low, high  slots of the layout, from `below` to `above`
    starts     int64[slots]           first of them that each slot here has
    q          float64[slots]         shares of the reference
    rows       of the reference, effective
    moved      float64[ways, slots]   ln p/q, with Σ p = Σ q = 1; one way and its opposite after each other
    waves      float64[waves, slots]  orthonormal under q, of mean 0
    variance   float64[waves]         of their factors
    """

    low: int
    high: int
    starts: NDArray[np.int64]
    q: Array
    rows: float
    moved: Array
    waves: Array
    variance: Array

    def folded(self, counts: NDArray[np.int64]) -> Array:
        """Rows int64[slots of the layout] in the slots here."""
        return np.add.reduceat(counts[self.low : self.high], self.starts).astype(np.float64)

    def likelihoods(self, counts: Array) -> list[Array]:
        """log of the likelihood ratio to q of the rows from each pane on float64[panes, slots], by both sorts: float64[panes] each."""
        return [average(self._moved(counts)), self._smooth(counts)]

    def _moved(self, counts: Array) -> Array:
        """Of each way: float64[ways, panes].

        Moved by part of a slot the reference is smoother than it was, and by that alone likelier, by slots / 4 rows a row. Where
        that counts, a way must be likelier than the average of itself and its opposite, too, which is as smooth.
        """
        found = self.moved @ counts.T
        if counts[0].sum() * len(self.q) <= NOISE * self.rows:
            return np.asarray(found)
        pairs = self.moved.reshape(-1, 2, self.moved.shape[1])
        alike = np.logaddexp(pairs[:, 0], pairs[:, 1]) - np.log(2.0)
        apart = (pairs - alike[:, None]).reshape(self.moved.shape)
        return np.asarray(np.minimum(found, apart @ counts.T))

    def _smooth(self, counts: Array) -> Array:
        """By Laplace's method, with the likelihood ratio as it is at the expected factors."""
        n, sums = counts.sum(axis=1), counts @ self.waves.T
        found = []
        for height in HEIGHTS:
            prior = height**2 * self.variance
            factors = sums * prior / (1.0 + n[:, None] * prior)
            ratio = (factors * sums).sum(axis=1) - n * np.log(np.exp(factors @ self.waves) @ self.q)
            found.append(ratio - 0.5 * (factors**2 / prior + np.log1p(n[:, None] * prior)).sum(axis=1))
        return average(np.array(found))


def numbers(frame: Frame, row: int, *, is_part: bool) -> Numbers | None:
    """Of a numeric feature; None where they do not vary, have no moments, or lie too far apart. `is_part`: the frame is of one
    segment."""
    low, high = frame.layout.start[row : row + 2].tolist()
    profile, counts = frame.features[row], frame.counts[low:high]
    extremes = np.array([profile.minimum, profile.maximum])
    with np.errstate(all="ignore"):
        profile = of_part(profile, counts) if is_part else profile
        own = column(profile, counts, counts, extremes=extremes, mean=profile.mean, std=profile.std)
        if own is None or not profile.std > 0:
            return None
        starts = _starts(len(own.shares))
        q = np.add.reduceat(own.shares, starts)
        moved = np.array([(1.0 - LEAK) * own.shifted(a, b) + LEAK * own.shares for a, b in _ways(own)])
        moved = np.add.reduceat(moved, starts, axis=1)
        moved = np.log(moved / moved.sum(axis=1, keepdims=True) / q)
    if not np.isfinite(moved).all():
        return None
    return Numbers(low + BELOW, high, starts, q, own.m / profile.design, moved, *_waves(q))


def _starts(slots: int) -> NDArray[np.int64]:
    """Where slots begin, FINEST or fewer beside `below` and `above`."""
    inside = np.arange(1, slots - 1, -(-(slots - 2) // FINEST))
    return np.concatenate([[0], inside, [slots - 1]])


def _ways(own: Column) -> Iterator[tuple[float, float]]:
    """(a, b) of a·x + b."""
    for size in SIZES:
        for shift in (size, -size):
            yield 1.0, shift * own.profile.std
        for factor in (1.0 + size, 1.0 / (1.0 + size)):
            yield factor, (1.0 - factor) * own.profile.mean


def _waves(q: Array) -> tuple[Array, Array]:
    """Waves float64[waves, slots] that do not depend on each other, and their variances.

    Cosines of the rank do depend where a slot has much of it: their principal axes do not.
    """
    rank = np.cumsum(q) - q / 2.0
    number = np.arange(1, WAVES + 1)
    plain = np.cos(np.pi * number[:, None] * rank) * (np.sqrt(2.0) * number ** (-STEEPNESS / 2.0))[:, None]
    plain -= (plain @ q)[:, None]
    variance, axes = np.linalg.eigh((plain * q) @ plain.T)
    used = variance > LEAST * variance[-1]
    return axes[:, used].T @ plain / np.sqrt(variance[used])[:, None], variance[used]


def average(logarithms: Array) -> Array:
    """log of the average over the first axis."""
    return np.asarray(np.logaddexp.reduce(logarithms, axis=0) - np.log(len(logarithms)))
