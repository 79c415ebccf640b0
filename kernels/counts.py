"""Step 5: categories, rows and errors."""

from __future__ import annotations

import numpy as np

from kernels.blocks import SEVERAL
from kernels.jit import kernel
from kernels.layout import CATEGORICAL, OTHER, Array


@kernel("int64(int32, int64)")
def slot_of(code: int, slots: int) -> int:
    """The slot of a code: itself, or OTHER where the feature has no such slot."""
    return code if np.uint32(code) < np.uint32(slots) else OTHER


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const int32[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1])"
)
def add_codes(
    counts: Array, cell: Array, blocks: Array, codes: Array, kind: Array, column: Array, start: Array
) -> None:
    """Count every code of the categorical features; a code is the slot itself.

    counts  int64[cells, slots]        mutated
    cell    int32[rows]                cell of each row; negative rows are skipped
    blocks  int32[blocks, 3]           of `kernels.blocks.find_blocks`
    codes   int32[categorical, rows]   a code the feature has no slot for counts as OTHER
    kind, column, start                as in `kernels.layout.Layout`
    """
    for feature in range(len(kind)):
        if kind[feature] != CATEGORICAL:
            continue
        first = start[feature]
        slots = start[feature + 1] - first
        for block in range(len(blocks)):
            to, begin, end = blocks[block]
            own = codes[column[feature], begin:end]
            if to >= 0:
                into = counts[to, first : first + slots]
                for row in range(len(own)):
                    into[np.uint64(slot_of(own[row], slots))] += 1
            elif to == SEVERAL:
                for row in range(len(own)):
                    if cell[begin + row] >= 0:
                        counts[cell[begin + row], first + slot_of(own[row], slots)] += 1


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int32[::1], const int32[:, ::1],"
    " const uint8[::1], const int64[::1])"
)
def add_rows(
    rows: Array,
    errors: Array,
    first: Array,
    last: Array,
    cell: Array,
    blocks: Array,
    error: Array,
    offsets: Array,
) -> None:
    """Count rows and errors, and widen each cell's range of offsets.

    rows, errors  int64[cells]    mutated
    first, last   int64[cells]    mutated; smallest and largest offset, -1 when none
    cell          int32[rows]     cell of each row; negative rows are skipped
    blocks        int32[blocks, 3]   of `kernels.blocks.find_blocks`
    error         uint8[rows]     not 0 when the record reports an error
    offsets       int64[rows]     in any order, not negative
    """
    for block in range(len(blocks)):
        to, begin, end = blocks[block]
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
