"""The largest likelihood within a distance of known shares, against halvings in plain Python and a search by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from kernels.nearest import CLOSE, REACH, largest_likelihoods

SLOTS = 6

counted = st.lists(st.integers(0, 2_000), min_size=SLOTS, max_size=SLOTS)
known = st.lists(st.floats(1e-6, 1.0), min_size=SLOTS, max_size=SLOTS)


def found(counts, shares, epsilon) -> float:
    """What the kernel says of one row of counts."""
    out = np.full(1, np.nan)
    q = np.array([shares], float)
    largest_likelihoods(
        out, np.array([counts], float), q / q.sum(), np.zeros(1, np.int64), np.array([epsilon], float)
    )
    return float(out[0])


def naive(counts, shares, epsilon) -> float:
    """41 halvings of ln λ; 0 of no counts."""
    total, n = sum(shares), sum(counts)
    q = [share / total for share in shares]

    def mixed(x):
        return [
            (c / n + math.exp(x) * own) / (1 + math.exp(x)) for c, own in zip(counts, q, strict=True) if own
        ]

    def far(x):
        return sum(
            own * math.log(own / p) for own, p in zip((own for own in q if own), mixed(x), strict=True)
        )

    if n == 0:
        return 0.0
    low, high = -REACH, REACH
    if far(low) > epsilon:
        while high - low > CLOSE:
            middle = (low + high) / 2
            low, high = (middle, high) if far(middle) > epsilon else (low, middle)
    kept = [c for c, own in zip(counts, q, strict=True) if own]
    return sum(c * math.log(p) for c, p in zip(kept, mixed(low), strict=True))


@settings(max_examples=300, deadline=None)
@given(counts=counted, shares=known, epsilon=st.one_of(st.just(0.0), st.floats(1e-9, 2.0)))
def test_it_is_what_halving_finds(counts, shares, epsilon):
    """To what the last of either leaves open, and 1e-15 of rounding that a distance has, which decides λ where it is 0."""
    steepest = sum(counts) * sum(shares) / min(shares)
    slack = steepest * (4 * CLOSE if epsilon > 1e-5 else 1e-7) + 1e-9
    assert found(counts, shares, epsilon) == pytest.approx(naive(counts, shares, epsilon), abs=slack)


@settings(max_examples=200, deadline=None)
@given(counts=counted, shares=known, epsilon=st.floats(1e-6, 2.0), other=known)
def test_no_shares_within_are_likelier(counts, shares, epsilon, other):
    """Of any others, drawn towards q until they are within, none has a larger likelihood."""
    q, p = (np.array(each) / sum(each) for each in (shares, other))
    for _ in range(60):
        if (q * np.log(q / p)).sum() <= epsilon:
            assert (np.array(counts) * np.log(p)).sum() <= found(counts, shares, epsilon) + 1e-9
            return
        p = (p + q) / 2


@pytest.mark.parametrize("epsilon", [1e-4, 0.01, 0.3])
@pytest.mark.parametrize("counts", [(70, 20, 10), (0, 0, 9), (1, 0, 10**9)])
def test_it_is_what_a_search_finds(counts, epsilon):
    """scipy's search over all shares of three slots finds nothing better, and hardly less."""
    q = np.array([0.3, 0.3, 0.4])

    def shares(at):
        e = np.exp(np.append(at, 0.0) - max(*at, 0.0))
        return e / e.sum()

    u = np.array(counts) / sum(counts)
    best = optimize.minimize(
        lambda at: -(u * np.log(shares(at))).sum(), np.log(q[:2] / q[2]), method="SLSQP",
        constraints={"type": "ineq", "fun": lambda at: epsilon - (q * np.log(q / shares(at))).sum()},
        options={"ftol": 1e-13, "maxiter": 500},
    )  # fmt: skip
    assert found(counts, q, epsilon) / sum(counts) == pytest.approx(-best.fun, abs=1e-6)


def test_many_rows_are_held_each_against_its_own():
    """Slots without a share, rows of no counts, and a distance of 0 among others."""
    rng = np.random.default_rng(7)
    q = rng.dirichlet(np.ones(SLOTS), size=3)
    q[1, 4:] = 0.0
    q[1] /= q[1].sum()
    rows = rng.integers(0, 3, 200)
    counts = rng.poisson(40.0, (200, SLOTS)).astype(float) * (q[rows] > 0)
    counts[::50] = 0.0
    epsilon = rng.choice([0.0, 1e-3, 0.05], 200)
    out = np.full(200, np.nan)
    largest_likelihoods(out, counts, q, rows, epsilon)
    each = [naive(c, q[row], far) for c, row, far in zip(counts, rows, epsilon, strict=True)]
    np.testing.assert_allclose(out, each, atol=1e-3)
    assert (out[::50] == 0).all()
