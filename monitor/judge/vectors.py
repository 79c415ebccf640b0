"""How far the vectors of windows lie from those of the reference.

mmd: the distance between the mean vectors of random Fourier features, which estimates the maximum mean
discrepancy of the two samples under a Gaussian kernel (Rahimi and Recht 2007; Gretton et al. 2012). Of
its square, what sampling alone adds is subtracted: a feature vector has length 1, so the mean of n of
them lies (1 - |mean|²) / n from the true mean, squared and on average.

mean_shift: the largest difference of the means of one dimension, in its standard deviations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.layout import PRESENT, SUM_SCALE, VECTOR
from monitor.judge import catalogue as names
from monitor.judge.frame import Frame
from monitor.judge.joint import FOURIER_UNIT

Array = NDArray[np.float64]

COLUMNS = names.VECTOR_SCORES
"""What `vector_scores` writes of each vector feature."""


def vector_scores(counts: NDArray[np.int64], means: NDArray[np.int64], frame: Frame, *, left: int) -> Array:
    """Scores of every vector feature: float64[windows, vectors, COLUMNS], NaN where there are no vectors.

    counts  int64[windows, slots]
    means   int64[windows, mean words]   see `monitor.reference.vector.mean_words`
    left    1: the windows are part of the reference and left out of it one by one; else 0
    """
    of = frame.layout.vectors
    out = np.full((len(counts), of.count, len(COLUMNS)), np.nan)
    low = 0
    for own, feature in enumerate(np.flatnonzero(frame.layout.kind == VECTOR).tolist()):
        length = int(of.dim_start[own + 1] - of.dim_start[own])
        high = low + length + len(of.waves)
        slot = int(frame.layout.start[feature]) + PRESENT
        n = counts[:, slot].astype(np.float64)
        m = float(frame.counts[slot]) - left * n
        total = frame.means[low:high]
        with np.errstate(divide="ignore", invalid="ignore"):
            here = means[:, low:high] / n[:, None]
            there = (total - left * means[:, low:high]) / m[:, None]
            k = 1.0 / n + 1.0 / m
        known = (n > 0) & (m > 0)
        shift = np.abs(here[:, :length] - there[:, :length]) / (SUM_SCALE * frame.spreads[own])
        shift, there, apart = shift[known], there[known, length:], (here - there)[known, length:]
        out[known, own] = _columns(shift, there / FOURIER_UNIT, apart / FOURIER_UNIT, k[known])
        low = high
    return out


def _columns(shift: Array, there: Array, apart: Array, k: Array) -> Array:
    """float64[windows, COLUMNS]; k is 1/n + 1/m."""
    noise = np.maximum(1.0 - np.sum(there * there, axis=1), 0.0) * k
    square = np.sum(apart * apart, axis=1) - noise
    most = np.sqrt(2.0 * np.log(2.0 * shift.shape[1]) * k)  # of so many independent normal errors
    dimension = shift.argmax(axis=1).astype(np.float64)
    return np.stack(
        [np.sqrt(np.maximum(square, 0.0)), np.sqrt(noise), shift.max(axis=1), most, dimension], axis=1
    )
