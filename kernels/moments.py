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


def mean_std(sums: Array, n: Array, center: Array, scale: Array) -> tuple[Array, Array]:
    """Mean and (population) standard deviation of each numeric feature, in the feature's own unit.

    sums    int64[numeric, 3]   as `add_moments` leaves them, or a sum of such
    n       int64[numeric]      how many finite values went in; NaN is returned where 0
    center  float64[numeric]
    scale   float64[numeric]

    Exact up to the last rounding, but of the clipped and rounded values: one beyond
    `center ± SUM_CLIP * scale` counts as if it lay there.
    """
    mean = np.full(len(center), np.nan)
    std = np.full(len(center), np.nan)
    for numeric, count in enumerate(int(c) for c in n):
        if count <= 0:
            continue
        total, low, high = (int(word) for word in sums[numeric])
        squares = low + (high << 32)
        spread = max(count * squares - total * total, 0) / (count * count)
        mean[numeric] = center[numeric] + scale[numeric] * (total / count / SUM_SCALE)
        std[numeric] = scale[numeric] * (math.sqrt(spread) / SUM_SCALE)
    return mean, std
