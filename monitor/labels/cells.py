"""What the join of labels leaves of the predictions of a cohort: integer counts that add up.

A cohort is the predictions of a span of event time, a version and a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Array = NDArray[np.float64]

BINS = 256
HALF = BINS // 2
"""The first bin of positive predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """Scores and labels 0 and 1.

    counts     int64[BINS, 2]  score bin and label
    sums       int64[3]        of score, (score - label)² and log loss of the labelled rows, in 2**-20
    predicted  int64[BINS]     all predictions, labelled or not
    """

    threshold: float
    counts: Counts
    sums: Counts
    predicted: Counts
    predictions: int

    @property
    def labelled(self) -> int:
        return int(self.counts.sum())

    def merged(self, other: Binary) -> Binary:
        """Both cohorts together; ValueError where their bins differ."""
        if self.threshold != other.threshold:
            raise ValueError(f"bins differ: thresholds {self.threshold} and {other.threshold}")
        return Binary(
            self.threshold, self.counts + other.counts, self.sums + other.sums,
            self.predicted + other.predicted, self.predictions + other.predictions,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Multiclass:
    """counts int64[classes + 1, classes + 1]: predicted class and label; the last of each is any other class."""

    counts: Counts
    predictions: int

    @property
    def labelled(self) -> int:
        return int(self.counts.sum())

    def merged(self, other: Multiclass) -> Multiclass:
        return Multiclass(self.counts + other.counts, self.predictions + other.predictions)


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """sums int64[6] of the labelled rows: 1, q, |q|, (q >> 8)², p, (p >> 8)².

    q is (prediction - label) / scale in 2**-16, clipped to ±2**26, p the label in the same way.
    """

    scale: float
    sums: Counts
    predictions: int

    @property
    def labelled(self) -> int:
        return int(self.sums[0])

    def merged(self, other: Regression) -> Regression:
        """Both cohorts together; ValueError where their units differ."""
        if self.scale != other.scale:
            raise ValueError(f"units differ: scales {self.scale} and {other.scale}")
        return Regression(self.scale, self.sums + other.sums, self.predictions + other.predictions)


def bin_edges(threshold: float) -> Array:
    """Ends of the score bins, float64[BINS + 1]: HALF even ones below the threshold, HALF from it on."""
    below = np.linspace(0.0, threshold, HALF + 1)
    return np.concatenate([below, np.linspace(threshold, 1.0, HALF + 1)[1:]])
