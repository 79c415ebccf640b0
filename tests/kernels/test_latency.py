from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.latency import STEPS, add_latency, latency_bin, latency_edges, latency_quantile
from kernels.layout import LATENCY_BINS, LATENCY_GAMMA, LATENCY_MIN_MS
from tests import naive
from tests.kernels.cases import blocks_of

EDGES = latency_edges()
near = st.sampled_from([e for e in EDGES.tolist() if math.isfinite(e)]).flatmap(
    lambda e: st.sampled_from([e, math.nextafter(e, math.inf), math.nextafter(e, -math.inf)])
)


def histogram(ms):
    hist = np.zeros((1, LATENCY_BINS), np.int64)
    cell = np.zeros(len(ms), np.int32)
    add_latency(hist, cell, blocks_of(cell), np.array(ms, float), EDGES, STEPS)
    return hist[0]


def test_edges_are_the_same_everywhere():
    """Edges are products, so these bits hold on every machine; the last finite one is 2.6 hours."""
    assert len(EDGES) == LATENCY_BINS
    assert EDGES.tolist() == naive.EDGES
    assert np.all(np.diff(EDGES) > 0)
    assert EDGES[500] == float.fromhex("0x1.598f588ba503dp+4")
    assert EDGES[-2] / 3_600_000 == pytest.approx(2.6, abs=0.1)
    np.testing.assert_allclose(
        EDGES[1:-1], LATENCY_MIN_MS * LATENCY_GAMMA ** np.arange(LATENCY_BINS - 2.0), rtol=1e-12
    )


@settings(max_examples=200, deadline=None)
@given(near | st.floats())
def test_bin_is_the_first_edge_that_is_not_below(ms):
    """Every double, edges and their neighbours fall where a linear search finds them."""
    assert latency_bin(EDGES, STEPS, ms) == naive.latency_bin(ms)


def test_missing_and_negative_are_counted_apart():
    """NaN and negative latencies take bin 0 and never a quantile."""
    hist = histogram([np.nan, -1.0, -np.inf, 5.0])
    assert hist[0] == 3
    assert latency_quantile(hist, 0.0) == pytest.approx(5.0, rel=0.01)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(LATENCY_MIN_MS * 1.01, 9e6), min_size=1, max_size=60),
    st.sampled_from([0, 0.5, 0.9, 0.99, 1]),
)
def test_quantiles_are_within_one_percent(ms, q):
    """DDSketch's guarantee, for any latencies between a microsecond and 2.5 hours."""
    assert latency_quantile(histogram(ms), q) == pytest.approx(naive.quantile(ms, q), rel=0.010001)


def test_quantiles_outside_the_range_are_its_limits():
    """Below a microsecond and above 2.6 hours the histogram only knows that."""
    assert latency_quantile(histogram([0.0, -0.0, 1e-9]), 0.5) == LATENCY_MIN_MS
    assert latency_quantile(histogram([1e9, np.inf]), 0.5) == EDGES[-2]
    assert math.isnan(latency_quantile(histogram([]), 0.5))
