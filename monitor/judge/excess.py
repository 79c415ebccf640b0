"""Sampled rows, each with how much of a drift it carries. Pure.

The exact counts of a drifting feature tell what changed: w = ln(window's share ÷ reference's share) of each of its
coarse slots. The mean of w over the window's rows less that over the reference's is the feature's PSI, the
*excess*; in a part of the rows that carries none of the change the two means are the same. So one number a row, known from
millions of rows, stands for 20 slots of each drifting feature, and few sampled rows tell where the excess is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.judge.frame import Frame

PRIOR_ROWS = 30.0
"""Rows that the spread of a slot's scores is told from beside its own: those of all rows. One of few rows would
seem to have none."""
PRIOR_MEAN = 5.0
"""Rows of the whole reference that the mean of a slot is told from beside its own, as new categories have none."""

_Floats = NDArray[np.float64]
_Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of one feature, by coarse slot: float64[slots] each.

    rows    of the window's sample
    before  of the reference's sample, by their weights
    lift    mean score of the window's rows less that of the reference's
    noise   its variance
    """

    rows: _Floats
    before: _Floats
    lift: _Floats
    noise: _Floats

    def summed(self, member: _Floats | None = None) -> Sums:
        """Of sets of slots, float64[sets, slots]; of all slots without."""
        one = np.ones((1, len(self.rows))) if member is None else member
        return Sums(
            one @ self.rows,
            one @ self.before,
            one @ (self.rows * self.lift),
            one @ (self.rows**2 * self.noise),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of sets of rows: float64[sets] each. `lift` and `noise` are of the sum over the window's rows."""

    rows: _Floats
    before: _Floats
    lift: _Floats
    noise: _Floats

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, n) - getattr(other, n) for n in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows with their scores by some drifting features, and the PSI of these. Those of the window come first.

    codes    uint16[features, rows]  coarse slots
    scores   float64[rows]
    squares  float64[rows]
    weights  float64[rows of the reference]  how much each stands for; None: the same
    usual    mean score of the reference's rows
    spread   variance of the window's scores, and of the reference's
    """

    excess: float
    split: int
    codes: NDArray[np.uint16]
    scores: _Floats
    squares: _Floats
    weights: _Floats | None
    usual: float
    spread: tuple[float, float]

    @classmethod
    def of(
        cls, excess: float, split: int, codes: NDArray[np.uint16], scores: _Floats, weights: _Floats | None
    ) -> Scored:
        own, theirs = scores[:split], scores[split:]
        if not len(theirs) or (weights is not None and not weights.any()):
            return cls(excess, split, codes, scores, scores**2, weights, 0.0, (float(own.var()),) * 2)
        usual = float(np.average(theirs, weights=weights))
        spread = float(own.var()), float(np.average((theirs - usual) ** 2, weights=weights))
        return cls(excess, split, codes, scores, scores**2, weights, usual, spread)

    @property
    def noise(self) -> float:
        """Variance of the difference of the two means."""
        now, then = self.spread
        before = len(self.scores) - self.split if self.weights is None else _effective(self.weights)
        return now / self.split + then / before

    def only(self, numbers: _Codes) -> Scored:
        """Some of the rows, ascending. What is usual among them is their own: in a part that has changed scores are
        spread more widely than elsewhere."""
        split = int(np.searchsorted(numbers, self.split))
        weights = None if self.weights is None else self.weights[numbers[split:] - self.split]
        return self.of(self.excess, split, self.codes[:, numbers], self.scores[numbers], weights)

    def table(self, feature: int, width: int) -> Table:
        n, _, mean, now = self._moments(feature, width, slice(0, self.split), None)
        m, before, usual, then = self._moments(feature, width, slice(self.split, None), self.weights)
        spread, was = self.spread
        lift = np.where(n > 0, mean - (m * usual + PRIOR_MEAN * self.usual) / (m + PRIOR_MEAN), 0.0)
        now = (n * now + PRIOR_ROWS * spread) / (n + PRIOR_ROWS)
        then = (m * then + PRIOR_ROWS * was) / (m + PRIOR_ROWS)
        return Table(n, before, lift, now / np.maximum(n, 1.0) + then / (m + PRIOR_MEAN))

    def _moments(
        self, feature: int, width: int, rows: slice, weights: _Floats | None
    ) -> tuple[_Floats, _Floats, _Floats, _Floats]:
        """Of each slot: rows that these are worth, their weight, mean and variance of their scores; 0 without any."""
        codes, scores, squares = self.codes[feature, rows], self.scores[rows], self.squares[rows]
        if weights is not None:
            scores, squares = scores * weights, squares * weights
        total = np.bincount(codes, weights, width).astype(np.float64)
        some = np.maximum(total, 1e-300)
        mean = np.bincount(codes, scores, width) / some
        variance = np.maximum(np.bincount(codes, squares, width) / some - mean * mean, 0.0)
        worth = (
            total if weights is None else total**2 / np.maximum(np.bincount(codes, weights**2, width), 1e-300)
        )
        return worth, total, mean, variance


class Rows:
    """Both samples, as coarse slots within the features, uint16[features, rows]; those of the window come first."""

    def __init__(
        self,
        window: NDArray[np.uint16],
        reference: NDArray[np.uint16],
        counts: NDArray[np.int64],
        frame: Frame,
        drifted: Sequence[int],
        weights: _Floats | None = None,
    ) -> None:
        """window, reference: uint16[rows, features]; counts: int64[slots] of the whole window; weights: of the
        reference's rows, see `Scored`."""
        starts = frame.layout.start
        codes = np.minimum(np.concatenate([window, reference]).astype(np.int64), np.diff(starts) - 1)
        self.frame, self.split = frame, len(window)
        self.codes = np.ascontiguousarray((frame.group[codes + starts[:-1]] - frame.start[:-1]).T, np.uint16)
        self.widths: list[int] = np.diff(frame.start).tolist()
        self.excess: dict[int, float] = {}
        """PSI of each drifting feature."""
        self._by_slot: dict[int, _Floats] = {}
        self._weights = weights
        self._scored: dict[tuple[int, ...], Scored | None] = {}
        now = np.bincount(frame.group, counts, minlength=int(frame.start[-1])).astype(np.float64)
        for feature in drifted:
            low, high = int(frame.start[feature]), int(frame.start[feature + 1])
            by_slot, psi = _ratios(now[low:high], frame.coarse[low:high])
            if psi > 0:
                self.excess[feature], self._by_slot[feature] = psi, by_slot

    def scored(self, *features: int) -> Scored | None:
        """By the drifting features but `features`: no feature says where its own change is. None: by none."""
        by = tuple(feature for feature in self.excess if feature not in features)
        if by not in self._scored:
            self._scored[by] = self._by(by) if by else None
        return self._scored[by]

    def _by(self, features: Sequence[int]) -> Scored:
        scores = np.sum([self._by_slot[feature][self.codes[feature]] for feature in features], axis=0)
        excess = sum(self.excess[feature] for feature in features)
        return Scored.of(excess, self.split, self.codes, scores, self._weights)


def _effective(weights: _Floats) -> float:
    """Rows of equal weight that would tell as much."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _ratios(now: _Floats, before: _Floats) -> tuple[_Floats, float]:
    """ln of the ratio of the shares, float64[coarse slots], and the PSI that they come to, less what chance makes of it."""
    n, m, slots = float(now.sum()), float(before.sum()), len(now)
    if n <= 0 or m <= 0:
        return np.zeros(slots), 0.0
    p, q = (now + 0.5) / (n + 0.5 * slots), (before + 0.5) / (m + 0.5 * slots)
    ratio = np.log(p / q)
    noise = (np.count_nonzero(now + before) - 1) * (1.0 / n + 1.0 / m)
    return ratio, float(((p - q) * ratio).sum() - noise)
