"""How two references of a model differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, OTHER
from monitor.plan import Kind
from monitor.reference.paths import format_path
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.summary import feature_counts


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """One feature that both references have.

    psi      population stability index of the present values, over the first one's coarse view
             or categories, with half a row added to every share; NaN for vectors, and when kinds
             differ or one of them has no values
    missing  difference of the shares of missing values, second minus first
    changes  what differs in the meaning of the counts: kind, path, edges, categories
    """

    name: str
    psi: float
    missing: float
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """`features` in falling order of PSI, then by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    features: tuple[FeatureDifference, ...]

    def drifted(self, limit: float) -> tuple[str, ...]:
        """Features that moved by more than `limit`, in PSI or in the share of missing values."""
        return tuple(one.name for one in self.features if one.psi > limit or abs(one.missing) > limit)


def compare(first: Reference, second: Reference) -> Difference:
    """What changed from the first reference to the second."""
    before = {profile.name: (profile, counts) for profile, counts in feature_counts(first)}
    after = {profile.name: (profile, counts) for profile, counts in feature_counts(second)}
    both = [
        _feature(before[name], after[name], rows=(first.rows, second.rows))
        for name in before
        if name in after
    ]
    return Difference(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        features=tuple(sorted(both, key=lambda one: (math.isnan(one.psi), -one.psi, one.name))),
    )


_Side = tuple[FeatureProfile, NDArray[np.int64]]


def _feature(before: _Side, after: _Side, *, rows: tuple[int, int]) -> FeatureDifference:
    (old, old_counts), (new, new_counts) = before, after
    missing = new_counts[MISSING] / max(rows[1], 1) - old_counts[MISSING] / max(rows[0], 1)
    return FeatureDifference(
        name=old.name,
        psi=_psi(before, after),
        missing=float(missing),
        changes=tuple(_changes(old, new)),
    )


def _changes(old: FeatureProfile, new: FeatureProfile) -> list[str]:
    changes = []
    if old.kind is not new.kind:
        changes.append(f"kind {old.kind} -> {new.kind}")
    if old.path != new.path:
        changes.append(f"path {format_path(old.path)} -> {format_path(new.path)}")
    if old.kind is new.kind is Kind.NUMERIC and not np.array_equal(old.edges, new.edges):
        changes.append("edges")
    lengths = [one.vector.length if one.vector is not None else 0 for one in (old, new)]
    if old.kind is new.kind and lengths[0] != lengths[1]:
        changes.append(f"length {lengths[0]} -> {lengths[1]}")
    if old.members != new.members:
        changes.append(f"members {', '.join(old.members) or 'none'} -> {', '.join(new.members) or 'none'}")
    lost, found = (len({*a.categories} - {*b.categories}) for a, b in ((old, new), (new, old)))
    if old.kind is new.kind and (lost or found):
        changes.append(f"categories +{found} -{lost}")
    return changes


def _psi(before: _Side, after: _Side) -> float:
    (old, old_counts), (new, new_counts) = before, after
    if Kind.VECTOR in {old.kind, new.kind}:
        return math.nan
    if (old.kind is Kind.NUMERIC) != (new.kind is Kind.NUMERIC):
        return math.nan
    shares = _numeric_shares if old.kind is Kind.NUMERIC else _category_shares
    p, q = shares(old, old_counts, new, new_counts)
    if p.sum() == 0 or q.sum() == 0:
        return math.nan
    p, q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()
    return float(np.sum((p - q) * np.log(p / q)))


def _numeric_shares(
    old: FeatureProfile, old_counts: NDArray[np.int64], new: FeatureProfile, new_counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows per coarse group of the first one, with one group each below and above it."""
    inner = np.flatnonzero(np.diff(old.coarse.astype(np.int64))) + 1
    cuts = np.concatenate([old.edges[:1], old.edges[inner], old.edges[-1:]])

    def rows(profile: FeatureProfile, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        below = np.concatenate([[0.0], np.cumsum(counts[FIRST_BIN:-1])])
        at = np.interp(cuts, profile.edges, below)
        return np.concatenate([[at[0]], np.diff(at), [below[-1] - at[-1], counts[NON_FINITE]]])

    return rows(old, old_counts), rows(new, new_counts)


def _category_shares(
    old: FeatureProfile, old_counts: NDArray[np.int64], new: FeatureProfile, new_counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows per category that either has, and of those without a slot."""
    names = sorted({*old.categories, *new.categories})

    def rows(profile: FeatureProfile, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        of = dict(zip(profile.categories, counts[FIRST_BIN:].tolist(), strict=True))
        rest = int(counts[OTHER]) + int(counts[NON_FINITE])
        return np.array([*(of.get(name, 0) for name in names), rest], np.float64)

    return rows(old, old_counts), rows(new, new_counts)
