from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.blocks import BLOCK, NONE, SEVERAL, SHORT, are_equal, find_blocks, room, sort_rows, take_rows
from tests.kernels.cases import blocks_of

runs = st.lists(
    st.tuples(st.integers(-2, 4), st.sampled_from([1, 2, SHORT - 1, SHORT, SHORT + 1, BLOCK, 2 * BLOCK + 3])),
    max_size=30,
)


def cells_of(lengths):
    return np.concatenate(
        [np.empty(0, np.int32), *(np.full(length, cell, np.int32) for cell, length in lengths)]
    )


@settings(max_examples=100, deadline=None)
@given(runs)
def test_blocks_cover_every_row_once(lengths):
    """In order and without gaps, none longer than BLOCK, and what a block calls its cell is that of its rows."""
    cell = cells_of(lengths)
    blocks = blocks_of(cell)
    assert len(blocks) <= room(len(cell))
    assert [0, *blocks[:, 2].tolist()] == [*blocks[:, 1].tolist(), len(cell)]
    for own, begin, end in blocks.tolist():
        assert 0 < end - begin <= BLOCK
        assert own == SEVERAL or set(np.maximum(cell[begin:end], NONE).tolist()) == {own}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 2 * SHORT))
def test_there_is_room_for_every_batch(rows, run):
    """The number of blocks is bounded before they are counted, for the runs that need most of them."""
    cell = (np.arange(rows) // run % 2).astype(np.int32)
    blocks = np.empty((room(rows), 3), np.int32)
    assert find_blocks(blocks, cell) <= len(blocks)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 70), st.lists(st.integers(-3, 3), max_size=2))
def test_numbers_are_equal_when_there_is_one_of_them(number, count, rest):
    """None at all are equal too, and one that differs may stand at either end."""
    for numbers in ([number] * count + rest, rest + [number] * count):
        assert are_equal(np.array(numbers, np.int32)) == (len(set(numbers)) < 2)


@settings(max_examples=50, deadline=None)
@given(runs, st.integers(0, 100))
def test_rows_are_sorted_by_cell(lengths, seed):
    """Every row is there once, those without a cell come first, and columns follow."""
    cell = np.random.default_rng(seed).permutation(cells_of(lengths))
    order = np.empty(len(cell), np.int32)
    assert sort_rows(order, np.zeros(6, np.int64), cell) == len(set(np.maximum(cell, NONE).tolist()))
    assert sorted(order.tolist()) == list(range(len(cell)))
    assert (np.diff(np.maximum(cell[order], NONE)) >= 0).all()
    values = np.arange(2.0 * len(cell)).reshape(2, -1)
    taken = np.empty_like(values)
    take_rows(taken, values, order)
    np.testing.assert_array_equal(taken, values[:, order])
