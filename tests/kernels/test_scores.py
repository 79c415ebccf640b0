"""The parts of the scoring kernel that have to be exact; the whole is in `test_twins`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import scores
from tests import naive_scores as naive

words = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 9), st.integers(2**63 - 2, 2**63 + 2))
bins = st.lists(st.one_of(st.just(0), st.integers(0, 10**9)), min_size=3, max_size=12)


def read(sums, count, center=0.0, scale=1.0):
    out = np.zeros(scores.OUTPUTS)
    scores.moments(out, np.asarray(sums, np.int64), count, center, scale)
    return float(out[scores.MEAN]), float(out[scores.STD])


@given(high=words, low=words, below=st.one_of(st.integers(1, 9), st.integers(1, 2**63)))
@settings(max_examples=500, deadline=None)
def test_a_ratio_of_128_bits_is_rounded_once(high, low, below):
    """It is what Python's integers give, to the last bit."""
    got = scores.ratio(np.uint64(high), np.uint64(low), np.uint64(below))
    assert got == ((high << 64) + low) / below


@given(
    total=st.integers(-(2**63) + 1, 2**63 - 1),
    low=st.integers(0, 2**63 - 1),
    high=st.integers(0, 2**63 - 1),
    count=st.one_of(st.integers(1, 50), st.integers(1, 2**31)),
    center=st.floats(-1e6, 1e6),
    scale=st.floats(1e-6, 1e6),
)
@settings(max_examples=500, deadline=None)
def test_mean_and_deviation_are_those_of_integers_without_end(total, low, high, count, center, scale):
    """Equal to the last bit wherever squares of 2**31 rows can lie, and 0 where words contradict each other."""
    high = min(high, (2**127 // count - low) >> 32)
    assert read((total, low, high), count, center, scale) == naive.mean_std(
        (total, low, high), count, center, scale
    )


def test_rows_of_the_largest_square_fit():
    """2**31 rows at the clip, half of them on either side."""
    rows, square = 2**31, (2**32 - 1) ** 2
    sums = (0, (square % 2**32) * rows, (square >> 32) * rows)
    assert read(sums, rows) == naive.mean_std(sums, rows, 0.0, 1.0)


@given(counts=bins, share=st.floats(0.001, 1.0), seed=st.integers(0, 1000), known=st.booleans())
@settings(max_examples=300, deadline=None)
def test_quantiles_equal_their_twin(counts, share, seed, known):
    """Also where below and above reach to unknown ends, and NaN where there are no rows."""
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.normal(size=len(counts) - 1))
    ends = np.sort(rng.normal(size=2)) * 2 if known else np.array([np.inf, -np.inf])
    got = scores.quantile(np.array(counts), edges, share, *ends)
    want = naive.quantile(np.array(counts), edges, share, *ends)
    assert got == want or (math.isnan(got) and math.isnan(want))


def test_quantiles_reach_into_below_and_above():
    """Between the window's own extremes and the edges values are spread evenly."""
    edges, counts = np.array([0.0, 1.0, 2.0]), np.array([10, 0, 0, 10])
    assert scores.quantile(counts, edges, 0.25, -4.0, 6.0) == -2.0
    assert scores.quantile(counts, edges, 0.75, -4.0, 6.0) == 4.0
    assert np.isnan(scores.quantile(counts * 0, edges, 0.5, np.inf, -np.inf))


@pytest.mark.parametrize("side", [0, 1])
def test_a_side_without_values_has_no_distance(side):
    """D is 0 and the area unknown where the window or the reference is empty."""
    sides = [np.zeros(4, np.int64), np.array([0, 5, 5, 0])]
    out = np.full(scores.OUTPUTS, 7.0)
    scores.distances(out, sides[side], sides[1 - side], np.array([0.0, 1.0, 2.0]), np.zeros(2), 0)
    assert out[scores.KS] == 0.0
    assert np.isnan(out[scores.WASSERSTEIN])
