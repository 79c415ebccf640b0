"""Step 5: which rows of a batch belong to one cell."""

from __future__ import annotations

import numpy as np

from kernels.jit import apart_kernel, kernel
from kernels.layout import Array

_SPREAD_PANE = np.uint64(0x9E3779B97F4A7C15)
_SPREAD_GROUP = np.uint64(0xC2B2AE3D27D4EB4F)
_UPPER = np.uint64(32)


@kernel("int64(int32[::1], int32[::1], int32[::1], const int32[::1], const int64[::1], int32[::1])")
def number_pairs(table: Array, taken: Array, first: Array, group: Array, pane: Array, number: Array) -> int:
    """Number the distinct (group, pane) of a batch in the order they are met; how many there are.

    table   int32[a power of two, at least 2 * rows]   scratch; all -1 before the call and after it
    taken   int32[at least rows]   scratch; entry of `table` that each pair took
    first   int32[at least rows]   out; the row in which each pair was met first
    group   int32[rows]
    pane    int64[rows]            start of the pane; a row whose pane is negative belongs to none
    number  int32[rows]            out; number of the row's pair, -1 where it belongs to none

    Groups 1 1 2 1 1 of panes 60 60 60 0 -1 give 0 0 1 2 -1 and 3; first 0 2 3. A row like the one
    before it, which is the rule, costs two comparisons; others look in an open-addressing table.
    """
    mask = len(table) - 1
    count = 0
    last = np.int64(-1)
    last_group = np.int64(-1)
    last_pane = np.int64(-1)
    for row in range(len(pane)):
        own_pane = pane[row]
        if own_pane < 0:
            number[row] = -1
            continue
        own_group = np.int64(group[row])
        if own_pane != last_pane or own_group != last_group:
            spread = np.uint64(own_pane) * _SPREAD_PANE + np.uint64(own_group) * _SPREAD_GROUP
            spread ^= spread >> _UPPER
            slot = np.int64((spread * _SPREAD_PANE) >> _UPPER) & mask
            last = np.int64(table[slot])
            while last >= 0 and (pane[first[last]] != own_pane or group[first[last]] != own_group):
                slot = (slot + 1) & mask
                last = np.int64(table[slot])
            if last < 0:
                last = np.int64(count)
                table[slot] = count
                taken[count] = slot
                first[count] = row
                count += 1
            last_pane = own_pane
            last_group = own_group
        number[row] = last
    for pair in range(count):
        table[taken[pair]] = -1
    return count


@apart_kernel("int64(int32[::1], const int32[::1], const int32[::1])")
def take_places(cell: Array, number: Array, places: Array) -> int:
    """The place of every row's pair; how many rows have one.

    cell    int32[rows]    out; -1 where the row belongs to no pair
    number  int32[rows]    of `number_pairs`
    places  int32[pairs]
    """
    placed = np.int64(0)
    for row in range(np.uint64(len(number))):
        has_one = number[row] >= 0
        place = places[np.uint64(max(number[row], 0))]
        cell[row] = place if has_one else -1
        placed += np.int64(has_one)
    return placed
