"""The values of one numeric feature as counts of both sides, and what moving the reference's makes of its shares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, FIRST_BIN
from monitor.reference.profile import FeatureProfile

Array = NDArray[np.float64]

LEAK = 1e-3
"""Share of rows that a way of changing need not explain: one odd row must not cost it the likelihood of zero."""
MOSTLY = 0.8
"""Share of the values in atoms from which on whole numbers are taken for all that there are."""
FEW = 16
SAME = 1e-9
"""Two values that differ by less, relative to their size, are one: a·x is not exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The finite values of one numeric feature in a window and in the reference.

    counts  float64[bins + 2]  rows of the window: below, bins, above
    shares  float64[bins + 2]  of the reference, none of them 0
    weight  what a row's log-likelihood counts
    low, high, mean, std  of the window; of the reference they are in `profile`
    """

    profile: FeatureProfile
    counts: Array
    shares: Array
    weight: float
    low: float
    high: float
    mean: float
    std: float
    m: float
    """Rows of the reference."""
    wholes: Array
    """What `_wholes` makes of the reference."""

    @property
    def rows(self) -> float:
        return float(self.counts.sum())

    @property
    def outside(self) -> float:
        """Share of the window's values that lie beyond the reference's."""
        return float(self.counts[0] + self.counts[-1]) / self.rows

    def usual(self, slot: int) -> float:
        """The reference's own share, which may be 0."""
        whole = self.m + 0.5 * len(self.shares)
        return max(float(self.shares[slot] * whole - 0.5) / self.m, 0.0)

    def gain(self, shares: Array) -> Array:
        """Log-likelihood ratio of shares float64[..., bins + 2] to the reference's."""
        mixed = (1.0 - LEAK) * shares + LEAK * self.shares
        return np.asarray(self.weight * (np.log(mixed / self.shares) @ self.counts))

    def moved(self, a: float, b: float) -> Array:
        """Shares of a·x + b, x being a value of the reference, uniform inside a bin."""
        edges = self.profile.edges
        mass = self.shares[1:-1] / self.shares[1:-1].sum()
        ends = a * edges + b
        if a < 0:
            ends, mass = ends[::-1], mass[::-1]
        is_point = np.diff(ends) <= SAME * (
            np.maximum(np.abs(ends[1:]), np.abs(ends[:-1])) + self.profile.std
        )
        spread = np.concatenate([[0.0], np.cumsum(np.where(is_point, 0.0, mass))])
        above = np.interp(edges, ends, spread)
        out = np.diff(np.concatenate([[0.0], above, [spread[-1]]]))
        np.add.at(out, self._slots(ends[:-1][is_point]), mass[is_point])
        return out

    def shifted(self, a: float, b: float) -> Array:
        """As `moved`; but whole numbers stay whole: one between two of them stands for both, by how near they are."""
        if self.wholes.size == 0:
            return self.moved(a, b)
        points = a * self.wholes[0] + b
        low = np.floor(points + SAME)
        up = np.clip(points - low, 0.0, 1.0)
        out = np.zeros(len(self.counts))
        np.add.at(out, self._slots(low), self.wholes[1] * (1.0 - up))
        np.add.at(out, self._slots(low + 1.0), self.wholes[1] * up)
        return out

    def _slots(self, values: Array) -> NDArray[np.intp]:
        """Places in `shares` of some values; one that is next to an edge is that edge."""
        edges, room = self.profile.edges, SAME * np.abs(values)
        first = np.searchsorted(edges, values - room, side="left")
        at = edges[np.minimum(first, len(edges) - 1)]
        return np.asarray(first + ((first < len(edges)) & (at <= values + room)), np.intp)


def column(
    profile: FeatureProfile,
    window: NDArray[np.int64],
    reference: NDArray[np.int64],
    *,
    extremes: Array,
    mean: float,
    std: float,
) -> Column | None:
    """From the slots of one numeric feature; None where one side has no finite value, or no moments."""
    counts, theirs = window[BELOW:].astype(np.float64), reference[BELOW:].astype(np.float64)
    n, m = counts.sum(), theirs.sum()
    known = np.isfinite([mean, std, profile.mean, profile.std]).all() and np.isfinite(extremes).all()
    if n == 0 or m == 0 or not known:
        return None
    shares = (theirs + 0.5) / (m + 0.5 * len(theirs))
    weight = 1.0 / (profile.design * (1.0 + n / m))
    wholes = _wholes(profile.edges, shares[1:-1])
    return Column(
        profile, counts, shares, weight, float(extremes[0]), float(extremes[1]), mean, std, float(m), wholes
    )


def of_part(profile: FeatureProfile, reference: NDArray[np.int64]) -> FeatureProfile:
    """The profile with the moments of some of its rows, as far as their slots tell."""
    mass = reference[FIRST_BIN:-1].astype(np.float64)
    if mass.sum() == 0:
        return profile
    edges, share = profile.edges, mass / mass.sum()
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    mean = float(share @ middle)
    std = float(np.sqrt(max(share @ (middle**2 + width**2 / 12.0) - np.square(mean), 0.0)))
    below = np.concatenate([[0.0], np.cumsum(share)])
    low, center, high = (float(np.interp(q, below, edges)) for q in (0.25, 0.5, 0.75))
    return replace(profile, mean=mean, std=std, center=center, iqr=high - low)


def _wholes(edges: Array, shares: Array) -> Array:
    """float64[2, values]: values and shares of a feature of whole numbers; empty for any other.

    The atoms tell. In a wider bin at most FEW numbers stand for all.
    """
    is_atom = np.diff(edges) <= SAME * np.maximum(np.abs(edges[1:]), 1.0)
    values, mass = edges[:-1], shares / shares.sum()
    if mass[is_atom].sum() < MOSTLY or not (values[is_atom] == np.round(values[is_atom])).all():
        return np.empty((2, 0))
    found = []
    for low, high, share in zip(np.ceil(edges[:-1]), edges[1:], mass, strict=True):
        inside = (
            np.unique(np.round(np.linspace(low, np.ceil(high) - 1.0, FEW))) if high > low else np.empty(0)
        )
        inside = inside if len(inside) else np.array([low])
        found.append(np.stack([inside, np.full(len(inside), share / len(inside))]))
    return np.concatenate(found, axis=1)
