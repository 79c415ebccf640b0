"""Evidence that may be looked at at any time: e-values of counts against a ball around the reference.

    log E = log (½ DM(c | ½) + ½ DM(c | NEAR q)) − max{ Σ c_j ln p_j : KL(q ‖ p) ≤ ε }

c are counts over few slots divided by the design effect, q the reference's shares, DM the marginal
of a Dirichlet-multinomial: one expects anything, one what lies around the reference. Whatever distribution of the ball the rows have, E is at most a likelihood
ratio to it, so the mean of E is at most 1 at every look and P(E ever reaches 1/α) ≤ α (universal
inference: Wasserman, Ramdas and Balakrishnan 2020; Ville 1939; with ε = 0 Lindon and Malek 2022).

Features and start panes are combined by the average, not by Bonferroni: the average of e-values is
one whatever their dependence, and is never below the largest divided by their number (Vovk and Wang
2021, section 3: nothing symmetric does better). The average over start panes is the Shiryaev-Roberts
statistic, in its proportion to how many starts there are: in a window that changes in the middle the
panes before do not dilute those after.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import CATEGORICAL, FIRST_BIN, MISSING, NOVEL, NUMERIC, OTHER
from kernels.nearest import largest_likelihoods
from monitor.judge import catalogue as names
from monitor.judge.frame import Frame

Array = NDArray[np.float64]

WIDTH = 24
"""Slots of a row: the special ones and 20 groups of a numeric feature. Each slot costs ½ ln n."""
NEAR = 200.0
"""How closely the second of them lies around the reference, as rows. What expects anything finds a PSI of 0.05 after 13,400
rows, both after 7,600, and 0.09 after 2,400 instead of 3,600 (20 slots, tolerance 0.01, a reference of 100,000). The second
alone learns large changes slowly: three slots that all rows go to are found in 72 rows by the first, and not by it."""
UNCERTAIN = 0.01
"""The reference's own shares lie further from the truth than its part of ε this often."""


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """A reference in few slots: one row per feature, one for errors, one for slow records.

    names   of the rows
    slot    int32[slots]       row * WIDTH + column of each slot of the layout
    totals  float64[rows, WIDTH]  rows of the reference as live windows will show them, 0 where unused
    raw     float64[rows, WIDTH]  rows of the reference; what a window left out is taken from
    used    bool[rows, WIDTH]
    design  float64[rows]
    ordered bool[rows]  of numbers, whose groups have an order
    slow_from  first latency bin that is slow; 0: the row is unused
    """

    names: tuple[str, ...]
    slot: NDArray[np.int32]
    totals: Array
    raw: Array
    used: NDArray[np.bool_]
    design: Array
    ordered: NDArray[np.bool_]
    slow_from: int

    @property
    def rows(self) -> int:
        return len(self.names)

    def is_as(self, other: Slots) -> bool:
        """Whether both count the same, whatever they are held against."""
        return (
            self.names == other.names
            and self.slow_from == other.slow_from
            and np.array_equal(self.slot, other.slot)
        )

    def count(
        self, counts: NDArray[np.int64], *, rows: int, errors: int, latency: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Counts in these slots: int64[rows, WIDTH]."""
        flat = np.bincount(self.slot, counts, minlength=self.rows * WIDTH)
        out = np.rint(flat).astype(np.int64).reshape(self.rows, WIDTH)
        slow = int(latency[self.slow_from :].sum()) if self.slow_from else 0
        timed = int(latency[1:].sum()) if self.slow_from else 0
        out[-2:, :2] = [[errors, rows - errors], [slow, timed - slow]]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """The distributions that count as no change, per row.

    shares  float64[rows, WIDTH]  q, 0 where unused
    size    float64[rows]         rows of the reference, effective; inf: q is known
    radius  float64[rows]         √ε
    """

    shares: Array
    used: NDArray[np.bool_]
    design: Array
    size: Array
    radius: Array
    _known: list[_Prior] = field(default_factory=list)
    """What `prior` has worked out; of the same shares."""

    def take(self, rows: NDArray[np.int64]) -> Ball:
        """The ball of some rows alone."""
        return Ball(self.shares[rows], self.used[rows], self.design[rows], self.size[rows], self.radius[rows])

    def wider(self, by: Array) -> Ball:
        """The same with `by` float64[rows] more of √ε."""
        return replace(self, radius=self.radius + by)

    @property
    def prior(self) -> _Prior:
        """What does not depend on counts: worked out once."""
        if not self._known:
            self._known.append(_prior(self))
        return self._known[0]


class _Prior(NamedTuple):
    """Of a ball, whatever the counts are.

    dirichlets  both of the average: parameters float64[rows, WIDTH], ln Γ of them, their sum and ln Γ of that
    log         float64[rows, WIDTH]  ln q, 0 where unused
    """

    dirichlets: tuple[tuple[Array, Array, Array | float, Array | float], ...]
    log: Array


class Seen(NamedTuple):
    """Counts as they are held against a ball, however wide it is.

    counts    float64[..., rows, WIDTH]  effective
    marginal  float64[..., rows]         logarithm of the average of both DM of them
    likely    float64[..., rows]         Σ c ln q
    """

    counts: Array
    marginal: Array
    likely: Array

    @property
    def at_most(self) -> Array:
        """What `log_e` is at most, however wide the ball: that against q alone. A tenth of its work."""
        return self.marginal - self.likely

    def take(self, some: Any) -> Seen:
        """Of some counts, by an index of all but the last axis."""
        return Seen(self.counts[some], self.marginal[some], self.likely[some])


def build_slots(frame: Frame, *, novel_apart: bool = False) -> Slots:
    """The slots that looks go by. A category that is not among the largest counts as `other`, and so does a novel one,
    how many of which are usual is foretold and not seen; `novel_apart` has a slot for these, as dating what is known to
    have changed needs.
    """
    features = len(frame.features)
    place = np.empty(len(frame.coarse), np.int32)
    for feature in range(features):
        low, high = int(frame.start[feature]), int(frame.start[feature + 1])
        own = np.arange(high - low, dtype=np.int32)
        if frame.layout.kind[feature] == CATEGORICAL:
            own = _named_slots(frame.live[low:high], novel_apart=novel_apart)
        place[low:high] = feature * WIDTH + own
    totals, raw = (_folded(place, part, features) for part in (frame.live, frame.coarse))
    slow, timed = (
        float(frame.latency[low:].sum()) if frame.slow_from else 0.0 for low in (frame.slow_from, 1)
    )
    for part in (totals, raw):
        part[-2:, :2] = np.array([[frame.errors, frame.rows - frame.errors], [slow, timed - slow]])
    used = np.zeros((features + 2, WIDTH), np.bool_)
    used.flat[np.unique(place[frame.group])] = (
        True  # where an atom took the number of a group there is no slot
    )
    used[-2:, :2] = [[True, True], [timed > 0, timed > 0]]
    return Slots(
        names=(*(profile.name for profile in frame.features), names.ERROR, names.LATENCY),
        slot=place[frame.group],
        totals=totals,
        raw=raw,
        used=used,
        design=np.concatenate([frame.design, [1.0, 1.0]]),
        ordered=np.concatenate([frame.layout.kind == NUMERIC, [False, False]]),
        slow_from=frame.slow_from,
    )


def _named_slots(live: Array, *, novel_apart: bool) -> NDArray[np.int32]:
    """MISSING has its own, then novel, other and small categories, then the largest ones."""
    rest = OTHER if novel_apart else NOVEL
    own = np.full(len(live), rest, np.int32)
    own[[MISSING, NOVEL]] = MISSING, NOVEL
    largest = np.argsort(-live[FIRST_BIN:], kind="stable")[: WIDTH - 1 - rest]
    own[FIRST_BIN + largest] = rest + 1 + np.arange(len(largest), dtype=np.int32)
    return own


def _folded(place: NDArray[np.int32], coarse: Array, features: int) -> Array:
    flat = np.bincount(place, coarse, minlength=(features + 2) * WIDTH)
    return np.asarray(flat, np.float64).reshape(features + 2, WIDTH)


def build_ball(slots: Slots, tolerance: Array, *, ratio: Array, left_out: Array | None = None) -> Ball:
    """The ball of a reference: `tolerance` float64[features] in KL units, and its own uncertainty.

    No tolerance is below what a ratio may move by (`ratio` float64[rows]): a special slot that gains as much
    lies ln(1 - ratio) away. `left_out` float64[rows, WIDTH] is taken out of the reference.
    """
    totals = slots.totals if left_out is None else np.maximum(slots.raw - left_out, 0.0)
    size = totals.sum(axis=1)
    kinds = slots.used.sum(axis=1)
    padded = np.where(slots.used, totals + 0.5, 0.0)
    shares = padded / np.maximum(padded.sum(axis=1, keepdims=True), 1.0)
    base = np.concatenate([tolerance, np.zeros(2)])
    base[:-2] = np.maximum(base[:-2], -np.log1p(-np.minimum(ratio[:-2], 0.5)))
    base[-2:] = _moved(shares[-2:, 0], ratio[-2:])
    size = size / slots.design
    return Ball(shares, slots.used, slots.design, size, np.sqrt(base) + uncertainty(kinds, size))


def uncertainty(kinds: NDArray[np.int64], size: Array) -> Array:
    """How far the reference's shares may lie from the truth by chance, as √KL."""
    from scipy.special import chdtri

    with np.errstate(divide="ignore"):
        far = np.where(kinds > 1, chdtri(np.maximum(kinds - 1, 1), UNCERTAIN) / (2.0 * size), 0.0)
    return np.asarray(np.sqrt(far))


def _moved(share: Array, ratio: Array) -> Array:
    """KL to a ratio that is larger by `ratio`."""
    from scipy.special import rel_entr

    larger = np.minimum(share + ratio, 1.0 - 1e-9)
    return np.asarray(rel_entr(share, larger) + rel_entr(1.0 - share, 1.0 - larger))


def see(counts: NDArray[np.int64], ball: Ball) -> Seen:
    """Plain counts int64[..., rows, WIDTH] beside q."""
    from scipy.special import gammaln

    prior = ball.prior
    c = counts / ball.design[:, None]
    n = c.sum(axis=-1)
    found = []
    for own, of_own, whole, of_whole in prior.dirichlets:
        marginal = np.where(ball.used, gammaln(c + own) - of_own, 0.0).sum(axis=-1)
        found.append(marginal + of_whole - gammaln(n + whole))
    return Seen(c, np.logaddexp(*found) - np.log(2.0), np.asarray((c * prior.log).sum(axis=-1)))


def log_e(seen: Seen, ball: Ball, widened: float = 1.0) -> Array:
    """log E of what was seen: float64[..., rows]; -inf stands for what is below 0.

    E below 1 hardly counts in an average that must reach 1/α, and those are nearly all: the price of
    ε is only sought where the counts are unlikely under q itself. `widened` multiplies √ε.
    """
    c, marginal, likely = seen
    unlikely = marginal > likely
    row = np.broadcast_to(np.arange(len(ball.size)), unlikely.shape)[unlikely]
    largest = np.empty(len(row))
    largest_likelihoods(largest, c[unlikely], ball.shares, row, (ball.radius[row] * widened) ** 2)
    found = np.full(unlikely.shape, -np.inf)
    found[unlikely] = marginal[unlikely] - largest
    return np.where(found > 0, found, -np.inf)


def _prior(ball: Ball) -> _Prior:
    from scipy.special import gammaln

    found = []
    for prior, whole in (
        (np.full_like(ball.shares, 0.5), np.maximum(ball.used.sum(axis=1), 1) / 2.0),
        (NEAR * ball.shares, NEAR),
    ):
        own = np.where(ball.used, prior, 1.0)
        found.append((own, gammaln(own), whole, gammaln(whole)))
    return _Prior(tuple(found), np.log(np.where(ball.used, ball.shares, 1.0)))


def average(found: Array, of: int = 0) -> float:
    """log of the average of e-values given by their logarithms, of any shape; of `of` where others are 0."""
    return float(np.logaddexp.reduce(found, axis=None, initial=-np.inf) - np.log(max(of, found.size, 1)))
