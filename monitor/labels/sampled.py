"""Sums of predictions that were sampled by their id, 1 in 2**level of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Parts = Mapping[int, NDArray[np.int64]]
"""Level → sums, as `kernels.join.width_of` has them."""


def pooled(parts: Parts, width: int) -> NDArray[np.int64]:
    """Sums that say as much as all parts together, each prediction standing for as many as its sample leaves out.

    They hold as many labels as an even sample of the same precision would: those of one part as they are; of several
    (sum of w n)^2 / sum of w^2 n, where n labels of a part stand for w each, so that the bounds around figures are honest.
    """
    own = {level: sums for level, sums in parts.items() if sums[-2]}
    if len(own) < 2:
        return next(iter(own.values()), np.zeros(width, np.int64))
    column = -1 if any(sums[-1] for sums in own.values()) else -2
    weights = {level: float(1 << level) for level in own}
    stands = sum(weights[level] * int(sums[column]) for level, sums in own.items())
    squared = sum(weights[level] ** 2 * int(sums[column]) for level, sums in own.items())
    total = np.sum([weights[level] * sums for level, sums in own.items()], axis=0)
    found: NDArray[np.int64] = np.rint(total * (stands / squared)).astype(np.int64)
    return found


def stands_for(parts: Parts) -> int:
    """How many predictions there were, about."""
    return sum(int(sums[-2]) << level for level, sums in parts.items())


def kept(parts: Parts) -> tuple[int, int]:
    """Predictions and labels that were counted."""
    return sum(int(sums[-2]) for sums in parts.values()), sum(int(sums[-1]) for sums in parts.values())
