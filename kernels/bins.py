"""Step 5, numeric features: which slot a value lands in."""

from __future__ import annotations

import numpy as np

from kernels.blocks import BLOCK, NONE, SEVERAL
from kernels.jit import kernel
from kernels.layout import BELOW, FIRST_BIN, MISSING, NON_FINITE, NUMERIC, Array

LARGEST = float(np.finfo(np.float64).max)
MAGNITUDE = 2**63 - 1
"""Mask of all bits of a double but its sign."""
ONE = 1023 << 52
"""Bits of 1.0."""

DROP, HALF, BELOW_FROM, BELOW_TO, BOUNDS_FROM, EDGES, NESTS_FROM, NESTS = range(8)
"""Columns of `kernels.lookup.Lookup.spans`."""
FEW = 1024
"""Slots of which two sets of counts are kept: see `count_ranks`."""
FULL = 65_535 - BLOCK
"""Rows after which no block fits in 16 bits. Counts of 16 bits are found where counts of 64 are not:
4,096 bins take 8 kB of a first-level cache of 32."""


@kernel("int64(int32[::1], const float64[::1], float64, float64, float64, int64, int64)")
def find_steps(
    steps: Array, x: Array, center: float, inverse: float, top: float, drop: int, half: int
) -> int:
    """Find the step of every x, see `kernels.lookup`; how many of them are not finite.

    steps  int32[at least rows]   out; the first len(x) entries, from 0 to 2 * half - 1
    x      float64[rows]          NaN lands in the last step, infinities in the last and the first
    center, inverse, top, drop, half   as in `kernels.lookup.Lookup`

    One step after the other without a branch: eight at a time with AVX-512. The limit is set to z
    and not to the bits, because the smallest vector unit compares doubles, not integers.
    """
    odd = 0
    for row in range(len(x)):
        y = (x[row] - center) * inverse
        z = y - 1.0 if y < 0.0 else y + 1.0  # -0.0 is not below the center
        z = max(-top, min(top, z))  # in this order NaN becomes top
        bits = np.float64(z).view(np.int64)
        size = ((bits & MAGNITUDE) - ONE) >> drop
        steps[row] = half + (size ^ (bits >> 63))
        odd += np.int64(not abs(x[row]) <= LARGEST)
    return odd


@kernel(
    "int64(const int16[::1], const float64[::1], int64, int64, float64)",
    "int64(const int32[::1], const float64[::1], int64, int64, float64)",
)
def search(below: Array, bounds: Array, step: int, low: int, x: float) -> int:
    """How many edges are <= x, where more than two lie in its step and `low` before that.

    below   int16 or int32[steps]  of the feature, as in `kernels.lookup.Lookup`
    bounds  float64[edges + PAD]   likewise
    """
    high = below[np.uint64(step + 1)]
    length = (~high if high < 0 else high) - low
    while length > 1:
        half = length >> 1
        low += half * np.int64(bounds[np.uint64(low + half - 1)] <= x)
        length -= half
    return low + np.int64(bounds[np.uint64(low)] <= x)


@kernel(
    "void(int32[::1], const float64[::1], const int16[::1], const float64[::1])",
    "void(int32[::1], const float64[::1], const int32[::1], const float64[::1])",
)
def find_ranks(ranks: Array, x: Array, below: Array, bounds: Array) -> None:
    """Put every row's rank, the number of edges <= x, in the place of its step.

    ranks   int32[at least rows]  mutated; steps of `find_steps` on entry
    x       float64[rows]         what is not finite gets any rank
    below, bounds                 those of the feature, as in `kernels.lookup.Lookup`
    """
    for row in range(np.uint64(len(x))):
        count = np.int64(below[np.uint64(ranks[row])])
        if count < 0:
            count = search(below, bounds, ranks[row], ~count, x[row])
        else:
            base = np.uint64(count)
            count += np.int64(bounds[base] <= x[row]) + np.int64(bounds[base + np.uint64(1)] <= x[row])
        ranks[row] = count


@kernel(
    "void(int32[::1], const float64[::1], const int16[::1], const float64[::1], const float64[:, ::1])",
    "void(int32[::1], const float64[::1], const int32[::1], const float64[::1], const float64[:, ::1])",
)
def find_nested_ranks(ranks: Array, x: Array, below: Array, bounds: Array, nests: Array) -> None:
    """The same for a feature whose crowded steps have steps of their own.

    ranks   int32[at least rows]  mutated; steps of `find_steps` on entry
    x       float64[rows]         what is not finite gets any rank
    below, bounds, nests          those of the feature, as in `kernels.lookup.Lookup`

    Whether a step is crowded is no branch: where two clusters take turns no machine foresees it.
    Measured on two tight clusters with 256 edges: 4 ns per value; with `find_ranks` 27.
    """
    for row in range(np.uint64(len(x))):
        outer = np.int64(below[np.uint64(ranks[row])])
        crowded = outer >> 63
        nest = np.uint64(~outer & crowded)
        y = (x[row] - nests[nest, 0]) * nests[nest, 1]
        inner = np.int64(max(0.0, min(nests[nest, 2], y)) + nests[nest, 3])
        count = (outer & ~crowded) | (np.int64(below[np.uint64(inner)]) & crowded)
        if count < 0:
            count = search(below, bounds, inner, ~count, x[row])
        else:
            base = np.uint64(count)
            count += np.int64(bounds[base] <= x[row]) + np.int64(bounds[base + np.uint64(1)] <= x[row])
        ranks[row] = count


@kernel("void(int32[::1], const float64[::1])")
def set_odd(ranks: Array, x: Array) -> None:
    """Give what is not finite the rank that leads to its slot.

    ranks  int32[at least rows]  mutated
    x      float64[rows]

    Afterwards and without a branch, which would cost more than all the rest where values are missing.
    """
    for row in range(len(x)):
        is_odd = np.int64(not abs(x[row]) <= LARGEST)
        is_missing = np.int64(x[row] != x[row])
        odd = is_odd * (NON_FINITE - BELOW) + is_missing * (MISSING - NON_FINITE)
        ranks[row] = (ranks[row] & (is_odd - 1)) + odd


@kernel("void(uint16[::1], const int32[::1], int64, int64)")
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


@kernel("void(int64[::1], uint16[::1], int64)")
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


@kernel("void(int64[:, ::1], const int32[::1], const int32[::1], int64)")
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


@kernel("int64(const int16[::1], const float64[::1])", "int64(const int32[::1], const float64[::1])")
def touch(below: Array, bounds: Array) -> int:
    """Read a little of every cache line, in order: memory gives them faster than in the order of values.

    below   int16 or int32[steps]
    bounds  float64[edges]

    Measured with 24 features of 4,096 edges: 3.5 instead of 4.3 ns per value.
    """
    seen = 0
    for i in range(0, len(below), 16):
        seen += below[i]
    for i in range(0, len(bounds), 8):
        seen += np.int64(bounds[i] > 0.0)
    return seen


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const float64[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1], const float64[:, ::1], const int64[:, ::1], const int16[::1],"
    " const float64[::1], const float64[:, ::1])",
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const float64[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1], const float64[:, ::1], const int64[:, ::1], const int32[::1],"
    " const float64[::1], const float64[:, ::1])",
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
    below: Array,
    bounds: Array,
    nests: Array,
) -> None:
    """Count every value of the numeric features in its slot.

    counts  int64[cells, slots]               mutated
    cell    int32[rows]                       cell of each row; negative rows are skipped
    blocks  int32[blocks, 3]                  of `kernels.blocks.find_blocks`
    values  float64[numeric, rows]            NaN is missing
    kind, column, start                       as in `kernels.layout.Layout`
    scales, spans, below, bounds, nests       as in `kernels.lookup.Lookup`

    Edges 0, 1, 2 of a feature with three edges: slot 0 NaN, 1 infinite, 2 x < 0, 3 [0, 1),
    4 [1, 2), 5 x >= 2.
    """
    ranks = np.empty(BLOCK, np.int32)
    found = np.zeros(max(FIRST_BIN + np.max(spans[:, EDGES]), 2 * FEW), np.uint16)
    for feature in range(len(kind)):
        if kind[feature] != NUMERIC:
            continue
        span = spans[column[feature]]
        center, inverse, top = scales[column[feature]]
        first, last = start[feature], start[feature + 1]
        own_below = below[span[BELOW_FROM] : span[BELOW_TO]]
        own_bounds = bounds[span[BOUNDS_FROM] :]
        if span[EDGES] < len(cell):
            ranks[0] = touch(own_below, own_bounds[: span[EDGES]])
        other = FEW if last - first <= FEW else 0
        held = 0
        for block in range(len(blocks)):
            to, begin, end = blocks[block]
            if to == NONE:
                continue
            x = values[column[feature], begin:end]
            odd = find_steps(ranks, x, center, inverse, top, span[DROP], span[HALF])
            if span[NESTS] > 0:
                find_nested_ranks(ranks, x, own_below, own_bounds, nests[span[NESTS_FROM] :])
            else:
                find_ranks(ranks, x, own_below, own_bounds)
            if odd > 0:
                set_odd(ranks, x)
            is_last = block == len(blocks) - 1 or blocks[block + 1, 0] != to
            if to == SEVERAL or (held == 0 and is_last and len(x) < last - first):
                scatter_ranks(counts, cell[begin:end], ranks, first)
                continue
            count_ranks(found, ranks, len(x), other)
            held += len(x)
            if is_last or held > FULL:
                add_found(counts[to, first:last], found, other)
                held = 0
