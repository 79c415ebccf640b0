"""A small version of what `bench/proof.py` measures in full."""

from __future__ import annotations

import numpy as np

from tests.judge import pages, rates

QUIET = pages.Setting("quick", n=600, numeric=8, categorical=4, pages=12.0)


def test_rates_stay_near_nominal():
    """At nominal 1 % every test stays below 1.5 % in few trials, and exact ones above 0.5 %.

    The full version (`bench/proof.py rates`) asks for 0.75 to 1.2 % of 30 times as many.
    """
    measured = rates.measure(sizes=(200, 1_000), references=3, windows=300, seed=11)
    for rate in measured:
        spread = 4 * max(rate.error, (0.01 / rate.trials) ** 0.5 / 0.01)
        assert rate.least - spread <= rate.rate <= rates.HIGHEST + spread, rate
    assert sum(rate.trials for rate in measured) > 400_000


def test_pages_stay_within_the_budget():
    """Twelve pages a month are accepted, and about twelve are sent in months without a change."""
    months = pages.measure(QUIET, range(8))
    summary = pages.summary(months)
    assert pages.broken(QUIET, months) == []
    assert summary["mean"] > 0.4 * QUIET.pages
    assert all(month.pages <= month.windows for month in months)


def test_consecutive_drift_windows_are_one_page():
    """An incident closes after two ok windows; warnings keep it open."""
    drift = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 1], bool)
    warn = np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0], bool)
    assert pages.openings(drift, np.zeros(10, bool)) == 3
    assert pages.openings(drift, warn) == 2
