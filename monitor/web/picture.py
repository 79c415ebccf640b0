"""Two distributions side by side: the bars of a feature in the reference and in a window."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, FIRST_BIN, MISSING, NON_FINITE, NOVEL, OTHER
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile
from monitor.view import ModelView

CATEGORIES_SHOWN = 12
"""More bars than this are not read; the rest joins `other`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One slot, or a group of slots; shares of all rows. `special` stands beside the values."""

    label: str
    reference: float
    window: float
    special: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """One feature's slots: what they mean and how often they were hit. `window` is empty if there is none."""

    profile: FeatureProfile
    reference: NDArray[np.int64]
    window: NDArray[np.int64]

    def labels(self) -> list[str]:
        """One name per slot."""
        if self.profile.kind is Kind.VECTOR:
            return ["missing", _partial(self.profile), "unused", *self.profile.labels]
        if self.profile.kind is not Kind.NUMERIC:
            return ["missing", "novel", "other", *self.profile.categories]
        edges = [f"{edge:.6g}" for edge in self.profile.edges]
        bins = [f"[{low}, {high})" for low, high in itertools.pairwise(edges)]
        return ["missing", "non-finite", f"below {edges[0]}", *bins, f"from {edges[-1]}"]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.profile.kind,
            "labels": self.labels(),
            "edges": self.profile.edges.tolist(),
            "reference": self.reference.tolist(),
            "window": self.window.tolist(),
        }

    def bars(self) -> tuple[Bar, ...]:
        """What is drawn: coarse groups of a number, the commonest categories; empty specials left out."""
        before, after = _shares(self.reference), _shares(self.window)
        if len(after) == 0:
            after = np.zeros_like(before)
        if self.profile.kind is Kind.NUMERIC:
            return _numeric(self.profile, before, after)
        return _categorical(self.profile, before, after)


def counts_of(model: ModelView, feature: str, window: str) -> Counts | None:
    """The slots of one feature; None when the reference does not know it."""
    if model.reference is None:
        return None
    start = 0
    merged = model.windows.get(window)
    for profile in model.reference.features:
        stop = start + profile.slots
        if profile.name == feature:
            now = merged.counts[start:stop] if merged is not None else np.empty(0, np.int64)
            return Counts(profile, model.reference.counts[start:stop], now)
        start = stop
    return None


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / max(int(counts.sum()), 1)


def _special(
    name: str, slot: int, before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[Bar, ...]:
    bar = Bar(name, float(before[slot]), float(after[slot]), special=True)
    return (bar,) if bar.reference or bar.window else ()


def _partial(profile: FeatureProfile) -> str:
    """What the second slot of a vector holds: of a group also rows in which some, not all, members are missing."""
    return "incomplete" if profile.members else "non-finite"


def _numeric(
    profile: FeatureProfile, before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[Bar, ...]:
    bins = slice(FIRST_BIN, FIRST_BIN + len(profile.coarse))
    groups = int(profile.coarse.max()) + 1 if len(profile.coarse) else 0
    old = np.bincount(profile.coarse, before[bins], groups)
    new = np.bincount(profile.coarse, after[bins], groups)
    first = np.searchsorted(profile.coarse, np.arange(groups))
    last = np.append(first[1:], len(profile.coarse))
    values = [
        Bar(f"{profile.edges[low]:.4g} to {profile.edges[high]:.4g}", float(a), float(b))
        for low, high, a, b in zip(first, last, old, new, strict=True)
    ]
    return (
        *_special("missing", MISSING, before, after),
        *_special("non-finite", NON_FINITE, before, after),
        *_special(f"below {profile.edges[0]:.4g}", BELOW, before, after),
        *values,
        *_special(f"from {profile.edges[-1]:.4g}", len(before) - 1, before, after),
    )


def _categorical(
    profile: FeatureProfile, before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[Bar, ...]:
    largest = np.maximum(before, after)[FIRST_BIN:]
    shown = np.sort(np.argsort(-largest, kind="stable")[:CATEGORIES_SHOWN])
    values = [
        Bar(profile.labels[i], float(before[FIRST_BIN + i]), float(after[FIRST_BIN + i])) for i in shown
    ]
    rest = np.setdiff1d(np.arange(len(largest)), shown) + FIRST_BIN
    other = Bar(
        "other",
        float(before[OTHER] + before[rest].sum()),
        float(after[OTHER] + after[rest].sum()),
        special=True,
    )
    return (
        *_special("missing", MISSING, before, after),
        *_special(_partial(profile) if profile.kind is Kind.VECTOR else "novel", NOVEL, before, after),
        *values,
        *((other,) if other.reference or other.window else ()),
    )
