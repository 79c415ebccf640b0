"""Step 5: exact sums for mean and standard deviation, and the extremes."""

from __future__ import annotations

import math

import numpy as np

from kernels.jit import kernel
from kernels.layout import SUM_CLIP, SUM_SCALE, Array

LARGEST_ROOT = 2**32 - 1
"""Largest |q| that is squared: its square still fits an unsigned 64-bit word."""
LOW_WORD = 2**32 - 1


@kernel(
    "void(int64[:, :, ::1], float64[:, :, ::1], const int32[::1], const float64[:, ::1],"
    " const float64[::1], const float64[::1])"
)
def add_moments(
    sums: Array, extremes: Array, cell: Array, values: Array, center: Array, scale: Array
) -> None:
    """Add finite values to the exact moments and the extremes.

    sums      int64[cells, numeric, 3]     mutated; sum of q, low and high words of the squares of q
    extremes  float64[cells, numeric, 2]   mutated; min and max, +inf and -inf when none
    cell      int32[rows]                  cell of each row; negative rows are skipped
    values    float64[numeric, rows]       NaN and infinities are skipped
    center    float64[numeric]             finite
    scale     float64[numeric]             finite, > 0

    q = rint(clip((x - center) / scale, ±SUM_CLIP) * SUM_SCALE), half to even. Each square is split
    into 32-bit halves that are summed apart, so 2**31 rows fit and sums do not depend on the order.
    `kernels.scores.moments` reads mean and deviation back: exact up to the last rounding, but of the
    clipped and rounded values.
    """
    for numeric in range(len(center)):
        middle = center[numeric]
        unit = scale[numeric]
        for row in range(len(cell)):
            to = cell[row]
            x = values[numeric, row]
            if to < 0 or not math.isfinite(x):
                continue
            z = min(max((x - middle) / unit, -SUM_CLIP), SUM_CLIP)
            q = np.int64(np.rint(z * SUM_SCALE))
            root = np.uint64(min(int(abs(q)), LARGEST_ROOT))
            square = root * root
            sums[to, numeric, 0] += q
            sums[to, numeric, 1] += np.int64(square & np.uint64(LOW_WORD))
            sums[to, numeric, 2] += np.int64(square >> np.uint64(32))
            x += 0.0  # -0.0 becomes 0.0, else the order of rows would decide which of them is kept
            extremes[to, numeric, 0] = min(extremes[to, numeric, 0], x)
            extremes[to, numeric, 1] = max(extremes[to, numeric, 1], x)
