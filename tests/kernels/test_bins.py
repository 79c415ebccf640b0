from __future__ import annotations

import bisect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.bins import BLOCK, count_edges
from tests import naive

doubles = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def searches(draw):
    """Edges of any size and values that sit on, beside and far from them."""
    edges = sorted(draw(st.lists(doubles, min_size=1, max_size=40)))
    near = st.sampled_from(edges).flatmap(
        lambda e: st.sampled_from([e, -e, math.nextafter(e, math.inf), math.nextafter(e, -math.inf)])
    )
    return edges, draw(st.lists(near | st.floats(), min_size=1, max_size=40))


@settings(max_examples=200, deadline=None)
@given(searches())
def test_count_edges_is_searchsorted(search):
    """Every double, the edges themselves, both zeros and denormals fall where numpy puts them."""
    edges, xs = search
    found = np.full(len(xs), -9)
    count_edges(found, np.array(xs), np.array(edges))
    for x, place in zip(xs, found.tolist(), strict=True):
        assert place == (0 if math.isnan(x) else bisect.bisect_right(edges, x))
        if math.isfinite(x):
            assert naive.slot_of(x, edges) == 2 + place


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 21, 255, 256, 257, 1000, 4095, 4096])
def test_every_number_of_edges_is_searched_to_its_ends(size):
    """Each edge, its two neighbours and both infinities are found for every depth of the search."""
    edges = np.unique(np.random.default_rng(size).normal(size=size))
    x = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), [-np.inf, np.inf]])
    for part in np.split(x, range(BLOCK, len(x), BLOCK)):
        found = np.empty(BLOCK, np.int64)
        count_edges(found, part, edges)
        np.testing.assert_array_equal(found[: len(part)], np.searchsorted(edges, part, side="right"))
