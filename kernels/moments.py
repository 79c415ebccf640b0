"""Step 5: exact sums for mean and standard deviation, and the extremes."""

from __future__ import annotations

import math

import numpy as np

from kernels.blocks import BLOCK, SEVERAL
from kernels.jit import bare_kernel, kernel
from kernels.layout import SUM_CLIP, SUM_SCALE, Array

LARGEST_ROOT = 2**32 - 1
"""Largest |q| that is squared: its square still fits an unsigned 64-bit word."""
LOW_WORD = 2**32 - 1
LARGEST = float(np.finfo(np.float64).max)
ROUND = 1.5 * 2.0**52
"""Added to a double below 2**51 it rounds it to an integer, half to even, that is its last bits."""
ROUND_BITS = int(np.float64(ROUND).view(np.int64))
WHOLE = 2.0**52
"""Added to a whole number from 0 to 2**52 - 1 it leaves that number in the last bits."""
CLIP = SUM_CLIP * SUM_SCALE
"""Largest |q|."""
TAME = 2.0**29
"""Largest |q| of values that are called tame: it fits 31 bits even where rounding takes the bounds twice as far."""
WILD = 8
"""Blocks until it is tried again whether all values of a block are tame."""


@bare_kernel("boolean(int64[::1], float64[::1], const float64[::1], float64, float64, float64, float64)")
def add_tame(
    sums: Array, extremes: Array, x: Array, center: float, rate: float, low: float, high: float
) -> bool:
    """Add rows of one cell, see `add_moments`, if all are from `low` to `high`; otherwise nothing is added.

    sums      int64[3]        mutated
    extremes  float64[2]      mutated
    x         float64[rows]
    low, high   finite; every |q| between them is below 2**31

    Most blocks have no value that is missing, clipped or an extreme one, and then half of the work is
    enough: 0.27 ns per value instead of 0.5. That there is none is found out on the way.
    """
    least = max(extremes[0], low)
    most = min(extremes[1], high)
    total = np.int64(0)
    lows = np.int64(0)
    highs = np.int64(0)
    is_usual = True
    for row in range(np.uint64(len(x))):
        rounded = np.float64((x[row] - center) * rate + ROUND).view(np.int64)
        total += rounded - ROUND_BITS
        root = np.int64(np.int32(rounded))  # ROUND itself has no bits there
        square = root * root
        lows += square & LOW_WORD
        highs += square >> 32
        is_usual &= (x[row] >= least) & (x[row] <= most)
    if not is_usual:
        is_tame = True
        for row in range(np.uint64(len(x))):
            is_tame &= (x[row] >= low) & (x[row] <= high)
        if not is_tame:
            return False
        for row in range(np.uint64(len(x))):
            extremes[0] = min(extremes[0], x[row] + 0.0)  # -0.0 becomes 0.0, or the order of rows would
            extremes[1] = max(extremes[1], x[row] + 0.0)  # decide which of them is kept
    sums[0] += total
    sums[1] += lows
    sums[2] += highs
    return True


@bare_kernel("void(int64[::1], float64[::1], const float64[::1], float64, float64)")
def add_block(sums: Array, extremes: Array, x: Array, center: float, rate: float) -> None:
    """Add rows of one cell, whatever they are; see `add_moments`.

    sums      int64[3]        mutated
    extremes  float64[2]      mutated
    x         float64[rows]

    No branch and no conversion, so that several rows are taken at a time: rounding is an addition,
    and a product of numbers of 32 bits is one instruction in the smallest vector unit. The extremes
    are only looked at again in the few blocks that widen them.
    """
    total = np.int64(0)
    low = np.int64(0)
    high = np.int64(0)
    wider = np.int64(0)
    least = extremes[0]
    most = extremes[1]
    for row in range(len(x)):
        z = (x[row] - center) * rate
        z = max(-CLIP, min(CLIP, z))
        is_finite = abs(x[row]) <= LARGEST
        rounded = (z if is_finite else 0.0) + ROUND
        total += np.float64(rounded).view(np.int64) - ROUND_BITS
        size = abs(rounded - ROUND)
        size = min(float(LARGEST_ROOT), size)
        root = np.uint64(np.float64(size + WHOLE).view(np.int64)) & np.uint64(LOW_WORD)
        square = root * root
        low += np.int64(square & np.uint64(LOW_WORD))
        high += np.int64(square >> np.uint64(32))
        wider += np.int64(is_finite & ((x[row] < least) | (x[row] > most)))
    sums[0] += total
    sums[1] += low
    sums[2] += high
    if wider > 0:
        for row in range(len(x)):
            if abs(x[row]) <= LARGEST:
                least = min(least, x[row] + 0.0)  # as in `add_tame`
                most = max(most, x[row] + 0.0)
        extremes[0] = least
        extremes[1] = most


@bare_kernel(
    "void(int64[:, :, ::1], float64[:, :, ::1], const int32[::1], const float64[::1], int64, float64, float64,"
    " int64[::1], float64[::1])"
)
def scatter_block(
    sums: Array,
    extremes: Array,
    cell: Array,
    x: Array,
    numeric: int,
    center: float,
    rate: float,
    whole: Array,
    finite: Array,
) -> None:
    """Add rows of several cells to one numeric column.

    sums, extremes   mutated; as in `add_moments`
    cell     int32[rows]              cell of each row; negative rows are skipped
    x        float64[rows]
    numeric  the column
    whole    int64[at least rows]     room for q
    finite   float64[at least rows]   room for x, NaN where it is infinite

    What takes no cell is done first, several rows at a time. Rows that are not finite are added as
    zeros and compared as NaN: a branch that one value in three takes costs more than all the rest.
    """
    for row in range(len(x)):
        z = (x[row] - center) * rate
        z = max(-CLIP, min(CLIP, z))
        is_finite = abs(x[row]) <= LARGEST
        whole[row] = np.float64((z if is_finite else 0.0) + ROUND).view(np.int64) - ROUND_BITS
        finite[row] = x[row] + 0.0 if is_finite else math.nan
    for row in range(np.uint64(len(x))):
        if cell[row] < 0:
            continue
        to = np.uint64(cell[row])
        q = whole[row]
        root = np.uint64(min(abs(q), LARGEST_ROOT))
        square = root * root
        sums[to, numeric, 0] += q
        sums[to, numeric, 1] += np.int64(square & np.uint64(LOW_WORD))
        sums[to, numeric, 2] += np.int64(square >> np.uint64(32))
        extremes[to, numeric, 0] = min(extremes[to, numeric, 0], finite[row])
        extremes[to, numeric, 1] = max(extremes[to, numeric, 1], finite[row])


@kernel(
    "void(int64[:, :, ::1], float64[:, :, ::1], const int32[::1], const int32[:, ::1],"
    " const float64[:, ::1], const float64[::1], const float64[::1])"
)
def add_moments(
    sums: Array, extremes: Array, cell: Array, blocks: Array, values: Array, center: Array, scale: Array
) -> None:
    """Add finite values to the exact moments and the extremes.

    sums      int64[cells, numeric, 3]     mutated; sum of q, low and high words of the squares of q
    extremes  float64[cells, numeric, 2]   mutated; min and max, +inf and -inf when none
    cell      int32[rows]                  cell of each row; negative rows are skipped
    blocks    int32[blocks, 3]             of `kernels.blocks.find_blocks`
    values    float64[numeric, rows]       NaN and infinities are skipped
    center    float64[numeric]             finite
    scale     float64[numeric]             finite, > 0

    q = rint(clip((x - center) * rate, ±SUM_CLIP * SUM_SCALE)), half to even, where rate is SUM_SCALE / scale,
    at most LARGEST: a product is several times as fast as a quotient. Each square is split
    into 32-bit halves that are summed apart, so 2**31 rows fit and sums do not depend on the order.
    `kernels.scores.moments` reads mean and deviation back: exact up to the last rounding, but of the
    clipped and rounded values.
    """
    whole = np.empty(BLOCK, np.int64)
    finite = np.empty(BLOCK)
    for numeric in range(len(center)):
        middle = center[numeric]
        rate = min(SUM_SCALE / scale[numeric], LARGEST)
        low = max(middle - TAME / rate, -LARGEST)
        high = min(middle + TAME / rate, LARGEST)
        untried = 0
        for block in range(len(blocks)):
            to, begin, end = blocks[block]
            x = values[numeric, begin:end]
            if to >= 0:
                own = sums[to, numeric], extremes[to, numeric]
                if untried == 0:
                    if add_tame(*own, x, middle, rate, low, high):
                        continue
                    untried = WILD
                untried -= 1
                add_block(*own, x, middle, rate)
            elif to == SEVERAL:
                mine = cell[begin:end]
                scatter_block(sums, extremes, mine, x, numeric, middle, rate, whole, finite)
