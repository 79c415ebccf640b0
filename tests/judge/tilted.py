"""Windows without a change, drawn so that rare ones come often, each with its weight.

A rate of 1e-5 would need millions of windows. Here windows come from a mixture: as they are; from a
Dirichlet-multinomial about the same shares, whose variance is larger in all directions at once, as psi and g
look for; with the shares left of a cut raised or lowered, as ks looks for; and with shares tilted along sums of
neyman's polynomials. The weight of a window is its true probability over that of the mixture, so weighted shares are unbiased whatever the mixture, and as it holds
windows as they are, no weight is larger than the number of its parts. Owen and Zhou 2000, "Safe and effective
importance sampling".
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy
from scipy.stats import chi2

from kernels.layout import BELOW, NUMERIC
from kernels.vote import LEFT_OUT, vote
from monitor.judge.extract import WIDE
from monitor.judge.neyman import ORDER
from tests.judge.drawing import multinomial
from tests.judge.layouts import World

AIM = 1e-4
"""The level about which most of what is drawn shall lie."""
CUTS = 19
FAR = 2.2
"""Kolmogorov's statistic is that large with a probability of 1e-4."""
AWAY, MOST = 4.0, 3.0
"""A little nearer than the 4.8 standard deviations that chi-square of 4 degrees of freedom exceeds with 1e-4: between
DIRECTIONS the next is 45 degrees away. And the largest logarithm of a factor."""
DIRECTIONS = np.concatenate([
    np.eye(ORDER), -np.eye(ORDER), np.array(list(itertools.product([-0.5, 0.5], repeat=ORDER))),
])  # fmt: skip
"""float64[24, ORDER]: the corners of the regular body that has 24 in four dimensions."""


class Drawn(NamedTuple):
    """Counts int64[windows, slots of all features] and weights float64[windows, features], of mean 1."""

    counts: np.ndarray
    weights: np.ndarray


def draw(rng: np.random.Generator, world: World, n: int, windows: int) -> Drawn:
    """Windows of n rows. Features are independent, and each window of each has a weight of its own."""
    shares = world.chances
    features, slots = shares.shape
    parts = _parts(world, n)
    mass = np.einsum("fs,fsp->fp", shares, parts)
    freedom = max(float(np.median((mass[:, :-1] > 0).sum(axis=1))) - 1.0, 0.0)
    moves = {2: _moves(shares, _cuts(world), world, n), 3: _tilts(shares, world, n)}
    moves = {one: moved for one, moved in moves.items() if moved.shape[1]}
    kinds = [0, *([1] if freedom and n > 4 * _wider(freedom) else []), *moves]
    kind = rng.choice(kinds, (features, windows))
    spread = (n - _wider(freedom)) / (_wider(freedom) - 1.0) if 1 in kinds else 0.0
    factor = np.ones((features, windows, slots))
    if 1 in kinds:
        factor[kind == 1] = _mixed(rng, mass, parts, spread, kind)
    for one, moved in moves.items():
        at, which = np.nonzero(kind == one)
        factor[at, which] = moved[at, rng.integers(moved.shape[1], size=len(at))]
    counts = multinomial(rng, np.full((features, windows), n), shares[:, None, :] * factor)
    density = np.ones((features, windows))
    if 1 in kinds:
        density += np.exp(_dirichlet(counts @ parts, mass, spread, n))
    for moved in moves.values():
        density += np.exp(counts @ np.log(moved.transpose(0, 2, 1))).mean(axis=2)
    weights = len(kinds) / density
    return Drawn(counts.transpose(1, 0, 2).reshape(windows, -1), weights.T)


def _wider(freedom: float) -> float:
    """How many times the variance has to be for a chi-square at AIM to be an ordinary one."""
    return max(float(chi2.isf(AIM, freedom)) / freedom, 1.2)


def _parts(world: World, n: int) -> np.ndarray:
    """Which slots are one to the vote of a window of n rows, by their true shares: [features, slots, parts].

    The last part is what does not vote.
    """
    frame, (features, slots) = world.frame, world.chances.shape
    expected = np.bincount(frame.group, world.chances.ravel() * n, minlength=len(frame.coarse))
    found = np.full(len(expected), LEFT_OUT, np.int64)
    counts = [
        vote(found, expected, *frame.start[i : i + 2].tolist(), int(frame.special[i]), int(kind), WIDE)
        for i, kind in enumerate(frame.layout.kind)
    ]
    part = found[frame.group].reshape(features, slots)
    last = max(counts)
    part[part == LEFT_OUT] = last
    return np.eye(last + 1)[part]


def _cuts(world: World) -> np.ndarray:
    """float64[slots, cuts]: 1 left of a cut, for numeric features; nowhere else."""
    shares = world.chances.mean(axis=0)
    if world.frame.layout.kind[0] != NUMERIC:
        return np.empty((len(shares), 0))
    finite = shares.copy()
    finite[:BELOW] = 0.0
    below = np.cumsum(finite) / finite.sum()
    ends = np.unique(np.searchsorted(below, np.linspace(0.0, 1.0, CUTS + 2)[1:-1]))
    ends = ends[(below[ends] > 0.0) & (below[ends] < 1.0 - 1e-9)]
    place = np.arange(len(shares))[:, None]
    return ((place >= BELOW) & (place <= ends)).astype(float)


def _moves(shares: np.ndarray, cuts: np.ndarray, world: World, n: int) -> np.ndarray:
    """Factors of the shares, for each cut and either direction: float64[features, 2 cuts, slots]."""
    finite = np.ones(shares.shape[1])
    finite[:BELOW] = 0.0
    m = float(world.frame.rows)
    far = FAR * np.sqrt(1.0 / n + 1.0 / m)
    left = (shares @ cuts) / (shares @ finite)[:, None]
    found = []
    for sign in (1.0, -1.0):
        to = np.clip(left + sign * far, 0.02 * left, 1.0 - 0.02 * (1.0 - left))
        inside, outside = (to / left)[:, :, None], ((1.0 - to) / (1.0 - left))[:, :, None]
        found.append(np.where(cuts.T > 0, inside, np.where(finite > 0, outside, 1.0)))
    return np.concatenate(found, axis=1)


def _tilts(shares: np.ndarray, world: World, n: int) -> np.ndarray:
    """Factors of the shares, for each of DIRECTIONS: float64[features, directions or 0, slots].

    Of a sum of polynomials that is large where few rows are as much as MOST may come.
    """
    features, slots = shares.shape
    if not world.frame.bases:
        return np.empty((features, 0, slots))
    far = AWAY * np.sqrt(1.0 / n + 1.0 / world.frame.rows)
    values = np.zeros((features, slots, ORDER))
    values[:, BELOW:] = [basis.values for basis in world.frame.bases]
    factor = np.exp(np.clip(far * (values @ DIRECTIONS.T).transpose(0, 2, 1), -MOST, MOST))
    return np.asarray(factor / (factor * shares[:, None, :]).sum(axis=2, keepdims=True))


def _mixed(
    rng: np.random.Generator, mass: np.ndarray, parts: np.ndarray, spread: float, kind: np.ndarray
) -> np.ndarray:
    """Factors of the shares of those windows whose parts have random masses: float64[drawn, slots]."""
    at, _ = np.nonzero(kind == 1)
    own = rng.gamma(spread * mass[at])
    own /= own.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.nan_to_num(own / mass[at])
    return np.take_along_axis(factor, parts.argmax(axis=2)[at], axis=1)


def _dirichlet(counts: np.ndarray, mass: np.ndarray, spread: float, n: int) -> np.ndarray:
    """Log of how much more probable counts of parts [features, windows, parts] are with random masses."""
    shape = spread * mass[:, None, :]
    with np.errstate(invalid="ignore"):
        terms = gammaln(counts + shape) - gammaln(shape) - xlogy(counts, mass[:, None, :])
    terms = np.where(shape > 0, terms, 0.0)
    return np.asarray(terms.sum(axis=2) + gammaln(spread) - gammaln(spread + n))
