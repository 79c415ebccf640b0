"""How often bounds are left that are looked at again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.labels.figures import realise
from monitor.labels.sequences import START, bound_share, half_width
from tests.labels.rows import binary, multiclass, regression, scored

ALPHA = 0.05
LOOKS = np.unique(np.geomspace(10, 20_000, 60).astype(int))


def ever_left(runs, draw, truth):
    """Figure → share of runs in which its bounds were left at some look; `draw` rng → a cell of the first n rows."""
    left = dict.fromkeys(truth, 0)
    for run in range(runs):
        cell_of = draw(np.random.default_rng([7, run]))
        figures = [realise(cell_of(n), alpha=ALPHA).figures for n in LOOKS]
        for name, value in truth.items():
            there = [of[name] for of in figures if name in of]
            left[name] += any(not of.low <= value <= of.high for of in there)
    return {name: count / runs for name, count in left.items()}


def test_bounds_of_a_share_are_those_of_the_mixture():
    """They end where the martingale is 1/alpha, and are the whole range before the first row."""
    assert bound_share(0, 0, ALPHA) == (0.0, 1.0)
    low, high = bound_share(0, 50, ALPHA)
    assert low == 0.0
    assert bound_share(50, 50, ALPHA) == pytest.approx((1 - high, 1.0))
    from scipy.special import betaln

    for hits, rows in [(1, 3), (30, 100), (999_000, 1_000_000)]:
        for share in bound_share(hits, rows, ALPHA):
            mixture = betaln(0.5 + hits, 0.5 + rows - hits) - betaln(0.5, 0.5)
            e = mixture - hits * math.log(share) - (rows - hits) * math.log1p(-share)
            assert e == pytest.approx(-math.log(ALPHA), abs=1e-6)


def test_asymptotic_bounds_need_rows():
    """Before START rows there are none; later they shrink nearly as one over the root of the rows."""
    assert half_width(1.0, START - 1, ALPHA) == math.inf
    assert half_width(1.0, 1_000, ALPHA) == pytest.approx(3.05 / math.sqrt(1_000), rel=0.02)
    assert half_width(4.0, 10**6, ALPHA) == pytest.approx(2 * half_width(1.0, 10**6, ALPHA))


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-0.5, -4.0])
def test_bounds_of_scores_hold_at_all_looks(shift):
    """At 5 % no figure leaves its bounds in more runs than that, also where label 1 is rare."""
    big, labels = scored(np.random.default_rng(3), 4_000_000, shift=shift)
    truth = {name: figure.value for name, figure in realise(binary(big, labels, 0.5)).figures.items()}
    truth["calibration_error"] = 0.0

    def draw(rng):
        scores, labels = scored(rng, int(LOOKS[-1]), shift=shift)
        return lambda n: binary(scores[:n], labels[:n], 0.5)

    left = ever_left(200, draw, truth)
    assert max(left.values()) <= 0.08, left  # 5 % and two standard errors of 200 runs


@pytest.mark.slow
def test_bounds_of_numbers_and_classes_hold_at_all_looks():
    """The same of heavy errors, whose fourth powers are not counted, and of unequal classes."""

    def numbers(rng):
        labels = rng.normal(0, 2, LOOKS[-1])
        predictions = labels + 0.2 + rng.standard_t(6, LOOKS[-1])
        return lambda n: regression(predictions[:n], labels[:n], 1.0)

    truth = {"bias": 0.2, "rmse": math.sqrt(0.04 + 1.5)}
    left = ever_left(200, numbers, truth)
    assert max(left.values()) <= 0.08, left

    def pick(rng, rows):
        labels = rng.choice(4, rows, p=[0.7, 0.2, 0.08, 0.02])
        return np.where(rng.random(rows) < 0.8, labels, rng.integers(0, 4, rows)), labels

    def classes(rng):
        predicted, labels = pick(rng, int(LOOKS[-1]))
        return lambda n: multiclass(predicted[:n], labels[:n], 4)

    many = realise(multiclass(*pick(np.random.default_rng(3), 4_000_000), 4)).figures
    left = ever_left(200, classes, {name: figure.value for name, figure in many.items()})
    assert max(left.values()) <= 0.08, left
