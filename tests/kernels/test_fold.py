from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.fold import fold
from kernels.layout import (
    CATEGORICAL,
    MISSING,
    NON_FINITE,
    NUMERIC,
    OTHER,
    Layout,
    Vectors,
    clear,
    grow,
    merge,
    no_rules,
)
from tests.kernels import cases

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")
"""numpy warns of 1e308 - -1e308 where the compiler is off (NUMBA_DISABLE_JIT=1)."""

CELLS = 3
LAYOUT = cases.layout(11)
RULES = cases.rules(11, LAYOUT)
seeds = st.integers(0, 2**31)


def empty(layout=LAYOUT, cells=CELLS):
    return cases.empty(layout, cells=cells, rules=RULES.count)


def folded(*batches, into=None):
    cells = into or empty()
    for batch in batches:
        fold(cells, LAYOUT, RULES, **batch)
    return cells


@settings(max_examples=40, deadline=None)
@given(seeds, st.lists(st.integers(0, 80), max_size=5))
def test_order_and_batches_do_not_matter(seed, cuts):
    """Shuffled and cut anywhere, the same rows leave the same bits."""
    batch = cases.batch(seed, LAYOUT, rows=80, cells=CELLS)
    order = np.random.default_rng(seed).permutation(80)
    parts = [cases.take(batch, part) for part in np.split(order, sorted(cuts))]
    assert cases.image(folded(*parts)) == cases.image(folded(batch))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_merge_is_associative_and_commutative(seed):
    """Cells of several partitions add up to those of one, in any order and grouping, to the bit."""
    a, b, c = (cases.batch(seed + i, LAYOUT, rows=30, cells=CELLS) for i in range(3))
    whole = cases.image(folded(a, b, c))
    left = folded(a)
    merge(left, folded(b))
    merge(left, folded(c))
    right, tail = folded(c), folded(b)
    merge(tail, folded(a))
    merge(right, tail)
    assert cases.image(left) == cases.image(right) == whole
    merge(left, empty())
    assert cases.image(left) == whole


def test_every_row_lands_in_one_slot_of_every_feature():
    """The slots of each feature add up to the rows of the cell, whatever the values are."""
    cells = folded(cases.batch(5, LAYOUT, rows=500, cells=CELLS))
    assert cells.rows.sum() > 300
    for begin, end in zip(LAYOUT.start[:-1], LAYOUT.start[1:], strict=True):
        np.testing.assert_array_equal(cells.counts[:, begin:end].sum(axis=1), cells.rows)
    np.testing.assert_array_equal(cells.latency.sum(axis=1), cells.rows)


def test_skipped_rows_leave_no_trace():
    """Rows of cell -1 (late, future) change nothing at all."""
    batch = cases.batch(6, LAYOUT, rows=50, cells=CELLS)
    batch["cell"][:] = -1
    assert cases.image(folded(batch)) == cases.image(empty())


def test_slots_of_special_values():
    """NaN is missing, infinities are non-finite, unknown codes are other."""
    layout = Layout(
        kind=np.array([NUMERIC, CATEGORICAL], np.int8),
        column=np.zeros(2, np.int32),
        start=np.array([0, 6, 10], np.int32),
        edges=np.array([0.0, 1.0, 2.0]),
        edge_start=np.array([0, 3], np.int32),
        center=np.zeros(1),
        scale=np.ones(1),
    )
    xs = [np.nan, np.inf, -np.inf, -1.0, -0.0, 0.5, 1.0, 2.0, 9.0]
    codes = [0, 1, 2, 3, 4, 99, -1, -(2**31), 2**31 - 1]
    cells = cases.empty(layout, cells=1)
    fold(
        cells,
        layout,
        no_rules(layout),
        cell=np.zeros(9, np.int32),
        values=np.array([xs]),
        codes=np.array([codes], np.int32),
        latency=np.full(9, np.nan),
        errors=np.zeros(9, np.uint8),
        offsets=np.arange(9),
    )
    assert (MISSING, NON_FINITE, OTHER) == (0, 1, 2)
    assert cells.counts[0].tolist() == [1, 2, 1, 2, 1, 2, 1, 1, 6, 1]


def test_mixed_cells_are_counted_like_cells_apart():
    """Rows of cells that are sorted, in runs or one by one leave the bits that each cell's rows leave alone."""
    batch = cases.batch(7, LAYOUT, rows=3000, cells=CELLS)
    batch["cell"][1000:2200] = 1
    apart = empty()
    for cell in range(CELLS):
        folded(cases.take(batch, np.flatnonzero(batch["cell"] == cell)), into=apart)
    mixed = folded(batch)
    one_by_one = empty()
    for row in range(0, 3000, 40):
        folded(cases.take(batch, np.arange(row, row + 40)), into=one_by_one)
    assert cases.image(mixed) == cases.image(apart) == cases.image(one_by_one)


def test_grow_and_clear_keep_the_other_cells():
    """Cells survive growing; a cleared one counts from nothing again."""
    batch = cases.batch(8, LAYOUT, rows=60, cells=CELLS)
    wider = grow(folded(batch), LAYOUT, to=7)
    before = [array[1].copy() for array in wider]
    clear(wider, 0)
    for array, kept in zip(wider, before, strict=True):
        np.testing.assert_array_equal(array[1], kept)
    for array, fresh in zip(wider, empty(cells=1), strict=True):
        np.testing.assert_array_equal(array[0], fresh[0])


def test_arrays_need_not_be_contiguous_or_writable():
    """Views, column-major and read-only arrays (a loaded reference) fold like fresh ones."""
    batch = cases.batch(9, LAYOUT, rows=60, cells=CELLS)
    odd = {name: np.asfortranarray(np.repeat(array, 2, axis=-1)[..., ::2]) for name, array in batch.items()}
    frozen = Layout(*(array.copy() for array in LAYOUT[:-1]), Vectors(*(a.copy() for a in LAYOUT.vectors)))
    rules = RULES._replace(low=RULES.low.copy(), forbidden=RULES.forbidden.copy())
    for array in [*frozen[:-1], *frozen.vectors, rules.low, rules.forbidden, *odd.values()]:
        array.flags.writeable = False
    cells = empty()
    fold(cells, frozen, rules, **odd)
    assert cases.image(cells) == cases.image(folded(batch))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("values", (2, 20)),
        ("codes", (2, 19)),
        ("vectors", (20, 36)),
        ("latency", (19,)),
        ("offsets", (21,)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, shape):
    """A wrong shape raises before anything is counted, it never reads foreign memory."""
    batch = cases.batch(10, LAYOUT, rows=20, cells=CELLS)
    batch[name] = np.zeros(shape, batch[name].dtype)
    cells = empty()
    with pytest.raises(ValueError, match=f"do not fit the layout .*{name}"):
        fold(cells, LAYOUT, RULES, **batch)
    assert cells.rows.sum() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        no_rules(LAYOUT),
        RULES._replace(low=np.zeros(2)),
        RULES._replace(null=np.full(LAYOUT.features, RULES.count, np.int32)),
        RULES._replace(forbidden=np.zeros(LAYOUT.slots + 1, np.uint8)),
    ],
)
def test_rules_that_do_not_fit_are_refused(wrong):
    """Rules of another contract or layout raise before anything is counted."""
    cells = empty()
    with pytest.raises(ValueError, match=r"do not fit the layout .*rules"):
        fold(cells, LAYOUT, wrong, **cases.batch(10, LAYOUT, rows=20, cells=CELLS))
    assert cells.rows.sum() == 0


def test_a_cell_that_does_not_exist_is_refused():
    """A row of a cell beyond the allocated ones raises ValueError."""
    batch = cases.batch(10, LAYOUT, rows=20, cells=CELLS)
    batch["cell"][7] = CELLS
    with pytest.raises(ValueError, match="cell"):
        folded(batch)


def test_threads_fold_into_their_own_cells():
    """Folds of several partitions at once give what they give one after the other."""
    batches = [cases.batch(20 + i, LAYOUT, rows=2000, cells=CELLS) for i in range(3)]
    states = [empty() for _ in batches]
    threads = [
        threading.Thread(target=lambda s=state, b=batch: [fold(s, LAYOUT, RULES, **b) for _ in range(5)])
        for state, batch in zip(states, batches, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state, batch in zip(states, batches, strict=True):
        assert cases.image(state) == cases.image(folded(*[batch] * 5))
