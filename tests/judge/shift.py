"""How often ks finds a small shift of the mean, against references that it was not drawn with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from kernels.layout import BELOW, LATENCY_BINS
from monitor.judge.extract import Counts, extract
from tests.judge.layouts import Layout, quantiles, seeded, world
from tests.judge.rates import weighed

LEVEL = 0.01
FEATURES, WINDOWS = 20, 50
BETWEEN = Layout("256 bins between the reference's quantiles", "psi", quantiles(256))


class Power(NamedTuple):
    """`found` of `windows` windows of n rows whose mean is `sigma` standard deviations away, each of a normal
    feature that has a reference of m rows; and what psi found of the same."""

    sigma: float
    n: int
    m: int
    windows: int
    found: int
    psi: int

    @property
    def limits(self) -> tuple[float, float]:
        """99 % confidence limits of ks's share (Clopper and Pearson)."""
        low = beta.ppf(0.005, self.found, self.windows - self.found + 1) if self.found else 0.0
        high = (
            beta.ppf(0.995, self.found + 1, self.windows - self.found) if self.found < self.windows else 1.0
        )
        return float(low), float(high)


def power(sigma: float, n: int, m: int, *, references: int, seed: int) -> Power:
    rng = seeded(seed, "power", int(sigma * 1e6), n, m)
    found, psi, rounds = 0, 0, max(references // FEATURES, 1)
    for _ in range(rounds):
        one = world(BETWEEN, rng, m, FEATURES)
        shifted = _shifted(one.chances, sigma)
        counts = rng.multinomial(n, shifted[:, None, :], size=(FEATURES, WINDOWS)).transpose(1, 0, 2)
        none = np.zeros(WINDOWS, np.int64)
        windows = Counts(
            np.ascontiguousarray(counts).reshape(WINDOWS, -1), np.full(WINDOWS, n), none,
            np.zeros((WINDOWS, LATENCY_BINS), np.int64),
        )  # fmt: skip
        p = weighed(extract(windows, one.frame, left_out=False), one.frame).p
        psi += int((p[:, :FEATURES] <= LEVEL).sum())
        found += int((p[:, FEATURES : 2 * FEATURES] <= LEVEL).sum())
    return Power(sigma, n, m, rounds * FEATURES * WINDOWS, found, psi)


def _shifted(chances: np.ndarray, sigma: float) -> np.ndarray:
    """Shares of the slots of a standard normal feature once its mean has moved."""
    below = np.cumsum(chances[:, BELOW:], axis=1)
    moved = ndtr(ndtri(np.clip(below, 0.0, 1.0)) - sigma)
    moved[:, -1] = 1.0
    out = np.zeros_like(chances)
    out[:, BELOW:] = np.diff(moved, axis=1, prepend=0.0)
    return out
