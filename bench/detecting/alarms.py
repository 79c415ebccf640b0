"""Alarms of scores, all tools by the same rules: how many are false, and how many are allowed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.detecting.rows import LEAD, NUMERIC

Array = NDArray[np.float64]

DRIFT, MISSING, DEFAULT = range(3)
"""What is known of a feature at a look: two scores, larger is further, and whether it is drift by default."""


def episodes(alarmed: NDArray[np.bool_]) -> int:
    """False alarms of a stream; after one there is none for LEAD looks, until its rows have left every window."""
    count, free = 0, 0
    for look in np.flatnonzero(alarmed).tolist():
        if look >= free:
            count, free = count + 1, look + LEAD
    return count


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Scores that are alarms: of the drift of a number, of a category, and of missing values."""

    number: float
    category: float
    missing: float

    def alarms(self, scores: Array, features: Sequence[int]) -> NDArray[np.bool_]:
        """Features that alarm at each look: scores float64[2 or 3, features, looks]."""
        own = np.array([self.number if one < NUMERIC else self.category for one in features])
        return (scores[DRIFT] > own[:, None]) | (scores[MISSING] > self.missing)


def calibrated(months: Sequence[Array], allowed: float) -> Limits:
    """The lowest limits with at most so many false alarms a month, on the mean of these: scores[3, features, looks].

    All tests share them equally: each limit is exceeded at one and the same share of looks and features.
    """
    pools = [_pool(months, part) for part in (_numbers, _categories, _missing)]
    everyone = range(months[0].shape[1])
    low, high = 0.0, 0.1
    for _ in range(30):
        middle = (low + high) / 2
        limits = Limits(*(_exceeded(pool, middle) for pool in pools))
        false = np.mean([episodes(limits.alarms(one, everyone).any(axis=0)) for one in months])
        low, high = (middle, high) if false <= allowed else (low, middle)
    return Limits(*(_exceeded(pool, low) for pool in pools))


def _pool(months: Sequence[Array], part: Callable[[Array], Array]) -> Array:
    return np.sort(np.concatenate([part(one).ravel() for one in months]))


def _numbers(scores: Array) -> Array:
    return scores[DRIFT, :NUMERIC]


def _categories(scores: Array) -> Array:
    return scores[DRIFT, NUMERIC:]


def _missing(scores: Array) -> Array:
    return scores[MISSING]


def _exceeded(pool: Array, level: float) -> float:
    """What at most that share of the pool lies above: between two of its scores, where they are so few."""
    at = np.clip((1.0 - level) * len(pool) - 0.5, 0, len(pool) - 1)
    return float(np.interp(at, np.arange(len(pool)), pool))
