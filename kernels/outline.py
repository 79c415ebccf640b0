"""What a JSON record looks like from afar: how deep it nests and whether a key repeats.

Decoders keep the last of two equal keys in silence and recurse as deep as the input tells them to.
This pass sees both beforehand, for a whole batch, and never fails whatever the bytes are.
"""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel

DEEP = 1
"""Nested deeper than allowed; nothing else is known of such a record."""
REPEATED = 2
"""Two keys of one object may be equal: equal hashes, or a key with an escape."""
WIDE = 4
"""More keys than the table holds: not all were compared."""
NON_ASCII = 8

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


@kernel(
    "void(int64[::1], uint64[::1], int64[::1], const uint8[::1], const int64[::1], const int64[::1], int64, uint8[::1])"
)
def outline(owners, hashes, objects, data, starts, ends, max_depth, flags):
    """Set the flags of each record in one pass over the bytes of a batch.

    owners   int64[table]      scratch, length a power of two, all -1 before the call; the record
                               that filled each entry of `hashes`
    hashes   uint64[table]     scratch; hashes of (object, raw key), open addressing
    objects  int64[stack]      scratch; number of each open object, 0 for an array
    data     uint8[bytes]      the records, one after another
    starts   int64[records]    record r is data[starts[r]:ends[r]]
    ends     int64[records]
    flags    uint8[records]    overwritten: DEEP, REPEATED, WIDE, NON_ASCII

    Depth is the number of open braces and brackets outside strings, at most
    min(max_depth, len(objects)). For valid JSON the flags miss nothing: no repeated key goes
    without REPEATED or WIDE; a hash collision may set REPEATED without cause. For invalid JSON
    the depth is no less than what a decoder reaches before it finds the fault. At most half of
    the table is used. FNV-1a, 64 bits (draft-eastlake-fnv), with a final multiplication.
    Example: {"a":[{"b":1,"b":2}]} has depth 3 and REPEATED.
    """
    mask = len(hashes) - 1
    room = len(hashes) // 2
    limit = min(max_depth, len(objects))
    for r in range(len(starts)):
        flag = 0
        depth = 0
        keys = 0
        opened = 0
        at_key = False
        i = max(starts[r], 0)
        end = min(ends[r], len(data))
        while i < end:
            c = data[i]
            if c == 34:  # "
                is_key = at_key
                at_key = False
                escaped = False
                h = _BASIS
                if is_key:
                    h ^= np.uint64(objects[depth - 1]) * _SPREAD
                i += 1
                while i < end:
                    c = data[i]
                    if c == 34:
                        break
                    if c == 92:  # backslash: the next byte ends no string
                        escaped = True
                        i += 1
                        if i < end and data[i] > 127:
                            flag |= NON_ASCII
                    elif c > 127:
                        flag |= NON_ASCII
                    if is_key:
                        h = (h ^ np.uint64(c)) * _PRIME
                    i += 1
                if is_key and escaped:
                    flag |= REPEATED
                elif is_key and keys >= room:
                    flag |= WIDE
                elif is_key:
                    keys += 1
                    h *= _SPREAD
                    slot = np.int64(h >> _HALF) & mask
                    while owners[slot] == r and hashes[slot] != h:
                        slot = (slot + 1) & mask
                    if owners[slot] == r:
                        flag |= REPEATED
                    owners[slot] = r
                    hashes[slot] = h
            elif c == 44:  # ,
                at_key = depth > 0 and objects[depth - 1] > 0
            elif c | 32 == 123:  # { [
                if depth >= limit:
                    flag |= DEEP
                    break
                opened += 1
                at_key = c == 123
                objects[depth] = opened if at_key else 0
                depth += 1
            elif c | 32 == 125:  # } ]
                if depth > 0:
                    depth -= 1
                at_key = False
            elif c > 127:
                flag |= NON_ASCII
            i += 1
        flags[r] = flag
