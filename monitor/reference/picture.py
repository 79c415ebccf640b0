"""The shape of a feature's distribution, for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, LATENCY_BINS, LATENCY_GAMMA, LATENCY_MIN_MS
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile

BLOCKS = " ▁▂▃▄▅▆▇█"
TRIMMED = 0.005
"""Mass left out at either end of the axis of a picture; one outlier must not flatten the rest."""


def share_by_interval(
    profile: FeatureProfile, counts: NDArray[np.int64], *, columns: int
) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """The ends of the axis, and the share of the present values in each of its equal parts.

    There are `columns` parts; of integers at most so many, as each part holds equally many.

    counts  int64[slots] of this numeric feature. A bin's rows are spread evenly over it; an atom
    counts where it lies. All zero when there are no values.
    """
    mass = counts[FIRST_BIN:-1].astype(np.float64)
    total = mass.sum()
    if total == 0:
        return (0.0, 1.0), np.zeros(columns)
    below = np.concatenate([[0.0], np.cumsum(mass)]) / total
    # the smallest and largest bins within the trimmed mass: the axis begins and ends at an edge
    first = int(np.searchsorted(below, TRIMMED, side="right")) - 1
    last = int(np.searchsorted(below, 1 - TRIMMED, side="left"))
    low, high = float(profile.edges[max(first, 0)]), float(profile.edges[min(last, len(mass))])
    axis = np.linspace(low, high, columns + 1)
    if _is_whole(profile.edges) and high - low < 1e15:
        # parts of unequal numbers of integers would draw a comb
        step = max(1.0, np.ceil((high - low) / columns))
        axis = np.floor(low) + step * np.arange(np.ceil((high - np.floor(low)) / step) + 1)
    return (low, high), np.diff(np.interp(axis, profile.edges, below, right=1.0))


def _is_whole(edges: NDArray[np.float64]) -> bool:
    """Whether the edges are those of integers, the ends of atoms aside."""
    whole = edges == np.floor(edges)
    return bool((whole[1:] | whole[:-1]).all())


def bars(shares: Sequence[float] | NDArray[np.float64]) -> str:
    """One character per share, the largest a full block; what is above 0 is never blank."""
    largest = max(shares, default=0.0)
    if largest <= 0:
        return BLOCKS[0] * len(shares)
    steps = len(BLOCKS) - 1
    return "".join(
        BLOCKS[max(1, round(share / largest * steps))] if share > 0 else BLOCKS[0] for share in shares
    )


def top_categories(profile: FeatureProfile, counts: NDArray[np.int64], *, most: int) -> list[tuple[str, int]]:
    """The most frequent categories with their rows, by falling count; the rest is left out."""
    pairs = zip(profile.labels, counts[FIRST_BIN:].tolist(), strict=True)
    return sorted((pair for pair in pairs if pair[1]), key=lambda pair: (-pair[1], pair[0]))[:most]


def quantile(profile: FeatureProfile, counts: NDArray[np.int64], level: float) -> float | None:
    """A quantile of a numeric feature, linear inside a bin; None without values."""
    mass = counts[FIRST_BIN:-1].astype(np.float64)
    if profile.kind is not Kind.NUMERIC or mass.sum() == 0:
        return None
    below = np.concatenate([[0.0], np.cumsum(mass)])
    return float(np.interp(level * mass.sum(), below, profile.edges))


def latency_quantile(latency: NDArray[np.int64], level: float) -> float | None:
    """A latency quantile in milliseconds, within 1 %; None without latencies.

    latency  int64[LATENCY_BINS]; bin 0 counts rows without one
    """
    present = latency[1:]
    rows = int(present.sum())
    if rows == 0:
        return None
    found = 1 + int(np.searchsorted(np.cumsum(present), max(1, np.ceil(level * rows))))
    # bin i holds (gamma^(i - 2), gamma^(i - 1)] times the smallest; see `kernels.latency`
    upper = LATENCY_MIN_MS * LATENCY_GAMMA ** (min(found, LATENCY_BINS - 2) - 1)
    return float(upper if found == 1 else 2 * upper / (LATENCY_GAMMA + 1))
