"""Windows cut from the sparse panes of a reference, and their coarse view."""

from __future__ import annotations

from kernels.jit import kernel
from kernels.layout import Array


@kernel(
    "void(int64[:, ::1], int64[::1], const int64[::1], const int64[::1], const int32[::1], const int64[::1],"
    " const int64[::1], const int64[::1])"
)
def cut(
    out: Array,
    total: Array,
    span: Array,
    indptr: Array,
    slots: Array,
    values: Array,
    first: Array,
    last: Array,
) -> None:
    """Sum panes into windows.

    out      int64[windows, slots]   mutated; written over
    total    int64[slots]            mutated; sum of the panes span[0] to span[1], the last window so far
    span     int64[2]                panes that are in `total` on entry, e.g. [0, 0] with zeros
    indptr   int64[panes + 1]        pane p is slots[indptr[p]:indptr[p + 1]], values alike
    slots    int32[nnz]
    values   int64[nnz]
    first    int64[windows]          first pane of each window, ascending, ≥ span[0]
    last     int64[windows]          pane after the last, ascending, ≥ span[1]

    A running sum: a pane is added and taken away once, however much the windows overlap.
    """
    low = span[0]
    high = span[1]
    for window in range(len(first)):
        while high < last[window]:
            for i in range(indptr[high], indptr[high + 1]):
                total[slots[i]] += values[i]
            high += 1
        while low < first[window]:
            for i in range(indptr[low], indptr[low + 1]):
                total[slots[i]] -= values[i]
            low += 1
        for slot in range(len(total)):
            out[window, slot] = total[slot]


@kernel("void(int64[:, ::1], const int64[:, ::1], const int32[::1])")
def coarsen(coarse: Array, counts: Array, group: Array) -> None:
    """Sum fine slots into coarse ones.

    coarse  int64[windows, coarse slots]   mutated; added to
    counts  int64[windows, slots]
    group   int32[slots]                   coarse slot of each slot
    """
    for window in range(len(counts)):
        for slot in range(len(group)):
            coarse[window, group[slot]] += counts[window, slot]
