from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.bins import DROP, EDGES, MIDDLE, NESTS, add_values
from kernels.blocks import BLOCK
from kernels.layout import NUMERIC, Layout
from kernels.lookup import FAR, PAD, build, lookup, positions
from kernels.ranks import find_positions, find_ranks
from tests import naive
from tests.kernels.cases import blocks_of

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
"""numpy warns of 1e308 - -1e308 and of signalling NaNs where the compiler is off (NUMBA_DISABLE_JIT=1)."""

doubles = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = float(np.finfo(np.float64).max)


def layout_of(*features) -> Layout:
    """Numeric features with these edges."""
    sizes = [len(edges) for edges in features]
    return Layout(
        kind=np.full(len(sizes), NUMERIC, np.int8),
        column=np.arange(len(sizes), dtype=np.int32),
        start=np.cumsum([0, *(size + 3 for size in sizes)], dtype=np.int32),
        edges=np.concatenate([np.asarray(edges, float) for edges in features]),
        edge_start=np.cumsum([0, *sizes], dtype=np.int32),
        center=np.zeros(len(sizes)),
        scale=np.ones(len(sizes)),
    )


def counted(layout, values, cell, *, cells=1):
    """What `add_values` leaves of zeros."""
    counts = np.zeros((cells, layout.slots), np.int64)
    tables = lookup(layout)
    add_values(counts, cell, blocks_of(cell), values, layout.kind, layout.column, layout.start, *tables)
    return counts


def slots(edges, x):
    """Slots by `searchsorted`, quick enough for large arrays; a twin of the twin."""
    found = 2 + np.searchsorted(edges, x, side="right")
    return np.where(np.isnan(x), 0, np.where(np.isinf(x), 1, found))


@st.composite
def clusters(draw):
    """Edges that lie a few ulps, or a tiny or huge step apart, around a few places of any size."""
    edges = set()
    for place in draw(st.lists(doubles, min_size=1, max_size=4)):
        step = draw(st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e300]))
        at = place
        for i in range(draw(st.integers(1, 40))):
            at = math.nextafter(at, math.inf) if step == 0.0 else place + i * step
            if math.isfinite(at):
                edges.add(at + 0.0)
    return sorted(edges or {0.0})


@st.composite
def searches(draw):
    """Edges of any size and values that sit on, beside and far from them."""
    edges = draw(clusters() | st.lists(doubles, min_size=1, max_size=40).map(sorted))
    near = st.sampled_from(edges).flatmap(
        lambda e: st.sampled_from([e, -e, math.nextafter(e, math.inf), math.nextafter(e, -math.inf)])
    )
    return edges, draw(st.lists(near | st.floats(), min_size=1, max_size=40))


@settings(max_examples=400, deadline=None)
@given(searches(), st.integers(1, 3))
def test_every_value_lands_in_its_slot(search, cells):
    """Every double, the edges themselves, both zeros and denormals are counted where the twin says."""
    edges, xs = search
    cell = np.arange(len(xs), dtype=np.int32) % cells
    counts = counted(layout_of(edges), np.array([xs]), cell, cells=cells)
    want = np.zeros_like(counts)
    for x, to in zip(xs, cell.tolist(), strict=True):
        want[to, naive.slot_of(x, edges)] += 1
    np.testing.assert_array_equal(counts, want)


SHAPES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "far from zero": lambda rng, size: 1e15 + rng.normal(size=size) * 10,
    "heavy tail": lambda rng, size: rng.standard_cauchy(size=size) ** 3,
    "lognormal": lambda rng, size: rng.lognormal(0, 40, size=size),
    "two clusters": lambda rng, size: rng.choice([0.0, 1e9], size) + rng.normal(size=size) * 1e-6,
    "denormal": lambda rng, size: rng.integers(-(2**20), 2**20, size) * 5e-324,
    "whole range": lambda rng, size: rng.integers(-(2**63), 2**63, size).view(np.float64),
    "integers": lambda rng, size: rng.integers(0, 60, size).astype(float),
    "neighbours": lambda rng, size: 1.0 + rng.integers(0, 10_000, size) * 2.0**-52,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 21, 255, 256, 257, 1000, 4095, 4097])
def test_every_number_of_edges_is_searched_to_its_ends(shape, size):
    """Each edge, its two neighbours, infinities and NaN are found for every size and shape."""
    rng = np.random.default_rng(size)
    drawn = SHAPES[shape](rng, 2 * size + 50)
    edges = np.unique(drawn[np.isfinite(drawn)] + 0.0)
    edges = np.sort(rng.choice(edges, min(size, len(edges)), replace=False))
    x = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), drawn])
    x = rng.permutation(np.concatenate([x, [-np.inf, np.inf, np.nan, -np.nan, 0.0, -0.0, LARGEST, -LARGEST]]))
    counts = counted(layout_of(edges), x[None], np.zeros(len(x), np.int32))
    np.testing.assert_array_equal(counts[0], np.bincount(slots(edges, x), minlength=len(edges) + 3))


@pytest.mark.parametrize("size", [32_768, 70_000])
def test_more_edges_than_16_bits_have_numbers(size):
    """Tables of very many edges count like those of few, crowded or not."""
    rng = np.random.default_rng(size)
    for edges in (np.unique(rng.normal(size=2 * size))[:size], 1.0 + np.arange(size) * 2.0**-50):
        layout = layout_of(edges)
        x = np.concatenate([edges, np.nextafter(edges, -np.inf), [np.nan]])
        counts = counted(layout, x[None], np.zeros(len(x), np.int32))
        np.testing.assert_array_equal(counts[0], np.bincount(slots(edges, x), minlength=len(edges) + 3))


def test_blocks_of_one_cell_of_several_and_of_none_agree():
    """However cells are spread over blocks, and past 65,535 rows of one cell, each row counts once."""
    rng = np.random.default_rng(3)
    kinds = [0, 1, -1, None, 1, 1, None, *[2] * 70, 0]
    rows = len(kinds) * BLOCK - 100
    cell = np.concatenate(
        [rng.integers(-1, 3, BLOCK) if kind is None else np.full(BLOCK, kind) for kind in kinds]
    )[:rows].astype(np.int32)
    features = [np.array([-1.0, 0.0, 1.0]), np.unique(rng.normal(size=300))]
    values = rng.normal(size=(2, rows))
    values[0, 1] = 7.0  # one value for all rows of a block: its 16 bits are full
    values[0, 7 * BLOCK :] = 0.5
    values[1, rng.random(rows) < 0.2] = np.nan
    values[1, rng.random(rows) < 0.1] = -np.inf
    layout = layout_of(*features)
    counts = counted(layout, values, cell, cells=3)
    for feature, edges in enumerate(features):
        own = slots(edges, values[feature])
        for to in range(3):
            np.testing.assert_array_equal(
                counts[to, layout.start[feature] : layout.start[feature + 1]],
                np.bincount(own[cell == to], minlength=len(edges) + 3),
            )


@settings(max_examples=200, deadline=None)
@given(clusters(), st.lists(doubles, min_size=2, max_size=20))
def test_positions_keep_the_order_of_values(edges, xs):
    """What the tables rest on: a larger value never has a smaller position, and every position has a step."""
    tables = build(np.array(edges), np.array([0, len(edges)]))
    middle = int(tables.spans[0, MIDDLE])
    found = np.empty(len(xs) + 2, np.int32)
    ordered = np.array([-np.inf, *sorted(xs), np.inf])
    assert find_positions(found, ordered, *tables.scales[0], middle) != 0
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (1, 2 * middle - 1)
    np.testing.assert_array_equal(found, positions(ordered, tuple(tables.scales[0].tolist()), middle))
    assert len(tables.entries) == 2 * middle >> tables.spans[0, DROP]


@given(searches())
def test_ranks_that_are_not_left_are_right(search):
    """A rank is found without comparing an edge only where that is enough."""
    edges, xs = search
    tables = build(np.array(edges), np.array([0, len(edges)]))
    x = np.array(xs)
    found = np.empty(len(x), np.int32)
    find_positions(found, x, *tables.scales[0], int(tables.spans[0, MIDDLE]))
    left = find_ranks(found, tables.entries, len(x), int(tables.spans[0, DROP]))
    assert left == np.count_nonzero(found < 0)
    settled = (found >= 0) & ~np.isnan(x)
    np.testing.assert_array_equal(found[settled], np.searchsorted(edges, x, side="right")[settled])


@pytest.mark.parametrize("size", [20, 300, 4000])
def test_crowded_steps_have_steps_of_their_own(size):
    """Clusters far from each other are not searched edge by edge."""
    rng = np.random.default_rng(size)
    edges = np.unique(np.concatenate([place + rng.normal(size=size) for place in (-1e9, 0.0, 3e8, 7e12)]))
    tables = build(edges, np.array([0, len(edges)]))
    codes = ~(tables.entries >> tables.spans[0, DROP])
    assert tables.spans[0, NESTS] == np.count_nonzero(codes > tables.spans[0, EDGES]) > 0
    assert np.mean(tables.inner < 0) < 0.05


@pytest.mark.parametrize("shape", ["normal", "lognormal", "integers"])
def test_few_steps_are_crowded(shape):
    """Ordinary columns need no search: what the tables are made for."""
    edges = np.unique(np.quantile(SHAPES[shape](np.random.default_rng(1), 100_000), np.linspace(0, 1, 257)))
    tables = build(edges, np.array([0, len(edges)]))
    assert np.mean(tables.entries < 0) < 0.05
    assert len(tables.entries) <= 4 * FAR * len(edges)
    assert np.isnan(tables.bounds[-PAD:]).all()


def test_tables_are_made_once_and_go_with_their_layout():
    """A layout's tables are kept as long as its edges, and not longer."""
    layout = layout_of([0.0, 1.0])
    tables = lookup(layout)
    assert lookup(layout) is tables
    assert lookup(layout._replace(center=np.ones(1))) is tables
    assert lookup(layout._replace(edge_start=layout.edge_start.copy())) is not tables
    gone = weakref.ref(layout.edges)
    del layout
    gc.collect()
    assert gone() is None
