"""Step 6: what is not zero in an array of counts."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array


@kernel("void(int64[::1], int64[::1], int64[::1], const int64[::1])")
def gather(gaps: Array, values: Array, span: Array, array: Array) -> None:
    """The elements that are not zero, and where each of them lies after the one before.

    gaps    int64[filled + 1]   out; index of the first one, then distances; the last entry is scratch
    values  int64[filled + 1]   out; the last entry is scratch
    span    int64[3]            out; largest and smallest element of `array` or 0, widest gap
    array   int64[length]       with exactly `filled` elements that are not zero

    0 0 5 0 -1 gives the gaps 2 2, the values 5 -1 and the span 5 -1 2. Written whether filled or not
    and kept where filled: a branch is foretold badly at the fill of ordinary panes.
    """
    count = 0
    last = 0
    largest = 0
    smallest = 0
    widest = 0
    for at in range(len(array)):
        value = array[at]
        is_filled = np.int64(value != 0)
        gap = at - last
        gaps[count] = gap
        values[count] = value
        count += is_filled
        last += gap * is_filled
        largest = max(largest, value)
        smallest = min(smallest, value)
        widest = max(widest, gap * is_filled)
    span[0] = largest
    span[1] = smallest
    span[2] = widest
