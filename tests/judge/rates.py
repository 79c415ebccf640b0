"""How often psi, ks, neyman and g reject without a change, at every level.

Windows are drawn as `tests.judge.tilted` does and judged by `weigh`, all features in one call. `tests.judge.sums`
has the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kernels.layout import LATENCY_BINS
from kernels.scores import SLOTS
from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.frame import Frame
from monitor.judge.samples import neyman_samples
from monitor.judge.tolerances import Tolerances
from monitor.judge.weigh import Evidence, weigh
from tests.judge.layouts import Layout, World, seeded, world
from tests.judge.tilted import draw

LEVELS = (0.05, 0.01, 1e-3, 1e-4, 1e-5)
SIZES = (50, 200, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
TIMES = (20, 4)
"""Rows of the reference for each of a window, at least LEAST of them; a window counts at most a quarter of them."""
LEAST = {20: 20_000, 4: 4_000}
FEATURES, WINDOWS = 50, 20
"""Of one draw: so many references, and windows against each."""
Z = 2.576
"""Of 99 % limits."""
HIGHEST = (1.2, 1.2, 1.2, 2.0, 2.0)
"""Of each level, what realised ÷ nominal may be."""
LOWEST = (0.75, 0.75, 0.75, 0.0, 0.0)
"""And what it must be, where nothing makes a test conservative by design."""
FULL = 20.0
"""Rows expected in every slot that takes part; with fewer nothing is asked from below."""


class Rate(NamedTuple):
    """How often one test rejects, and what is asked of it.

    voting         slots that vote, on average; of neyman polynomials; of ratios the share of hits
    asked          number of levels, the largest first, at which something is asked
    has_floor      whether LOWEST is asked, too
    rates, errors  of each level, realised ÷ nominal and its standard error, from the spread between references
    """

    layout: str
    test: str
    n: int
    m: int
    trials: int
    voting: float
    asked: int
    has_floor: bool
    rates: tuple[float, ...]
    errors: tuple[float, ...]

    def limits(self, level: int) -> tuple[float, float]:
        """99 % confidence limits."""
        far = Z * self.errors[level]
        return max(self.rates[level] - far, 0.0), self.rates[level] + far

    def state(self, level: int) -> str:
        """ "met", "not met", "open" where the limits of the measurement reach beyond the goal, "" without one."""
        if level >= self.asked:
            return ""
        least, most = self.limits(level)
        low, high = LOWEST[level] if self.has_floor else 0.0, HIGHEST[level]
        if least > high or most < low:
            return "not met"
        return "met" if most <= high and least >= low else "open"


def rates(layout: Layout, n: int, times: int, *, references: int, seed: int) -> list[Rate]:
    """Of psi, ks and neyman, or g, of one layout; tolerance 0. A reference is met by WINDOWS windows."""
    m = max(times * n, LEAST[times])
    rng = seeded(seed, layout.name, n, times)
    found, voting = [], []
    for _ in range(max(references // FEATURES, 2)):
        one = world(layout, rng, m, FEATURES)
        shares, slots = _once(rng, one, n)
        found.append(shares)
        voting.append(slots)
    shares = np.concatenate(found, axis=1)
    return list(_rates(layout, n, m, shares, np.mean(voting, axis=0).tolist()))


def _once(rng: np.random.Generator, one: World, n: int) -> tuple[np.ndarray, list[float]]:
    """Realised ÷ nominal of each reference: float64[tests, references, levels]; and what votes in psi or g, ks, neyman."""
    drawn = draw(rng, one, n, WINDOWS)
    rows = np.full(WINDOWS, n)
    none = np.zeros(WINDOWS, np.int64)
    extracted = extract(
        Counts(drawn.counts, rows, none, np.zeros((WINDOWS, LATENCY_BINS), np.int64)),
        one.frame,
        left_out=False,
    )
    p = weighed(extracted, one.frame).p.reshape(WINDOWS, -1, FEATURES)
    found = [((p <= level) * drawn.weights[:, None, :]).mean(axis=0) / level for level in LEVELS]
    slots = float(extracted.divergence[:, :, SLOTS].mean())
    polynomials = neyman_samples(extracted, one.frame)[1] if one.frame.bases else np.zeros(1)
    return np.stack(found, axis=2), [slots, slots, float(polynomials.mean())]


def weighed(extracted: Extract, frame: Frame) -> Evidence:
    """Of the tests of whole distributions alone, without a tolerance."""
    features, numeric = len(frame.features), frame.layout.numeric
    nothing = np.full((features, 0), np.nan)
    size = len(extracted)
    no_ratios = replace(
        frame,
        ratios=(),
        owner=frame.owner[:0],
        labels=tuple(
            (*names[: features + numeric], *names[len(names) - len(frame.bases) :]) for names in frame.labels
        ),
    )
    shapes = replace(
        extracted, hits=np.empty((size, 0)), trials=np.empty((size, 0)), base=np.empty((size, 2, 0))
    )
    none = np.empty(0)
    tolerances = Tolerances(np.zeros(features), np.zeros(numeric), none, none, nothing, nothing, learnt=True)
    return weigh(shapes, no_ratios, tolerances, LEVELS[-1], np.empty((0, features, 0)))


def rate_of(shares: np.ndarray, **known) -> Rate:
    """From float64[references, levels], realised ÷ nominal given each reference."""
    errors = shares.std(axis=0, ddof=1) / math.sqrt(len(shares))
    return Rate(**known, rates=tuple(shares.mean(axis=0).tolist()), errors=tuple(errors.tolist()))


def _rates(layout: Layout, n: int, m: int, shares: np.ndarray, voting: Sequence[float]) -> Iterator[Rate]:
    for at, test in enumerate((layout.test, "ks", "neyman")[: len(shares)]):
        has_floor = test != "neyman" and voting[at] >= 2
        if test == "ks":
            has_floor = layout.bins > 0 and n / layout.bins >= FULL
        yield rate_of(
            shares[at], layout=layout.name, test=test, n=n, m=m, trials=shares.shape[1] * WINDOWS,
            voting=voting[at],
            asked=layout.asked, has_floor=has_floor,
        )  # fmt: skip
