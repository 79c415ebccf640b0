"""How much likelier it is that later rows are distributed otherwise, against a search in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.tilted import NEVER, tilt, tilt_each

SLOTS = 5

counted = st.lists(st.integers(0, 300), min_size=SLOTS, max_size=SLOTS)
ways_of = st.lists(st.floats(-3.0, 3.0), min_size=SLOTS, max_size=SLOTS)


def found(after, before, ways) -> float:
    """What the kernel says of one way and one pane; both parts float64[slots]."""
    after, whole = np.array(after, float), np.array(after, float) + before
    out = np.array([[after @ ways]])
    rows = np.array([after.sum()])
    tilt(out, rows, float(whole.sum()), whole / whole.sum(), np.array([ways], float), 1)
    each = np.array([after @ ways])
    tilt_each(each, rows, float(whole.sum()), whole / whole.sum(), np.array([ways], float))
    assert out[0, 0] == pytest.approx(each[0], abs=1e-4)
    return float(out[0, 0])


def naive(after, before, ways) -> float:
    """The likelihood of a logistic regression of after or before on the way, by a search for its intercept, to that without it."""
    n, m = sum(after), sum(before)

    def fit(a):
        odds = [math.log(n / m) + a + way for way in ways]
        return sum(
            c * o - (c + b) * math.log1p(math.exp(o)) for c, b, o in zip(after, before, odds, strict=True)
        )

    low, high = -80.0, 80.0
    while high - low > 1e-9:
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (first, high) if fit(first) < fit(second) else (low, second)
    return fit(low) - (n * math.log(n / m) - (n + m) * math.log1p(n / m))


@settings(max_examples=200, deadline=None)
@given(after=counted.filter(any), before=counted, ways=ways_of)
def test_it_is_the_likelihood_of_a_logistic_regression(after, before, ways):
    """Of any counts; before has at least a little in each slot, as a reference does."""
    before = [b + 0.5 for b in before]
    assert found(after, before, np.array(ways)) == pytest.approx(naive(after, before, ways), abs=5e-3)


@settings(max_examples=100, deadline=None)
@given(after=counted.filter(any), ways=ways_of)
def test_beside_many_rows_it_is_the_ratio_to_what_is_known(after, ways):
    """Σ c way − n ln E exp way, of a reference of 1e9 rows."""
    q = np.full(SLOTS, 1 / SLOTS)
    known = np.array(after) @ ways - sum(after) * math.log(float(np.exp(ways) @ q))
    assert found(after, 1e9 * q, np.array(ways)) == pytest.approx(known, abs=0.01)


def test_what_is_added_to_a_way_changes_nothing():
    """A way is known but for a constant, whatever its size."""
    rng = np.random.default_rng(4)
    after, before = rng.poisson(50.0, SLOTS), rng.poisson(90.0, SLOTS) + 0.5
    ways = rng.normal(size=SLOTS)
    plain = found(after, before, ways)
    assert found(after, before, ways + 400.0) == pytest.approx(plain, abs=1e-6)
    assert found(after, before, np.zeros(SLOTS)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("far", [30.0, 700.0, 5e4])
def test_a_way_that_leaves_nothing_possible_is_finite(far):
    """All rows in one slot: likely where they are, and most unlikely where any is elsewhere."""
    ways = np.array([far, 0.0, 0.0, 0.0, 0.0])
    before = np.full(SLOTS, 20.0)
    stuck, others = found([40, 0, 0, 0, 0], before, ways), found([20, 5, 5, 5, 5], before, ways)
    assert 40 < stuck < 90
    assert -np.inf < others < -100


def test_rows_that_are_drawn_alike_are_no_likelier_on_the_average():
    """Its mean is nearly 1 where a part is drawn at random from rows that are given, however small the rest is."""
    rng = np.random.default_rng(8)
    whole = np.array([60, 30, 10, 40, 60])
    ways = np.array([0.5, -0.2, 0.1, 0.0, -0.4])
    parts = rng.multivariate_hypergeometric(whole, 150, size=4_000)
    each = np.exp([found(part, whole - part, ways) for part in parts])
    print(f"mean {each.mean():.3f} ± {each.std() / 4_000**0.5:.3f}")
    assert each.mean() == pytest.approx(1.0, abs=0.05 + 4 * each.std() / 4_000**0.5)


def test_larger_sizes_of_a_direction_are_left_out_once_it_is_out_of_question():
    """Up to NEVER nothing changes, and what is left out is below it, too."""
    rng = np.random.default_rng(11)
    after = np.cumsum(rng.poisson(40.0, (12, SLOTS))[::-1], axis=0)[::-1].astype(float)
    whole = after[0] + rng.poisson(300.0, SLOTS)
    sizes = np.geomspace(0.01, 4.0, 14)
    ways = np.concatenate([sizes[:, None] * way for way in rng.normal(size=(6, SLOTS))])
    arguments = after.sum(axis=1), float(whole.sum()), whole / whole.sum(), ways
    each, along = np.ascontiguousarray(ways @ after.T), np.ascontiguousarray(ways @ after.T)
    tilt(each, *arguments, 1)
    tilt(along, *arguments, len(sizes))
    kept = along >= NEVER
    assert 0.1 < kept.mean() < 0.95
    np.testing.assert_allclose(along[kept], each[kept], atol=1e-3)
    assert (each[~kept] < NEVER + 1e-3).all()


def test_panes_are_of_their_own():
    """Each pane has what it would have alone, and one without rows has nothing."""
    rng = np.random.default_rng(9)
    panes, ways = rng.poisson(12.0, (20, SLOTS)), rng.normal(size=(7, SLOTS))
    panes[17:] = 0
    after = np.cumsum(panes[::-1], axis=0)[::-1].astype(float)
    whole = after[0] + 33.0
    out = np.ascontiguousarray(ways @ after.T)
    tilt(out, after.sum(axis=1), float(whole.sum()), whole / whole.sum(), ways, 1)
    for way in range(7):
        alone = [found(one, whole - one, ways[way]) if one.any() else 0.0 for one in after]
        np.testing.assert_allclose(out[way], alone, atol=1e-3)
