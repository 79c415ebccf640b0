"""Tokens that are remembered: which entry a string, number or literal of a column has."""

from __future__ import annotations

import numpy as np

from kernels.jit import bare_kernel
from kernels.layout import Array
from kernels.text import hash_of


@bare_kernel("int64(const uint8[::1], int64, int64, int64)")
def token_hash(data: Array, at: int, size: int, seed: int) -> int:
    """The hash by which `kernels.scan` finds keys (seed: the node) and tokens (seed: their row).

    data  uint8[bytes]; PADDING bytes follow data[at:at + size]
    """
    return np.int64(hash_of(data, at, size, seed))


@bare_kernel("void(int32[::1], const int64[::1], int64, int64)")
def insert_entries(table: Array, entries: Array, first: int, last: int) -> None:
    """Make entries first…last - 1 findable.

    table    int32[power of two]   mutated; must stay less than half full
    entries  int64[entries · 4]    as in `kernels.program.Program`
    """
    mask = len(table) - 1
    for entry in range(first, last):
        place = entries[entry * 4 + 3] & mask
        while table[place] > 0:
            place = (place + 1) & mask
        table[place] = entry + 1
