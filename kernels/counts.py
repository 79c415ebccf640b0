"""Step 5: categories, rows and errors."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import BLOCK, CATEGORICAL, OTHER, SEVERAL, Array


@kernel("void(int32[::1], const int32[::1])")
def find_only(only: Array, cell: Array) -> None:
    """Find the blocks whose rows belong to one cell, which are counted without looking at it again.

    only  int32[blocks]   out; for each BLOCK rows their cell, -1 when they have none, or SEVERAL
    cell  int32[rows]     cell of each row; negative rows have none
    """
    for block in range(len(only)):
        own = cell[block * BLOCK : (block + 1) * BLOCK]
        others = 0
        for row in range(len(own)):
            others += np.int64(own[row] != own[0])
        only[block] = SEVERAL if others > 0 else max(own[0], -1)


@kernel("int64(int32, int64)")
def slot_of(code: int, slots: int) -> int:
    """The slot of a code: itself, or OTHER where the feature has no such slot."""
    return code if np.uint32(code) < np.uint32(slots) else OTHER


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[::1], const int32[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1])"
)
def add_codes(
    counts: Array, cell: Array, only: Array, codes: Array, kind: Array, column: Array, start: Array
) -> None:
    """Count every code of the categorical features; a code is the slot itself.

    counts  int64[cells, slots]        mutated
    cell    int32[rows]                cell of each row; negative rows are skipped
    only    int32[blocks]              of `find_only`
    codes   int32[categorical, rows]   a code the feature has no slot for counts as OTHER
    kind, column, start                as in `kernels.layout.Layout`
    """
    for feature in range(len(kind)):
        if kind[feature] != CATEGORICAL:
            continue
        first = start[feature]
        slots = start[feature + 1] - first
        for block in range(len(only)):
            begin = block * BLOCK
            to = only[block]
            own = codes[column[feature], begin : begin + BLOCK]
            if to >= 0:
                into = counts[to, first : first + slots]
                for row in range(len(own)):
                    into[np.uint64(slot_of(own[row], slots))] += 1
            elif to == SEVERAL:
                for row in range(len(own)):
                    if cell[begin + row] >= 0:
                        counts[cell[begin + row], first + slot_of(own[row], slots)] += 1


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int32[::1], const int32[::1],"
    " const uint8[::1], const int64[::1])"
)
def add_rows(
    rows: Array,
    errors: Array,
    first: Array,
    last: Array,
    cell: Array,
    only: Array,
    error: Array,
    offsets: Array,
) -> None:
    """Count rows and errors, and widen each cell's range of offsets.

    rows, errors  int64[cells]    mutated
    first, last   int64[cells]    mutated; smallest and largest offset, -1 when none
    cell          int32[rows]     cell of each row; negative rows are skipped
    only          int32[blocks]   of `find_only`
    error         uint8[rows]     not 0 when the record reports an error
    offsets       int64[rows]     in any order, not negative
    """
    for block in range(len(only)):
        begin = block * BLOCK
        end = min(begin + BLOCK, len(cell))
        to = only[block]
        if to >= 0:
            failed = 0
            low = offsets[begin]
            high = offsets[begin]
            for row in range(begin, end):
                failed += np.int64(error[row] != 0)
                low = min(low, offsets[row])
                high = max(high, offsets[row])
            rows[to] += end - begin
            errors[to] += failed
            first[to] = low if first[to] < 0 else min(first[to], low)
            last[to] = max(last[to], high)
        elif to == SEVERAL:
            for row in range(begin, end):
                to = cell[row]
                if to < 0:
                    continue
                rows[to] += 1
                errors[to] += error[row] != 0
                if first[to] < 0 or offsets[row] < first[to]:
                    first[to] = offsets[row]
                last[to] = max(last[to], offsets[row])
