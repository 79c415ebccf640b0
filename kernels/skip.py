"""Objects and arrays that nobody reads: their grammar is checked, nothing of them is kept."""

from __future__ import annotations

import numpy as np

from kernels.jit import bare_kernel
from kernels.layout import Array
from kernels.text import ESCAPED, hash_of, skip_scalar, skip_space, skip_string
from kernels.words import byte


@bare_kernel("int64(const uint8[::1], int64, int64, int64[::1], int64[::1], uint64[::1], int64[::1])")
def skip_container(
    data: Array, at: int, room: int, objects: Array, owners: Array, hashes: Array, marks: Array
) -> int:
    """Position after the object or array at `at`; -1 where it is declined.

    data     uint8[bytes]
    room     how many levels it may have
    objects  int64[levels]   scratch; number of each open object, 0 for an array
    owners   int64[table]    scratch, a power of two; the call that filled each entry of `hashes`
    hashes   uint64[table]   scratch; hashes of (object, key), open addressing, half full at most
    marks    int64[2]        mutated; marks[0] numbers the calls, marks[1] is or-ed with what strings hold

    Declined are invalid JSON, too many levels or keys, keys with escapes, and keys of one object
    with equal hashes: equal keys among them, so none is let pass.
    """
    marks[0] += 1
    serial = marks[0]
    mask = len(owners) - 1
    depth = 0
    opened = 0
    keys = 0
    while True:
        # A value begins at `at`.
        c = byte(data, at)
        closed = False
        if c | 32 == 123:
            if depth >= min(room, len(objects)):
                return -1
            opened += 1
            objects[depth] = opened if c == 123 else 0
            depth += 1
            at = skip_space(data, at + 1)
            closed = byte(data, at) == c + 2
        else:
            at, flags = skip_scalar(data, at)
            if at < 0:
                return -1
            marks[1] |= flags
        fresh = c | 32 == 123
        while closed or not fresh:  # behind a value: what contains it goes on, or ends
            if closed:
                at += 1
                depth -= 1
                closed = False
                if depth == 0:
                    return at
            at = skip_space(data, at)
            c = byte(data, at)
            if c == 44:
                at = skip_space(data, at + 1)
                fresh = True
            elif (c == 125 and objects[depth - 1] > 0) or (c == 93 and objects[depth - 1] == 0):
                closed = True
            else:
                return -1
        if objects[depth - 1] > 0:  # a key comes first
            if byte(data, at) != 34:
                return -1
            end, flags = skip_string(data, at + 1)
            keys += 1
            if end < 0 or flags & ESCAPED or keys > len(owners) // 2:
                return -1
            marks[1] |= flags
            h = hash_of(data, at, end - at, objects[depth - 1])
            slot = np.int64(h & np.uint64(mask))
            while owners[slot] == serial:
                if hashes[slot] == h:
                    return -1
                slot = (slot + 1) & mask
            owners[slot] = serial
            hashes[slot] = h
            at = skip_space(data, end)
            if byte(data, at) != 58:
                return -1
            at = skip_space(data, at + 1)
