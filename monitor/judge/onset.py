"""Since when there has been a change that was found.

Rows from some pane on are held against those before it, with the reference's, by a likelihood ratio: a reference of few rows
differs from all panes alike, which is no change. What they may be instead is nobody's guess, so it is an average over many
alternatives, of five sorts:

    any        whatever lies around what was before, by Dirichlet distributions: learns slowly, as it may be anything
    one slot   missing, novel, stuck, clipped: one slot has more rows than it had, or fewer, in all others alike
    by rank    values of a number lean, spread or skew: ln p/q is a polynomial of their rank
    moved      all values of a number are shifted or spread, see `monitor.judge.moves`
    smooth     they are distributed otherwise, in whatever smooth way

The second and third are exponential tilts p ∝ q exp(θ φ). The latter two go by the bins that are counted. Of all but the first
sort the ratio is that of a logistic regression, see `kernels.tilted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, FIRST_BIN
from monitor.judge.early import WIDTH, Array, Ball, Slots, build_ball
from monitor.judge.frame import Frame
from monitor.judge.moves import Numbers, numbers, range_of
from monitor.judge.split import Split, average, split
from monitor.verdict import Window

NEAR = (25.0, 100.0, 400.0, 1600.0)
"""How closely alternatives lie around what was before, as rows. An e-value that expects anything (½ in
every slot) takes a change that just pages for noise until many rows are there, and dates it late."""
TILTS = tuple(0.01 * 2.0 ** (k / 2) for k in range(17))
"""θ, in standard deviations of φ, either way: from what a million rows just show to another distribution."""
DEGREES = 6
"""Of the polynomials. Of changes that are just found in 24 panes of 83 rows, who knows what the rows are distributed like after
them dates 94 % of shifts and 90 % of changed shapes within a pane. `bench.diagnosis`"""
BEFORE = 0.5
"""Weight of a pane before the window, which the judge has seen and did not call a drift."""
ENDED = 0.1
"""Weight of a change that has ended again. Where the reference has fewer rows than the panes before a date, what is likeliest
as a change may be its end: it is held against that of the panes before it, with all after it as the reference is."""
OWN = 1.1
"""Weight of a pane among its neighbours. What is sought is the pane with most of the likelihood within one pane of it, not
the likeliest: that is up to 3 in 100 better at it. By a little more weight of its own a pane that stands out is hit."""
FEATURES = 20
"""Features that are looked at, at 0.1 to 0.2 s each in 300 panes: more say nothing else."""
NOTHING = np.zeros(0, np.int64)


class Evidence(NamedTuple):
    """What dates a change: the rows of each pane, in two widths of slots.

    panes    int64[panes, rows, WIDTH]
    values   of each row the numbers; None where it has none that can move
    """

    panes: NDArray[np.int64]
    values: Sequence[Numbers | None] = ()


def onset(
    panes: Iterable[Window],
    slots: Slots,
    frame: Frame,
    features: Iterable[str],
    *,
    before: int,
    is_part: bool = False,
) -> int | None:
    """Number of the pane from which on `features` have changed; `before` of them lie before the window.

    Without tolerance: with it small changes would be dated late. `slots` are those of `frame`, and `is_part` says that it is
    of one segment. `features` in the order of x, of which the first are looked at. None where these slots do not
    tell: vectors, or no rows. `panes` are gone through once.
    """
    known = {name: row for row, name in enumerate(slots.names)}
    rows = np.array([known[name] for name in features if name in known][:FEATURES], np.int64)
    own = _evidence(panes, slots, frame, rows, is_part=is_part)
    if not own.panes.any():
        return None
    ball = build_ball(slots, np.zeros(slots.rows - 2), ratio=np.zeros(slots.rows)).take(rows)
    likelihood = _likelihood(own, ball, slots.ordered[rows], before)
    at = likeliest(likelihood)
    if (own.panes[:at].sum(axis=(0, 2)) / ball.design > ball.size).any():
        ended = _likelihood(own, ball, slots.ordered[rows], before, until=at)
        if average(ended) + np.log(len(ended) / len(likelihood) * ENDED) > average(likelihood):
            return likeliest(ended)
    return at


def _likelihood(
    own: Evidence, ball: Ball, ordered: NDArray[np.bool_], before: int, *, until: int | None = None
) -> Array:
    """Of all features together, with the weight of panes: float64[panes]."""
    found = contributions(own, ball, ordered, until=until).sum(axis=1)
    found[:before] += np.log(BEFORE)
    return np.asarray(found)


def _evidence(
    panes: Iterable[Window], slots: Slots, frame: Frame, rows: NDArray[np.int64], *, is_part: bool
) -> Evidence:
    """What there is of some rows of `slots`."""
    ranges = [range_of(frame, row) if slots.ordered[row] else None for row in rows.tolist()]
    coarse, fine, total = [], [], np.zeros(len(frame.counts), np.int64)
    for one in panes:
        seen = slots.count(one.counts, rows=one.rows, errors=one.errors, latency=one.latency)
        coarse.append(seen[rows])
        fine.append([own.folded(one.counts) if own else NOTHING for own in ranges])
        total += one.counts
    values = [
        numbers(frame, row, np.array(column), total, is_part=is_part) if own else None
        for row, own, column in zip(rows.tolist(), ranges, zip(*fine, strict=True), strict=False)
    ]
    return Evidence(np.array(coarse, np.int64), values)


def likeliest(likelihood: Array) -> int:
    """The start with most of the likelihood within one pane of it, of logarithms."""
    weight = np.pad(np.exp(likelihood - likelihood.max()), 1)
    return int((weight[:-2] + OWN * weight[1:-1] + weight[2:]).argmax())


def contributions(
    own: Evidence, ball: Ball, ordered: NDArray[np.bool_], *, until: int | None = None
) -> Array:
    """log of the likelihood ratio of a change with each pane to none: float64[panes, rows].

    ordered  bool[rows]: of numbers, whose slots have an order
    until    the change ended with this pane, and only those before it are looked at
    """
    found = np.zeros((len(own.panes[:until]), len(ordered)))
    for row, numeric in enumerate(ordered.tolist()):
        used = ball.used[row]
        if not used.any():
            continue
        known = ball.shares[row, used] * max(ball.size[row], 1.0)
        rows = split(own.panes[:, row, used], known, ball.design[row]).until(until)
        sorts = [_around(rows), _one_slot(rows)]
        if numeric:
            sorts.append(_tilted(rows, _by_rank(rows.shares, np.flatnonzero(used))))
        if own.values and (values := own.values[row]) is not None:
            sorts += values._replace(rows=values.rows.until(until)).likelihoods()
        found[:, row] = average(np.array(sorts))
    return found


def _around(rows: Split) -> Array:
    """Of a mixture of Dirichlet distributions around what is known before each pane: float64[panes]."""
    from scipy.special import gammaln

    known = rows.known + rows.before
    q, n = known / known.sum(axis=1, keepdims=True), rows.rows
    found = [
        (gammaln(rows.after + near * q) - gammaln(near * q)).sum(axis=1) + gammaln(near) - gammaln(n + near)
        for near in NEAR
    ]
    whole = known.sum(axis=1) + n
    unchanged = (gammaln(known + rows.after) - gammaln(known)).sum(axis=1)
    return np.asarray(average(np.array(found)) - unchanged - gammaln(whole - n) + gammaln(whole))


def _one_slot(rows: Split) -> Array:
    """Of tilts by one slot each: float64[panes]."""
    theta = np.stack([np.negative(TILTS), TILTS])
    found = []
    for slot, share in enumerate(rows.shares.tolist() if len(rows.shares) > 1 else ()):
        ways = np.stack([theta / np.sqrt(share * (1.0 - share)), np.zeros_like(theta)], axis=2)
        found.append(rows.one(slot).tilted(ways))
    return average(np.concatenate(found)) if found else np.zeros(len(rows.after))


def _tilted(rows: Split, directions: Array) -> Array:
    """Of tilts by float64[directions, slots]: float64[panes]. A direction of no use is left out."""
    centred = directions - (directions @ rows.shares)[:, None]
    deviation = np.sqrt(centred**2 @ rows.shares)
    phi = centred[deviation > 0] / deviation[deviation > 0, None]
    if not len(phi):
        return np.zeros(len(rows.after))
    both = np.concatenate([-phi, phi])
    return average(rows.tilted(np.array(TILTS)[:, None] * both[:, None]))


def _by_rank(q: Array, slots: NDArray[np.int64]) -> Array:
    """Polynomials of the rank of numbers, float64[DEGREES, slots]; 0 for what has none, as missing values."""
    order = np.where(slots == FIRST_BIN, WIDTH, slots)  # what lies above stands before the groups
    ranked = np.flatnonzero(slots >= BELOW)[np.argsort(order[slots >= BELOW])]
    mass = q[ranked]
    rank = (np.cumsum(mass) - mass / 2) / mass.sum()
    found = np.zeros((DEGREES, len(slots)))
    found[:, ranked] = np.polynomial.legendre.legvander(2 * rank - 1, DEGREES).T[1:]
    return found
