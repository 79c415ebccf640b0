"""Numbering the cells of a batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.pairs import number_pairs
from tests import naive


def run(rows, *, room=256):
    """Numbers and first rows of rows (group, pane), and the scratch that is left."""
    group, pane = (np.array(column, dtype) for column, dtype in zip(zip(*rows, strict=True), ("i4", "i8"), strict=True)) if rows else (np.empty(0, np.int32), np.empty(0, np.int64))  # fmt: skip
    table = np.full(2 * room, -1, np.int32)
    first, taken, number = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(len(rows), np.int32)
    count = number_pairs(table, taken, first, group, pane, number)
    return number.tolist(), first[:count].tolist(), table


panes = st.sampled_from([-1, -2, 0, 60_000, 120_000, 1_700_000_040_000]) | st.integers(-3, 2**62)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 2**31 - 1), panes), max_size=120))
def test_pairs_are_numbered_as_the_twin_does(rows):
    """In the order they are met, whatever they hash to; the scratch is left as it was found."""
    number, first, table = run(rows)
    assert (number, first) == naive.number_pairs(rows)
    assert (table == -1).all()


def test_a_full_table_still_ends():
    """As many different pairs as there is room for: half of the table is used."""
    rows = [(i % 16, i // 16 * 60_000) for i in range(256)]
    number, first, _ = run(rows)
    assert number == first == list(range(256))
