"""A small version of what `make proof` measures in full."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom

from monitor.judge import ratios
from monitor.judge.extract import reference_ratios
from tests.judge import layouts, pages, rates, shift, sums, tilted

QUIET = pages.Setting("quick", n=600, numeric=8, categorical=4, pages=12.0)


def test_rates_stay_near_nominal():
    """At 5 % psi, ks and g reject 5 % of the windows, and at 1e-5 nowhere near twice as many.

    The full version (`make proof`) asks for more of more.
    """
    for layout in (layouts.LAYOUTS[0], layouts.LAYOUTS[7]):
        for one in rates.rates(layout, 10_000, 20, references=300, seed=11):
            low, high = one.limits(0)
            assert low < 1.1, one
            assert high > 0.9, one
            assert one.limits(4)[0] < 2.0, one
            assert one.trials == 6_000
            assert json.loads(json.dumps(one))[7] is one.has_floor, (
                "a figure is plain values, which are kept as JSON"
            )


@pytest.mark.parametrize("at", [1, 3, 7, 11])
def test_tilted_windows_weigh_as_much_as_they_are_probable(at):
    """Weights are 1 on average, and weighted windows have the shares that they were drawn from; so do those
    of a slot that is fuller than it should be as often as plain windows are."""
    rng = layouts.seeded(3, "weights")
    one = layouts.world(layouts.LAYOUTS[at], rng, 4_000, 4)
    drawn = tilted.draw(rng, one, 1_000, 5_000)
    counts = drawn.counts.reshape(5_000, 4, -1)
    error = drawn.weights.std(axis=0) / 5_000**0.5
    assert (np.abs(drawn.weights.mean(axis=0) - 1.0) < 4 * error).all()
    full = one.chances.argmax(axis=1)
    most = np.take_along_axis(counts, full[None, :, None], axis=2)[:, :, 0]
    share = one.chances.max(axis=1)
    beyond = np.ceil(1_000 * share + 2.5 * np.sqrt(1_000 * share * (1 - share)))
    weighted = (most >= beyond) * drawn.weights
    assert (
        np.abs(weighted.mean(axis=0) - binom.sf(beyond - 1, 1_000, share))
        < 5 * weighted.std(axis=0) / 5_000**0.5
    ).all()


def test_sums_reject_what_the_judge_rejects():
    """The fewest hits that count as a rejection are those whose p is at most the level."""
    one = layouts.world(sums.LAYOUTS[0], layouts.seeded(4, "sums"), 20_000, 2)
    y, m = reference_ratios(one.frame, left_out=False)
    hits, n = np.arange(0.0, 200.0), 1_000.0
    p = np.array([ratios.p_value(hits, n, a, b, 0.005) for a, b in zip(y, m, strict=True)])
    true = np.full(len(y), 0.02)
    plain = [(binom.pmf(hits, 1_000, 0.02) * (p <= level)).sum(axis=1) / level for level in rates.LEVELS]
    np.testing.assert_allclose(
        sums.rejected(one, true, 1_000, 0.005), np.transpose(plain), rtol=1e-6, atol=1e-9
    )


def test_a_shift_is_found_against_large_references_alone():
    """0.01 sigma in a million rows, as promised; in ten thousand hardly ever."""
    assert shift.power(0.01, 1_000_000, 4_000_000, references=20, seed=5).limits[1] == 1.0
    assert shift.power(0.01, 10_000, 40_000, references=20, seed=5).found < 100


def test_a_goal_is_met_when_the_limits_of_the_measurement_are():
    """Beyond the limits it is not met, and between them nobody knows."""
    made = [
        rates.Rate("l", "psi", 50, 200, 10, 2.0, 5, has_floor, (rate,) * 5, (0.01,) * 5).state(0)
        for rate, has_floor in ((1.1, False), (1.19, False), (1.3, False), (0.5, False), (0.5, True))
    ]
    assert made == ["met", "open", "not met", "met", "not met"]


def test_pages_stay_within_the_budget():
    """Twelve pages a month are accepted, and about twelve are sent in months without a change."""
    months = [pages.simulate(QUIET, seed) for seed in range(8)]
    summary = pages.summary(months)
    assert pages.state(months, pages=QUIET.pages, has_floor=True) == "met"
    assert summary["mean"] > 0.4 * QUIET.pages
    assert all(month.pages <= month.windows for month in months)


def test_consecutive_drift_windows_are_one_page():
    """An incident closes after two ok windows; warnings keep it open."""
    drift = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 1], bool)
    warn = np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0], bool)
    assert pages.openings(drift, np.zeros(10, bool)) == 3
    assert pages.openings(drift, warn) == 2
