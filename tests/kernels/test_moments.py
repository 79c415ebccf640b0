from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.blocks import BLOCK, SEVERAL
from kernels.moments import add_moments
from kernels.scores import MEAN, OUTPUTS, STD, moments
from tests import naive


def fold(xs, *, center=0.0, scale=1.0):
    sums = np.zeros((1, 1, 3), np.int64)
    extremes = np.array([[[np.inf, -np.inf]]])
    cell = np.zeros(len(xs), np.int32)
    blocks = np.array([[0, at, min(at + BLOCK, len(xs))] for at in range(0, len(xs), BLOCK)], np.int32)
    add_moments(sums, extremes, cell, blocks, np.array([xs], float), np.array([center]), np.array([scale]))
    several = sums * 0, np.array([[[np.inf, -np.inf]]])
    blocks[:, 0] = SEVERAL
    add_moments(*several, cell, blocks, np.array([xs], float), np.array([center]), np.array([scale]))
    assert (sums.tobytes(), extremes.tobytes()) == tuple(array.tobytes() for array in several)
    return sums[0, 0], extremes[0, 0]


def mean_std(sums, count, *, center=0.0, scale=1.0):
    out = np.zeros(OUTPUTS)
    moments(out, sums, count, center, scale)
    return out[MEAN], out[STD]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_mean_and_deviation_are_exact_but_for_the_last_rounding(xs, center, scale):
    """Read back from integers, they equal a computation by fractions."""
    sums, _ = fold(xs, center=center, scale=scale)
    mean, std = mean_std(sums, len(xs), center=center, scale=scale)
    want_mean, want_std = naive.mean_std(xs, center, scale)
    assert mean == pytest.approx(want_mean, rel=1e-14, abs=1e-14 * max(abs(center), scale))
    assert std == pytest.approx(want_std, rel=1e-14, abs=1e-300)


def test_mean_and_deviation_are_close_to_those_of_the_values():
    """With a sensible centre and scale the rounding to 2**-16 of the scale is not seen."""
    xs = np.random.default_rng(3).normal(1000.0, 7.0, 5000)
    sums, extremes = fold(xs, center=1000.0, scale=9.0)
    mean, std = mean_std(sums, 5000, center=1000.0, scale=9.0)
    assert mean == pytest.approx(xs.mean(), abs=1e-5)
    assert std == pytest.approx(xs.std(), abs=1e-5)
    assert extremes.tolist() == [xs.min(), xs.max()]


def test_one_wild_value_is_clipped_in_the_sums_and_kept_in_the_extremes():
    """1e300 counts as 65,536 scales; its square fits the words to the last bit."""
    sums, extremes = fold([1e300, -1e300])
    assert sums.tolist() == [0, 2 * ((2**32 - 1) ** 2 % 2**32), 2 * ((2**32 - 1) ** 2 >> 32)]
    assert extremes.tolist() == [-1e300, 1e300]


@pytest.mark.parametrize("wild", [np.nan, np.inf, -1e300, 8191.9, 8192.1, -32767.9, 32768.1, -65536.1])
@pytest.mark.parametrize("center", [0.0, 1e15])
def test_a_wild_value_among_tame_ones_changes_nothing_else(wild, center):
    """Blocks without missing, clipped and extreme values are added in a shorter way: to the same bits."""
    xs = center + np.random.default_rng(5).normal(size=12 * BLOCK)
    xs[3 * BLOCK + 7] = center + wild
    sums, extremes = fold(xs, center=center, scale=1.0)
    want = np.zeros((1, 3), np.int64)
    for x in xs[np.isfinite(xs)].tolist():
        q = naive.quantum(x, center, 1.0)
        square = min(abs(q), 2**32 - 1) ** 2
        want += np.array([q, square % 2**32, square // 2**32])
    assert sums.tolist() == want[0].tolist()
    assert extremes.tolist() == [xs[np.isfinite(xs)].min(), xs[np.isfinite(xs)].max()]


def test_the_narrowest_scale_has_a_rate():
    """Of a scale without a finite inverse every other value is clipped, and the center is 0."""
    with np.errstate(over="ignore"):
        sums, _ = fold([0.0, 1.0, 1.0, -1.0], scale=5e-324)
    assert sums[0] == 2**32


def test_rounding_is_half_to_even():
    """Ties go to the even integer, as the naive twin's `round` does."""
    for tie in (0.5, 1.5, 2.5, -0.5, -1.5, -2.5):
        assert fold([tie / 65536])[0][0] == round(tie)


def test_the_sign_of_zero_does_not_depend_on_the_order():
    """-0.0 and 0.0 leave the same extremes whichever comes first."""
    images = {fold(xs)[1].tobytes() for xs in ([0.0, -0.0], [-0.0, 0.0], [-0.0])}
    assert len(images) == 1


def test_no_values_have_no_mean():
    """Without finite values the sums stay zero and the mean is NaN, not 0."""
    sums, extremes = fold([np.nan, np.inf, -np.inf])
    assert sums.tolist() == [0, 0, 0]
    assert extremes.tolist() == [np.inf, -np.inf]
    mean, std = mean_std(sums, 0)
    assert math.isnan(mean)
    assert math.isnan(std)
