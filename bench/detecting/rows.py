"""Rows with and without a change, the same for everybody.

Fifteen numeric features, standard normal, and five of twelve categories; all are independent, and each is missing in
2 % of the rows. A row is a column of float64[FEATURES, rows]; NaN is missing, categories are their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SOURCE = "bench/detecting/rows.py"
NUMERIC, CATEGORICAL = 15, 5
FEATURES = NUMERIC + CATEGORICAL
NAMES = tuple(f"n{i}" for i in range(NUMERIC)) + tuple(f"c{i}" for i in range(CATEGORICAL))
CATEGORIES = 12
MISSING = 0.02
SHARES = (1.0 + np.arange(CATEGORIES)) ** -1.0
SHARES /= SHARES.sum()
EVERY = 100
"""Rows between two looks."""
REFERENCE = 128 * EVERY
LEAD = 8
"""Looks of the longest window: as many at least come before a change, and its phase is drawn among as many."""
WATCHED = 30
"""Looks that a change is watched for."""
RAMP = 800
"""Rows in which a gradual change is complete."""


class Change(NamedTuple):
    """What happens to one feature. `apply` takes its values from the change on, and a source of randomness."""

    name: str
    feature: int
    apply: Callable[[Array, np.random.Generator], Array]


def reference(seed: int) -> Array:
    return _rows(np.random.default_rng((seed, 0)), REFERENCE)


def calm(seed: int, looks: int) -> Array:
    """Rows without a change."""
    return _rows(np.random.default_rng((seed, 1)), looks * EVERY)


def onset(seed: int) -> int:
    """Row that a change begins with: anywhere in a look, and in the longest window."""
    return LEAD * EVERY + int(np.random.default_rng((seed, 2)).integers(LEAD * EVERY))


def changed(seed: int, change: Change) -> Array:
    """Rows of which one feature changes at `onset`, watched for WATCHED looks; all else is as without it."""
    begin = onset(seed)
    rows = _rows(np.random.default_rng((seed, 3)), (begin // EVERY + WATCHED) * EVERY)
    rng = np.random.default_rng((seed, 4))
    rows[change.feature, begin:] = change.apply(rows[change.feature, begin:], rng)
    return rows


def _rows(rng: np.random.Generator, count: int) -> Array:
    found = np.empty((FEATURES, count))
    found[:NUMERIC] = rng.normal(size=(NUMERIC, count))
    found[NUMERIC:] = rng.choice(CATEGORIES, size=(CATEGORICAL, count), p=SHARES)
    found[rng.random(found.shape) < MISSING] = np.nan
    return found


def _two_peaks(values: Array, rng: np.random.Generator) -> Array:
    """Two peaks with the mean and the variance of one."""
    side = rng.choice((-PEAK, PEAK), size=len(values))
    return side + np.sqrt(1.0 - PEAK**2) * values


def _gone(values: Array, rng: np.random.Generator) -> Array:
    share = (MISSED - MISSING) / (1.0 - MISSING)
    return np.where(rng.random(len(values)) < share, np.nan, values)


def _drawn_anew(values: Array, rng: np.random.Generator) -> Array:
    shares = SHARES * np.exp(TILT * np.linspace(-1.0, 1.0, CATEGORIES))
    drawn = rng.choice(CATEGORIES, size=len(values), p=shares / shares.sum())
    return np.where(np.isnan(values), np.nan, drawn)


def _moving(values: Array, _: np.random.Generator) -> Array:
    return values + 2 * SHIFT * np.minimum(np.arange(len(values)) / RAMP, 1.0)


SHIFT, SPREAD, PEAK, MISSED, TILT = 0.32, 1.29, 0.828, 0.086, 0.51
"""Each a PSI of about 0.1, which is where the rule of thumb begins to speak of a moderate change."""
CHANGES = (
    Change("location", 0, lambda values, _: values + SHIFT),
    Change("scale", 0, lambda values, _: values * SPREAD),
    Change("shape", 0, _two_peaks),
    Change("missing values", 0, _gone),
    Change("categories", NUMERIC, _drawn_anew),
    Change("gradual location", 0, _moving),
)
