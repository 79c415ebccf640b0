"""Counts that are drawn fast have the distribution that numpy's have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from tests.judge.drawing import FEW, MANY, multinomial

WINDOWS = 40_000
FALLING = 1.0 / (1.0 + np.arange(12)) ** 2
SHARES = {
    "even": np.full(12, 1 / 12),
    "falling": FALLING / FALLING.sum(),
    "holes": np.array([0.0, 0.5, 0.0, 1e-4, 0.2999, 0.0, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0]),
    "one": np.eye(12)[4],
}
ROWS = (0, 1, 7, FEW * 12, FEW * 12 + 1, 300, MANY * 12, MANY * 12 + 1)
"""One by one, by Poisson counts by inversion and by rejection, by numpy; and where one ends and the next begins."""


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("rows", ROWS)
def test_each_slot_is_binomial(rows, shares):
    """Chi-square over the counts that are expected in ten windows or more, and over all of the rest together."""
    seed = 1_000 + rows
    counts = multinomial(np.random.default_rng(seed), np.full(WINDOWS, rows), shares)
    assert (counts.sum(axis=1) == rows).all(), seed
    for slot, share in enumerate(shares):
        assert _fits(
            np.bincount(counts[:, slot], minlength=rows + 1), binom.pmf(np.arange(rows + 1), rows, share)
        ), (
            seed,
            slot,
        )


@pytest.mark.parametrize("rows", [7, 300, 3_000])
def test_slots_go_together_as_numpys_do(rows):
    """Sums of a third of the slots are binomial, which they are by the covariances of slots."""
    shares = SHARES["falling"]
    third = np.arange(12) % 3 == 1
    counts = multinomial(np.random.default_rng(rows), np.full(WINDOWS, rows), shares)[:, third].sum(axis=1)
    found = np.bincount(counts, minlength=rows + 1)
    assert _fits(found, binom.pmf(np.arange(rows + 1), rows, shares[third].sum()))


def test_a_large_slot_is_as_numpys():
    """Poisson counts of a mean far beyond what others have: quantiles of a normal law."""
    shares = np.r_[0.7, np.full(99, 0.3 / 99)]
    rows = 3_900
    counts = multinomial(np.random.default_rng(3), np.full(WINDOWS, rows), shares)[:, 0]
    for q in (1e-3, 0.02, 0.5, 0.98, 0.999):
        at = binom.ppf(q, rows, 0.7)
        expected = binom.cdf(at, rows, 0.7)
        assert abs(np.mean(counts <= at) - expected) < 4 * (expected * (1 - expected) / WINDOWS) ** 0.5


def test_every_window_has_its_own_rows_and_chances():
    """Both are broadcast, as numpy does, and windows that share chances need not lie together."""
    rng = np.random.default_rng(4)
    chances = rng.dirichlet(np.ones(6), size=(1, 5))
    rows = rng.integers(0, 400, size=(3_000, 5))
    counts = multinomial(rng, rows, chances)
    assert counts.shape == (3_000, 5, 6)
    assert (counts.sum(axis=2) == rows).all()
    expected = rows.sum(axis=0)[:, None] * chances[0]
    error = np.sqrt(expected * (1 - chances[0]))
    assert (np.abs(counts.sum(axis=0) - expected) < 4.5 * error).all()


def test_the_same_seed_draws_the_same():
    """And one window is unlike the next."""
    drawn = [multinomial(np.random.default_rng(5), np.full(50, 90), np.ones(4) / 4) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()
    assert len({tuple(row) for row in drawn[0].tolist()}) > 40


def _fits(found, chances):
    """Whether counts of windows are what these chances give: p of 1e-5 or more."""
    expected = WINDOWS * chances
    often = expected >= 10
    pairs = [(found[often], expected[often]), (found[~often].sum(), expected[~often].sum())]
    seen, due = np.r_[pairs[0][0], pairs[1][0]], np.r_[pairs[0][1], pairs[1][1]]
    if due[-1] < 10:
        assert seen[-1] < 10 + 5 * due[-1] ** 0.5
        seen, due = seen[:-1], due[:-1]
    return len(due) < 2 or chi2.sf(((seen - due) ** 2 / due).sum(), len(due) - 1) > 1e-5
