"""Step 5: batches cut into blocks whose rows belong to one cell, which are counted without asking for it again."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

BLOCK = 1024
"""Most rows of a block: what is noted of them, 8 kB, stays in the first-level cache."""
SHORT = 64
"""Rows in a row of one cell that are worth a block of their own."""
NONE = -1
SEVERAL = -2
"""Instead of a cell: the rows of a block belong to more than one."""


def room(rows: int) -> int:
    """How many blocks `find_blocks` may need."""
    return rows // (SHORT // 2) + rows // BLOCK + 4


@kernel("int64(int32[:, ::1], int64, int64, int64, int64)")
def _cut(blocks: Array, count: int, cell: int, begin: int, end: int) -> int:
    """Write blocks for the rows from begin to end; the number of blocks.

    blocks  int32[room, 3]   out, from entry `count` on
    """
    while begin < end:
        blocks[count, 0] = cell
        blocks[count, 1] = begin
        begin = min(begin + BLOCK, end)
        blocks[count, 2] = begin
        count += 1
    return count


@kernel("int64(int32[:, ::1], const int32[::1])")
def find_blocks(blocks: Array, cell: Array) -> int:
    """Cut rows into blocks; the number of blocks.

    blocks  int32[room, 3]   out: the cell, NONE or SEVERAL; the first row; the row after the last
    cell    int32[rows]      cell of each row; negative rows have none
    """
    count = 0
    pending = 0
    row = 0
    while row < len(cell):
        own = max(cell[row], NONE)
        end = row + 1
        while end < len(cell) and max(cell[end], NONE) == own:
            end += 1
        if end - row >= SHORT:
            count = _cut(blocks, count, SEVERAL, pending, row)
            count = _cut(blocks, count, own, row, end)
            pending = end
        row = end
    return _cut(blocks, count, SEVERAL, pending, len(cell))


@kernel("int64(const int32[:, ::1])")
def mixed_rows(blocks: Array) -> int:
    """How many rows are in blocks of several cells.

    blocks  int32[blocks, 3]   of `find_blocks`
    """
    rows = 0
    for block in range(len(blocks)):
        if blocks[block, 0] == SEVERAL:
            rows += blocks[block, 2] - blocks[block, 1]
    return rows


@kernel("int64(const int32[::1])")
def largest(numbers: Array) -> int:
    """The largest of some numbers, -1 at least: for a few of them a tenth of what numpy's `max` takes.

    numbers  int32[numbers]
    """
    found = np.int32(-1)
    for i in range(len(numbers)):
        found = max(found, numbers[i])
    return np.int64(found)


@kernel("boolean(const int32[::1])")
def are_equal(numbers: Array) -> bool:
    """Whether all of some numbers are one and the same; a fifth of what numpy takes to compare and to ask.

    numbers  int32[numbers]
    """
    different = np.int32(0)
    for i in range(1, len(numbers)):
        different |= numbers[i] ^ numbers[0]
    return different == 0


@kernel("int64(int32[::1], int64[::1], const int32[::1])")
def sort_rows(order: Array, places: Array, cell: Array) -> int:
    """Order rows by cell, those without one first; the number of different cells.

    order   int32[rows]        out: row numbers
    places  int64[cells + 1]   mutated; zeros on entry
    cell    int32[rows]        cell of each row, below `cells`; negative rows have none
    """
    for row in range(len(cell)):
        places[max(cell[row], NONE) + 1] += 1
    different = 0
    before = 0
    for own in range(len(places)):
        rows = places[own]
        different += rows > 0
        places[own] = before
        before += rows
    for row in range(len(cell)):
        own = max(cell[row], NONE) + 1
        order[places[own]] = row
        places[own] += 1
    return different


@kernel(
    "void(float64[:, ::1], const float64[:, ::1], const int32[::1])",
    "void(int32[:, ::1], const int32[:, ::1], const int32[::1])",
)
def take_rows(out: Array, columns: Array, order: Array) -> None:
    """Bring the rows of columns into an order.

    out      float64 or int32[columns, rows]   out
    columns  like out
    order    int32[rows]
    """
    for column in range(len(out)):
        for row in range(len(order)):
            out[column, row] = columns[column, order[row]]
