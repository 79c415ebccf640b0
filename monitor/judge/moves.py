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
from monitor.judge.split import Split, average, split

SIZES = tuple(0.005 * 2.0 ** (k / 2) for k in range(18))
"""Of a shift, in standard deviations; of a spread, by what part of 1 values lie further from their mean, or nearer: from what
a million rows just show to what nobody has to be told."""
FINEST = 256
"""Of more bins several are taken as one: they cost more and say nothing else."""
WAVES = 24
STEEPNESS = 2.0
"""The variance of a wave falls by this power of its number."""
HEIGHTS = tuple(0.02 * 4.0**k for k in range(4))
"""Standard deviation of the first wave."""
FAR = 2.0
"""Range of ln p/q beyond which the likelihood is looked for along the way, too."""
NEARER = (0.7, 0.5, 0.35, 0.25, 0.18, 0.125)
LEAST = 1e-9
"""A wave of less of the first one's variance is made of the others: where a feature has a few values only."""


class Numbers(NamedTuple):
    """The values of one numeric feature, of a reference and of panes together, in slots.

    rows       of the reference and of the panes
    moved      float64[4, SIZES, slots]  ln p/q: shifted up, down, spread wider, narrower
    waves      float64[waves, slots]  orthonormal, of mean 0 over all rows
    variance   float64[waves]         of their factors
    """

    rows: Split
    moved: Array
    waves: Array
    variance: Array

    def likelihoods(self) -> list[Array]:
        """log of the likelihood ratio to no change of a change with each pane, by both sorts: float64[panes] each."""
        return [average(self.rows.tilted(self.moved)), self._smooth()]

    def _smooth(self) -> Array:
        """By Laplace's method, with the likelihood ratio as it is at the expected factors."""
        rows = self.rows
        sums = rows.after @ self.waves.T
        n = (rows.rows * (1.0 - rows.rows / rows.total))[:, None]
        found = []
        for height in HEIGHTS:
            prior = height**2 * self.variance
            factors = sums * prior / (1.0 + n * prior)
            found.append(self._peak(factors, prior) - 0.5 * np.log1p(n * prior).sum(axis=1))
        return average(np.array(found))

    def _peak(self, factors: Array, prior: Array) -> Array:
        """log of likelihood and prior at these factors float64[panes, waves], or nearer to 0 where they are far and that is
        likelier: they are of a quadratic that is far from it there, as where whole numbers have become fractions."""
        ways, cost = factors @ self.waves, 0.5 * (factors**2 / prior).sum(axis=1)
        found = self.rows.tilted_each(ways) - cost
        if (far := np.ptp(ways, axis=1) > FAR).any():
            for part in NEARER:
                nearer = self.rows.of_panes(far).tilted_each(part * ways[far]) - part**2 * cost[far]
                found[far] = np.maximum(found[far], nearer)
        return np.asarray(found)


class Range(NamedTuple):
    """Slots of a numeric feature.

    low, high  of the layout, from `below` to `above`
    starts     int64[slots]  first of them that each slot of `Numbers` has
    """

    low: int
    high: int
    starts: NDArray[np.int64]

    def folded(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows int64[slots of the layout] in the slots of `Numbers`."""
        return np.add.reduceat(counts[self.low : self.high], self.starts)


def range_of(frame: Frame, row: int) -> Range:
    """Where a numeric feature is: FINEST slots or fewer beside `below` and `above`."""
    first, high = frame.layout.start[row : row + 2].tolist()
    low = first + BELOW
    slots = high - low
    inside = np.arange(1, slots - 1, -(-(slots - 2) // FINEST))
    return Range(low, high, np.concatenate([[0], inside, [slots - 1]]))


def numbers(
    frame: Frame, row: int, panes: NDArray[np.int64], seen: NDArray[np.int64], *, is_part: bool
) -> Numbers | None:
    """Of a numeric feature; None where they do not vary, have no moments, or lie too far apart. `is_part`: the frame is of one
    segment.

    panes  int64[panes, slots]  their rows as `Range.folded` has them
    seen   int64[slots of the layout]  of all panes

    What is moved is the distribution of all rows. Moved by part of a bin, the reference alone would be smoother than it is: its
    noise, which is in it and in no pane, would speak for a change.
    """
    own, profile = range_of(frame, row), frame.features[row]
    reference = frame.counts[own.low : own.high]
    whole = frame.counts[own.low - BELOW : own.high] + seen[own.low - BELOW : own.high]
    extremes = np.array([profile.minimum, profile.maximum])
    with np.errstate(all="ignore"):
        profile = of_part(profile, whole) if is_part else profile
        values = column(profile, whole, whole, extremes=extremes, mean=profile.mean, std=profile.std)
        if values is None or not profile.std > 0:
            return None
        q = np.add.reduceat(values.shares, own.starts)
        moved = np.array(
            [(1.0 - LEAK) * values.shifted(a, b) + LEAK * values.shares for a, b in _ways(values)]
        )
        moved = np.add.reduceat(moved, own.starts, axis=1)
        moved = np.log(moved / q).reshape(-1, len(SIZES), len(q))
    if not np.isfinite(moved).all():
        return None
    known = np.add.reduceat(reference + 0.5, own.starts) / profile.design
    rows = split(panes, known, profile.design)
    return Numbers(rows, moved, *_waves(rows.shares))


def _ways(own: Column) -> Iterator[tuple[float, float]]:
    """(a, b) of a·x + b."""
    for sign in (1.0, -1.0):
        for size in SIZES:
            yield 1.0, sign * size * own.profile.std
    for sign in (1.0, -1.0):
        for size in SIZES:
            factor = (1.0 + size) ** sign
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
