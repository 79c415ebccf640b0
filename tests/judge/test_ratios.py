"""Ratio tests against direct summation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from monitor.judge import ratios


def one(function, *args, **more):
    return float(function(*(np.array([float(a)]) for a in args), **more)[0])


def direct(x, n, y, m, tau):
    """p by adaptive integration of scipy's binomial tail over the posterior."""
    posterior = stats.beta(y + 1, m - y)
    points = posterior.ppf([1e-12, 0.01, 0.5, 0.99, 1 - 1e-12])
    f = lambda theta: stats.binom.sf(x - 1, n, min(1.0, theta + tau)) * posterior.pdf(theta)  # noqa: E731
    return sum(
        integrate.quad(f, a, b, epsabs=0, epsrel=1e-9, limit=200)[0] for a, b in itertools.pairwise(points)
    )


@pytest.mark.parametrize(
    ("x", "n", "y", "m"),
    [
        (1, 450, 0, 1_000_000),
        (30, 1000, 200, 10_000),
        (60, 1000, 200, 10_000),
        (5, 50, 1, 400),
        (90, 100, 80, 100),
    ],
)
@pytest.mark.parametrize("tau", [0.0, 0.005, 0.1])
def test_p_is_the_integral(x, n, y, m, tau):
    """64 nodes give what adaptive integration gives."""
    assert one(ratios.p_value, x, n, y, m, tau) == pytest.approx(direct(x, n, y, m, tau), rel=1e-6)


def test_the_figures_of_the_method():
    """One novel row in 450 against a million is nothing; 60 % NULL in 300 rows is certain."""
    assert one(ratios.p_value, 1, 450, 0, 1_000_000, 0.005) == pytest.approx(0.90, abs=0.01)
    assert one(ratios.p_value, 180, 300, 0, 10_000, 0.005) < 1e-100


@given(
    n=st.integers(20, 50_000), m=st.integers(100, 10**6), share=st.floats(0, 0.99),
    tau=st.sampled_from([0.0, 0.005, 0.05]), level=st.sampled_from([0.1, 0.01, 1e-5]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_threshold_is_where_p_is_the_level(n, m, share, tau, level):
    """Just above it the test rejects, just below it does not: x > 1 exactly when p < level."""
    y = int(share * m)
    limit = ratios.threshold(level, *(np.array([float(a)]) for a in (n, y, m, tau)))[0]
    x = n * (limit + y / m)
    if x >= n:
        assert one(ratios.p_value, n, n, y, m, tau) >= level * 0.999
        return
    assert one(ratios.p_value, x * 0.9999, n, y, m, tau) >= level * 0.999
    assert one(ratios.p_value, x * 1.0001, n, y, m, tau) <= level * 1.001


def test_nothing_known_rejects_nothing():
    """No rows on one side, or a reference without a single counterexample: p is 1."""
    assert one(ratios.p_value, 0, 0, 5, 100, 0.0) == 1.0
    assert one(ratios.p_value, 5, 10, 0, 0, 0.0) == 1.0
    assert one(ratios.p_value, 10, 10, 100, 100, 0.0) == 1.0
    assert ratios.threshold(0.01, *(np.array([a]) for a in (0.0, 5.0, 100.0, 0.0)))[0] == np.inf


@given(
    n=st.integers(50, 5000), m=st.integers(500, 10**5), share=st.floats(0.0, 0.5), extra=st.floats(0.0, 0.4)
)
@settings(max_examples=100, deadline=None)
def test_the_tolerance_needed_silences_the_test(n, m, share, extra):
    """With it the ratio is no longer rejected at about that level."""
    y, x = share * m, min(share + extra, 1.0) * n
    tau = ratios.tolerance_needed(0.1, *(np.array([a]) for a in (x, n, y, m)))[0]
    assert 0.0 <= tau <= 1.0
    assert one(ratios.p_value, x, n, y, m, tau) > 0.03


def test_what_is_kept_of_thresholds_changes_no_bit():
    """Thresholds and p are the same the second time, and those of more ratios than anything is kept of."""
    rng = np.random.default_rng(8)
    m = rng.integers(100, 5_000, 40).astype(float)
    y, n = np.floor(rng.random(40) * m), np.where(rng.random(40) < 0.2, 0.0, m / 4)
    x, tau = np.floor(rng.random(40) * n), np.full(40, 0.01)
    times = ratios.MANY // 40 + 1
    many = [np.tile(one, times) for one in (x, n, y, m, tau)]
    for _ in range(2):
        found = ratios.threshold(1e-4, n, y, m, tau), ratios.p_value(x, n, y, m, tau)
        anew = ratios.threshold(1e-4, *many[1:]), ratios.p_value(*many)
        for one, own in zip(found, anew, strict=True):
            np.testing.assert_array_equal(one, own[:40])
            np.testing.assert_array_equal(one, own[-40:])


def test_no_rows_on_a_side_are_no_number_that_overflows():
    """What a ratio has to exceed is then beyond all, without a warning."""
    n, y, m, tau = (
        np.array(own) for own in ([0.0, 10.0, 5.0], [0.0, 3.0, 0.0], [10.0, 0.0, 0.0], [0.005, 0.005, 0.01])
    )
    np.testing.assert_array_equal(ratios.rough_threshold(1e-4, n, y, m, tau), np.inf)
