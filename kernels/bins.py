"""Step 5, numeric features: which slot a value lands in."""

from __future__ import annotations

import numpy as np

from kernels.blocks import BLOCK, NONE, SEVERAL
from kernels.foreign import expect
from kernels.jit import bare_kernel, kernel
from kernels.layout import BELOW, FIRST_BIN, NUMERIC, Array
from kernels.ranks import find_positions, find_ranks, set_odd, settle, settle_nested, settle_pairs, settled

DROP, MIDDLE, ENTRIES_FROM, ENTRIES_TO, BOUNDS_FROM, EDGES, CROWDS_FROM, INNER_FROM, NESTS_FROM, NESTS = (
    range(10)
)
"""Columns of `kernels.lookup.Lookup.spans`."""
MANY = 8
"""One in so many rows is left at least before all of them are compared."""
FEW = 1024
"""Slots of which two sets of counts are kept: see `count_ranks`."""
LONG = 10 * BLOCK
"""Most rows at once of a feature with more: all of a poll. Its table and its counts do not fit in the first-level
cache together, and take turns there only once.
Measured with 24 features of 4,096 bins: 1.6 ns per value instead of 1.75 with 4 * BLOCK, 2.0 with BLOCK. Changed
nothing: asking for counts early; counts that stay in 16 bits from batch to batch; ranks, what is left and counts
in one pass."""
NEAR = 10_240
"""Most entries on either side of a table's middle that are asked for at once: 80 kB. What lies further out is rarely
looked at. Right after a batch was scanned, on a busy machine, 4,096 bins cost 3.4 ns per value instead of 3.9; while
tables are still in the caches it changes nothing."""
LINE = 16
"""Entries that come from memory together."""
FULL = 65_535 - LONG
"""Rows after which no block fits in 16 bits. Counts of 16 bits are found where counts of 64 are not:
4,096 bins take 8 kB of a first-level cache of 32."""


@bare_kernel("void(uint16[::1], const int32[::1], int64, int64)")
def count_ranks(found: Array, ranks: Array, rows: int, other: int) -> None:
    """Count rows of one cell in the slots of their ranks.

    found  uint16[other + slots of the feature]   mutated
    ranks  int32[at least rows]
    other  where the counts of every second row begin in `found`; 0 for those of all rows

    Two equal values in a row wait for each other, and half of them no longer do: a constant column
    takes 2.4 instead of 3.2 ns per value. Large sets of counts would leave the first-level cache.
    """
    for pair in range(np.uint64(rows >> 1)):
        row = pair << np.uint64(1)
        found[np.uint64(BELOW + ranks[row])] += 1
        found[np.uint64(other + BELOW + ranks[row + np.uint64(1)])] += 1
    if rows & 1:
        found[np.uint64(BELOW + ranks[rows - 1])] += 1


@bare_kernel(
    "void(uint16[::1], const int32[::1], const float64[::1], const float64[::1], const int32[:, ::1], int64, int64)"
)
def count_left(
    found: Array, ranks: Array, x: Array, bounds: Array, crowds: Array, edges: int, other: int
) -> None:
    """As `count_ranks`, and settle the few rows that are left: a branch that is rarely taken costs nothing here.

    found, ranks, other     as in `count_ranks`
    x                       float64[rows]
    bounds, crowds, edges   those of the feature, as in `kernels.lookup.Lookup`
    """
    for row in range(np.uint64(len(x))):
        rank = np.int64(ranks[row])
        if rank < 0:
            rank = settled(rank, x[row], bounds, crowds, edges)
        found[np.uint64(other * np.int64(row & np.uint64(1)) + BELOW + rank)] += 1


@bare_kernel("void(int64[::1], uint16[::1], int64)")
def add_found(own: Array, found: Array, other: int) -> None:
    """Add what `count_ranks` found to the counts, and begin anew.

    own    int64[slots of the feature]             mutated
    found  uint16[other + slots of the feature]    mutated; zeros afterwards
    other  as in `count_ranks`
    """
    for slot in range(len(own)):
        own[slot] += np.int64(found[slot])
        found[slot] = 0
    if other > 0:
        for slot in range(len(own)):
            own[slot] += np.int64(found[other + slot])
            found[other + slot] = 0


@bare_kernel("void(int64[:, ::1], const int32[::1], const int32[::1], int64)")
def scatter_ranks(counts: Array, cell: Array, ranks: Array, start: int) -> None:
    """Count rows of several cells in the slots of their ranks.

    counts  int64[cells, slots]   mutated
    cell    int32[rows]           cell of each row; negative rows are skipped
    ranks   int32[at least rows]
    start   first slot of the feature
    """
    for row in range(np.uint64(len(cell))):
        if cell[row] >= 0:
            counts[np.uint64(cell[row]), np.uint64(start + BELOW + ranks[row])] += 1


@bare_kernel(
    "int64(int32[::1], const float64[::1], const float64[::1], const int64[::1], const int32[::1], const float64[::1],"
    " const int32[:, ::1], const int32[::1], const float64[:, ::1])"
)
def rank_block(
    ranks: Array,
    x: Array,
    scale: Array,
    span: Array,
    entries: Array,
    bounds: Array,
    crowds: Array,
    inner: Array,
    nests: Array,
) -> int:
    """Find the ranks of a block of one feature; how many rows are left for `kernels.ranks.settled`, never many.

    ranks   int32[at least rows]   out
    x       float64[rows]
    scale, span, entries, bounds, crowds, inner, nests   those of the feature, as in `kernels.lookup.Lookup`
    """
    edges = span[EDGES]
    odd = find_positions(ranks, x, scale[0], scale[1], scale[2], span[MIDDLE])
    left = find_ranks(ranks, entries, len(x), span[DROP])
    if left > 0 and span[NESTS] > 0:
        settle_nested(ranks, x, bounds, crowds, inner, nests, edges)
        left = 0
    if MANY * left > len(x):
        left = settle_pairs(ranks, x, bounds, edges)
    if left > 0 and odd != 0:
        settle(ranks, x, bounds, crowds, edges)
        left = 0
    if odd != 0:
        set_odd(ranks, x)
    return left


@bare_kernel("void(const int32[::1])")
def ask_for(entries: Array) -> None:
    """Let the processor fetch a table in order, before it is looked into here and there.

    entries  int32[steps]   of the feature, as in `kernels.lookup.Lookup`
    """
    address = entries.ctypes.data
    middle = len(entries) >> 1
    for at in range(max(middle - NEAR, 0), min(middle + NEAR, len(entries)), LINE):
        expect(address + at * entries.itemsize)


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const float64[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1], const float64[:, ::1], const int64[:, ::1], const int32[::1],"
    " const float64[::1], const int32[:, ::1], const int32[::1], const float64[:, ::1])"
)
def add_values(
    counts: Array,
    cell: Array,
    blocks: Array,
    values: Array,
    kind: Array,
    column: Array,
    start: Array,
    scales: Array,
    spans: Array,
    entries: Array,
    bounds: Array,
    crowds: Array,
    inner: Array,
    nests: Array,
) -> None:
    """Count every value of the numeric features in its slot.

    counts  int64[cells, slots]               mutated
    cell    int32[rows]                       cell of each row; negative rows are skipped
    blocks  int32[blocks, 3]                  of `kernels.blocks.find_blocks`
    values  float64[numeric, rows]            NaN is missing
    kind, column, start                       as in `kernels.layout.Layout`
    scales, spans, entries, bounds, crowds, inner, nests   as in `kernels.lookup.Lookup`

    Edges 0, 1, 2 of a feature with three edges: slot 0 NaN, 1 infinite, 2 x < 0, 3 [0, 1),
    4 [1, 2), 5 x >= 2.
    """
    ranks = np.empty(LONG, np.int32)
    found = np.zeros(max(FIRST_BIN + np.max(spans[:, EDGES]), 2 * FEW), np.uint16)
    for feature in range(len(kind)):
        if kind[feature] != NUMERIC:
            continue
        span = spans[column[feature]]
        scale = scales[column[feature]]
        first, last = start[feature], start[feature + 1]
        own = entries[span[ENTRIES_FROM] : span[ENTRIES_TO]]
        own_bounds = bounds[span[BOUNDS_FROM] :]
        own_crowds, own_inner = crowds[span[CROWDS_FROM] :], inner[span[INNER_FROM] :]
        own_nests = nests[span[NESTS_FROM] :]
        other = FEW if last - first <= FEW else 0
        longest = BLOCK if other > 0 else LONG
        if other == 0 and len(cell) * LINE > len(own):
            ask_for(own)
        held = 0
        block = 0
        while block < len(blocks):
            to, begin, end = blocks[block]
            block += 1
            while block < len(blocks) and blocks[block, 0] == to and blocks[block, 2] - begin <= longest:
                end = blocks[block, 2]
                block += 1
            if to == NONE:
                continue
            x = values[column[feature], begin:end]
            left = rank_block(ranks, x, scale, span, own, own_bounds, own_crowds, own_inner, own_nests)
            is_last = block == len(blocks) or blocks[block, 0] != to
            if to == SEVERAL or (held == 0 and is_last and len(x) < last - first):
                if left > 0:
                    settle(ranks, x, own_bounds, own_crowds, span[EDGES])
                scatter_ranks(counts, cell[begin:end], ranks, first)
                continue
            if left > 0:
                count_left(found, ranks, x, own_bounds, own_crowds, span[EDGES], other)
            else:
                count_ranks(found, ranks, len(x), other)
            held += len(x)
            if is_last or held > FULL:
                add_found(counts[to, first:last], found, other)
                held = 0
