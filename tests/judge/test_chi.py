"""Quantiles of the noncentral chi-square distribution."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2, ncx2

from monitor.judge import chi
from tests.rules.tree import ROOT


@pytest.mark.parametrize("level", [0.1, 0.01, 1e-5])
def test_the_table_agrees_with_scipy(level):
    """Many values are read off a table, within 2e-4 of scipy's own."""
    rng = np.random.default_rng(0)
    df = rng.integers(1, 40, 600).astype(float)
    nc = np.where(rng.random(600) < 0.3, 0.0, rng.exponential(10.0, 600) ** 2)
    assert len(df) > chi.MANY
    np.testing.assert_allclose(chi.isf(level, df, nc), ncx2.isf(level, df, nc), rtol=2e-4)


def test_few_values_are_exact():
    """The central case is the chi-square distribution, and no slots give no threshold."""
    limit = chi.isf(0.01, np.array([0.0, 1.0, 19.0]), np.zeros(3))
    assert limit.tolist() == [np.inf, *chi2.isf(0.01, [1, 19])]


@pytest.mark.parametrize("found", [True, False])
def test_quantiles_and_tails_have_the_bits_of_scipy(monkeypatch, found):
    """Of any size, the central case among them; and where a scipy has other names inside, by the way that it shows."""
    if not found:
        monkeypatch.setattr(chi, "INSIDE", ("_no", "_such"))
    rng = np.random.default_rng(1)
    df = rng.integers(1, 200, 50).astype(float)
    nc = np.where(rng.random(50) < 0.2, 0.0, 10.0 ** rng.uniform(-12, 5, 50))
    for level in (0.5, 0.01, 1e-5, 1e-12):
        assert chi.isf(level, df, nc).tolist() == ncx2.isf(level, df, nc).tolist()
    for y in (1e-3, 1.0, 50.0, 1e4, 1e300, np.inf):
        assert chi.sf(np.array(y), df, nc).tolist() == np.clip(ncx2.sf(y, df, nc), 0, 1).tolist()


def test_a_daemon_does_not_load_what_only_wraps():
    """A judge of pages has no need of `scipy.stats`: half a second of every start, and 40 MB that stay."""
    code = (
        "import sys, numpy as np; from monitor.judge import chi; a = np.ones(3);"
        "chi.isf(0.1, a, a), chi.sf(a, a, a), chi.noncentrality(a, 0.1, a);"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0


def test_tail_probabilities():
    """p is 1 without slots and 0 far out, never NaN."""
    p = chi.sf(
        np.array([5.0, 30.0, 1e9, 0.0]), np.array([0.0, 19.0, 19.0, 19.0]), np.array([0.0, 0.0, 3.0, 3.0])
    )
    assert p.tolist() == [1.0, pytest.approx(chi2.sf(30, 19)), 0.0, 1.0]


def test_noncentrality_inverts_the_quantile():
    """It is what makes an observed value the quantile, and 0 below the central one."""
    nc = np.array([0.0, 3.0, 50.0, 4000.0])
    df = np.full(4, 19.0)
    found = chi.noncentrality(ncx2.isf(0.1, df, nc), 0.1, df)
    np.testing.assert_allclose(found, nc, rtol=1e-3, atol=1e-2)
    assert chi.noncentrality(np.array([1.0]), 0.1, np.array([19.0])).tolist() == [0.0]
