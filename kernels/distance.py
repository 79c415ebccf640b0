"""Step 8: distances between distribution functions over fine bins."""

from __future__ import annotations

import math

import numpy as np

from kernels.jit import kernel
from kernels.layout import BELOW, NUMERIC, Array


@kernel(
    "void(float64[:, :, ::1], const int64[:, ::1], const int64[::1], const int32[::1], const int8[::1],"
    " const int32[::1], int64)"
)
def kolmogorov_smirnov(
    out: Array, counts: Array, reference: Array, start: Array, kind: Array, column: Array, left: int
) -> None:
    """The largest difference of the two distribution functions of every numeric feature.

    out        float64[windows, numeric, 3]   mutated: D, finite values in the window, in the reference
    counts     int64[windows, slots]
    reference  int64[slots]
    start      int32[features + 1]
    kind       int8[features]                 NUMERIC or CATEGORICAL
    column     int32[features]                numeric column of a numeric feature
    left       1: the windows are part of the reference and left out of it one by one; else 0

    Over finite values: the slots below, bins, above. D is 0 where either side has none.
    """
    for window in range(len(counts)):
        for feature in range(len(kind)):
            if kind[feature] != NUMERIC:
                continue
            n = 0
            m = 0
            for slot in range(start[feature] + BELOW, start[feature + 1]):
                n += counts[window, slot]
                m += reference[slot] - left * counts[window, slot]
            place = column[feature]
            out[window, place, 0] = 0.0
            out[window, place, 1] = n
            out[window, place, 2] = m
            if n == 0 or m <= 0:
                continue
            f = 0
            g = 0
            largest = 0.0
            for slot in range(start[feature] + BELOW, start[feature + 1]):
                f += counts[window, slot]
                g += reference[slot] - left * counts[window, slot]
                largest = max(largest, abs(f / n - g / m))
            out[window, place, 0] = largest


@kernel(
    "void(float64[:, ::1], const int64[:, ::1], const int64[::1], const int32[::1], const int8[::1],"
    " const int32[::1], const float64[::1], const int32[::1], const float64[:, :, ::1], int64)"
)
def wasserstein(
    out: Array,
    counts: Array,
    reference: Array,
    start: Array,
    kind: Array,
    column: Array,
    edges: Array,
    edge_start: Array,
    extremes: Array,
    left: int,
) -> None:
    """The area between the two distribution functions of every numeric feature, in its own unit.

    out         float64[windows, numeric]      mutated; NaN where either side has no finite value
    counts      int64[windows, slots]
    reference   int64[slots]
    start       int32[features + 1]
    kind        int8[features]                 NUMERIC or CATEGORICAL
    column      int32[features]                numeric column of a numeric feature
    edges       float64[all edges]
    edge_start  int32[numeric + 1]
    extremes    float64[windows, numeric, 2]   min and max of the windows: ends of below and above
    left        1: the windows are part of the reference and left out of it one by one; else 0

    Both functions are straight lines inside a bin, so a bin of width w adds w(|d0| + |d1|)/2, or
    w(d0² + d1²)/(2(|d0| + |d1|)) when their difference changes sign from d0 to d1 in it.
    """
    for window in range(len(counts)):
        for feature in range(len(kind)):
            if kind[feature] != NUMERIC:
                continue
            place = column[feature]
            low = edge_start[place]
            high = edge_start[place + 1]
            first = start[feature] + BELOW
            n = 0
            m = 0
            for slot in range(first, start[feature + 1]):
                n += counts[window, slot]
                m += reference[slot] - left * counts[window, slot]
            if n == 0 or m <= 0:
                out[window, place] = np.nan
                continue
            area = 0.0
            f = 0
            g = 0
            before = 0.0
            for edge in range(low, high + 1):
                slot = first + edge - low
                f += counts[window, slot]
                g += reference[slot] - left * counts[window, slot]
                after = f / n - g / m
                begin = edges[edge - 1] if edge > low else min(extremes[window, place, 0], edges[low])
                end = edges[edge] if edge < high else max(extremes[window, place, 1], edges[high - 1])
                width = end - begin
                size = abs(before) + abs(after)
                if size > 0.0 and math.isfinite(width):
                    if before * after < 0.0:
                        area += width * (before * before + after * after) / (2.0 * size)
                    else:
                        area += width * size / 2.0
                before = after
            out[window, place] = area
