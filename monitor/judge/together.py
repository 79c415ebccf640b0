"""Whether windows move with those before them.

A rank among W windows proves a budget where a live window could as well stand in the place of any of them. Where each
moves as the one before, W of them know less: as much as W divided by 1 + 2 Σ ρ, the sum of the autocorrelation of M
over the lags at which it shows (the variance of a mean, Bartlett 1946). M is taken by its ranks, which one outlier
moves little, and without the course of the day, which live windows have, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.plan import WindowSpec

DAY = 86_400_000
SURE = 3.0
"""Standard errors beyond which the first lag is no chance: one reference in 700 is doubted for nothing."""
DAYS = 7
"""Days from which on the course of a day is known: taken out of fewer it would take what is looked for along."""
LEAST = 30
"""Windows without which an autocorrelation says nothing."""


def together(m: NDArray[np.float64], starts: NDArray[np.int64], spec: WindowSpec) -> float:
    """How many windows know as much as one that moves by itself; 1 where nothing shows that they move together.

    m       float64[windows]  the largest x of each window of the reference
    starts  int64[windows]    when they start, ascending
    Windows that share rows are no evidence: lags are multiples of the size of a window.
    """
    if len(m) < LEAST:
        return 1.0
    apart = spec.overlap + 1
    moved = _moved(m, starts, spec)
    error = (apart / len(m)) ** 0.5
    total, lag = 0.0, apart
    while (found := _correlation(moved, lag)) > (SURE * error if lag == apart else error):
        total, lag = total + found, lag + apart
    return 1.0 + 2.0 * total


def _moved(m: NDArray[np.float64], starts: NDArray[np.int64], spec: WindowSpec) -> NDArray[np.float64]:
    """Ranks about their mean, of the time of day where it is known, on the grid of the windows; NaN where none is."""
    from scipy.stats import rankdata

    ranks = rankdata(m) - (len(m) + 1) / 2
    if spec.step < DAY and int(starts[-1] - starts[0]) >= (DAYS - 1) * DAY:
        _, hour = np.unique(starts % DAY, return_inverse=True)
        ranks -= (np.bincount(hour, ranks) / np.bincount(hour))[hour]
    place = np.rint((starts - starts[0]) / spec.step).astype(np.int64)
    grid = np.full(int(place[-1]) + 1, np.nan)
    grid[place] = ranks
    return grid


def _correlation(moved: NDArray[np.float64], lag: int) -> float:
    products = moved[:-lag] * moved[lag:]
    known = np.isfinite(products)
    spread = float(np.nanmean(moved**2))
    return float(products[known].mean()) / spread if known.sum() >= LEAST and spread > 0 else 0.0
