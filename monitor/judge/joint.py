"""Groups: numeric features whose values are compared together, for changes that none of them shows alone.

A group is a vector made of columns, and the square of the distance of its mean vectors of random Fourier
features, d², is compared with what sampling does to it. With C the covariance of the Fourier features and
k = 1/n + 1/m, d²/k is under no change a sum of independent chi-squares of one degree of freedom, weighted by
the eigenvalues of C. Its tail is nearly that of the chi-square variable with the same mean, variance and
kurtosis (Liu, Tang and Zhang 2009, as modified by Lee, Wu and Lin 2012): y = df + slope · (d²/k − tr C), with
df = (tr C²)² / tr C⁴ and slope = √(tr C² / tr C⁴); exceeded 0.95–1.03 times the nominal 1 % and 1.1–1.3 times
the nominal 1e-5. The traces are frozen with the reference.

A change of the density by a factor 1 + h moves the mean vector by at most λ · E h², squared, where λ, the largest
eigenvalue of C, is about 1 / slope, and E h² is the PSI of the change. So k · y is in units of PSI, as it is of
psi: the least PSI, beyond noise, that moves the mean vector so far. Tolerances are in these units too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernels.layout import PRESENT, Layout
from monitor.reference.profile import FeatureProfile

if TYPE_CHECKING:
    from monitor.judge.frame import Frame

Array = NDArray[np.float64]

LEAST = 50
"""Complete rows on either side below which mean vectors are not near normal."""
FOURIER_UNIT = 2.0**20
"""Sums of Fourier features are kept in 2**-20."""


@dataclass(frozen=True, slots=True)
class Joint:
    """A group that votes.

    feature  its number among the features; `members`: those of its features
    words    where its Fourier features stand among the mean words
    null     first cumulant, slope and degrees of freedom
    """

    name: str
    feature: int
    members: tuple[int, ...]
    words: slice
    null: tuple[float, float, float]


def joints_of(features: Sequence[FeatureProfile], layout: Layout, groups: Sequence[str]) -> tuple[Joint, ...]:
    """Those of `groups` that the reference knows the null of: not of its segments, nor where all rows are one."""
    place = {profile.name: i for i, profile in enumerate(features)}
    found, low, frequencies = [], 0, len(layout.vectors.waves)
    for feature, profile in enumerate(features):
        if profile.vector is None:
            continue
        first, high = low + profile.vector.length, low + profile.vector.length + frequencies
        low = high
        if profile.name in groups and any(profile.vector.traces):
            members = tuple(place[name] for name in profile.members)
            one, two, four = profile.vector.traces
            null = (one, (two / four) ** 0.5, two**2 / four)
            found.append(Joint(profile.name, feature, members, slice(first, high), null))
    return tuple(found)


def distances(
    counts: NDArray[np.int64], means: NDArray[np.int64] | None, frame: Frame, *, left: int
) -> Array:
    """d², and rows n and m that are complete: float64[windows, joints, 3]; zeros where there are none.

    Arguments as those of `monitor.judge.vectors.vector_scores`.
    """
    out = np.zeros((len(counts), len(frame.joints), 3))
    if means is None:
        return out
    for at, joint in enumerate(frame.joints):
        slot = int(frame.layout.start[joint.feature]) + PRESENT
        n = counts[:, slot].astype(np.float64)
        m = float(frame.counts[slot]) - left * n
        here, total = means[:, joint.words], frame.means[joint.words]
        known = (n > 0) & (m > 0)
        apart = here[known] / n[known, None] - (total - left * here[known]) / m[known, None]
        out[known, at, 0] = np.sum((apart / FOURIER_UNIT) ** 2, axis=1)
        out[:, at, 1], out[:, at, 2] = n, np.maximum(m, 0.0)
    return out


def nearly_chi(square: Array, k: Array, joints: Sequence[Joint]) -> tuple[Array, Array]:
    """y of d², where k is above 0, and its degrees of freedom: float64[..., joints], float64[joints]."""
    first, slope, df = np.array([one.null for one in joints], np.float64).reshape(-1, 3).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(df + slope * (square / k - first), 0.0), df


def plain_scores(found: Array, joints: Sequence[Joint]) -> Array:
    """k · y of all rows, as `distances` has them: float64[windows, joints]; 0 where there are none."""
    square, n, m = np.moveaxis(found, 2, 0)
    k = variance(n, m)
    return np.where(k > 0, k * nearly_chi(square, k, joints)[0], 0.0)


def variance(n: Array, m: Array) -> Array:
    """k = 1/n + 1/m; 0 where either is 0."""
    with np.errstate(divide="ignore"):
        k = 1.0 / n + 1.0 / m
    return np.where(np.isfinite(k), k, 0.0)
