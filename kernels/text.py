"""JSON texts in place: strings, literals, what is skipped, and whether bytes are UTF-8.

Every function takes the position where something begins and returns the one after its end, or -1
where it is not what JSON allows. Bytes are followed by PADDING zero bytes, which end everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.number import read_number
from kernels.words import (
    HIGHS,
    ONES,
    QUOTES,
    SLASHES,
    SPACES,
    byte,
    differing,
    load8,
    odd_at,
    quotes_at,
    times,
    trailing_zeros,
)

PLAIN = 0
ESCAPED = 1
NON_ASCII = 2
"""What a string holds besides plain ASCII."""

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)


@inline
def skip_space(data: Array, at: int) -> int:
    """Position of the next byte that is no JSON whitespace."""
    c = byte(data, at)
    while c == 32 or 9 <= c <= 10 or c == 13:
        at += 1
        c = byte(data, at)
    return at


@inline
def skip_space_until(data: Array, at: int, stop: int) -> int:
    """As `skip_space`, but not beyond `stop`."""
    c = byte(data, at)
    while at < stop and (c == 32 or 9 <= c <= 10 or c == 13):
        at += 1
        c = byte(data, at)
    return at


@inline
def skip_plain(data: Array, at: int) -> int:
    """Position of the next byte that ends a string, escapes, is a control character or not ASCII."""
    while True:
        word = load8(data, at)
        quote = word ^ QUOTES
        slash = word ^ SLASHES
        # The lowest flagged byte is a true one: borrows only travel upwards from it.
        found = ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) | ((word - SPACES) & ~word) | word
        found &= HIGHS
        if found:
            return at + (trailing_zeros(found) >> 3)
        at += 8


@inline
def skip_string(data: Array, at: int) -> Any:
    """(position after the closing quote or -1, PLAIN | ESCAPED | NON_ASCII); `at` is after the opening one."""
    at = skip_plain(data, at)
    if byte(data, at) == 34:
        return at + 1, PLAIN
    packed = skip_odd_string(data, at)
    return (packed >> 2 if packed >= 0 else -1), packed & 3


@inline
def skip_short_string(data: Array, at: int) -> Any:
    """As `skip_string`, without a branch for each word of a string of less than 64 bytes."""
    quotes = quotes_at(data, at)
    if quotes and not odd_at(data, at) & (quotes ^ (quotes - np.uint64(1))):
        return at + trailing_zeros(quotes) + 1, PLAIN
    return skip_string(data, at)


@bare_kernel("int64(const uint8[::1], int64)")
def skip_odd_string(data: Array, at: int) -> int:
    """As `skip_string`, for a string that is not plain: position · 4 + flags, or -1.

    data  uint8[bytes]

    Half a surrogate pair is declined, whole ones too: whoever needs the text decodes it.
    """
    flags = PLAIN
    while True:
        c = byte(data, at)
        if c == 34:
            return (at + 1) * 4 + flags
        if c == 92:
            flags |= ESCAPED
            c = byte(data, at + 1)
            if c == 117:
                for i in range(2, 6):
                    digit = byte(data, at + i)
                    low = digit | 32
                    if not (48 <= digit <= 57 or 97 <= low <= 102):
                        return -1
                if byte(data, at + 2) | 32 == 100 and byte(data, at + 3) >= 56:
                    return -1
                at += 6
            elif c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116:
                at += 2
            else:
                return -1
        elif c < 32:
            return -1
        else:
            flags |= NON_ASCII
            while byte(data, at) > 127:
                at += 1
        at = skip_plain(data, at)


@inline
def skip_literal(data: Array, at: int) -> int:
    """Position after null, true or false; -1."""
    word = load8(data, at)
    four = word & np.uint64(0xFFFFFFFF)
    if four == np.uint64(0x6C6C756E) or four == np.uint64(0x65757274):
        return at + 4
    return at + 5 if word & np.uint64(0xFFFFFFFFFF) == np.uint64(0x65736C6166) else -1


@inline
def is_null(data: Array, at: int) -> bool:
    return load8(data, at) & np.uint64(0xFFFFFFFF) == np.uint64(0x6C6C756E)


@inline
def skip_scalar(data: Array, at: int) -> Any:
    """(position after a string, number or literal or -1, flags)."""
    c = byte(data, at)
    if c == 34:
        return skip_string(data, at + 1)
    if c >= 97:
        return skip_literal(data, at), PLAIN
    return read_number(data, at)[4], PLAIN


@inline
def matches(data: Array, at: int, text: Array, start: int, size: int) -> bool:
    """Whether text[start:start + size] stands at `at`; both are followed by PADDING. False for size 0."""
    if size <= 32:
        return size > 0 and differing(data, at, text, start) << np.uint64(64 - size) == np.uint64(0)
    i = 0
    while i < size - 32:
        if differing(data, at + i, text, start + i):
            return False
        i += 32
    return differing(data, at + size - 32, text, start + size - 32) == np.uint64(0)


@inline
def hash_of(data: Array, at: int, size: int, seed: int) -> Any:
    """A hash of data[at:at + size], uint64; depends on nothing else than these bytes and `seed`."""
    h = times(np.uint64(seed + 1) ^ np.uint64(size << 32), _SPREAD)
    i = 0
    while i + 8 <= size:
        h = times(h ^ load8(data, at + i), _MIX)
        h ^= h >> np.uint64(29)
        i += 8
    if i < size:
        h = times(h ^ (load8(data, at + i) & (_FULL >> np.uint64(64 - 8 * (size - i)))), _MIX)
        h ^= h >> np.uint64(29)
    h = times(h, _SPREAD)
    return h ^ (h >> np.uint64(32))


@bare_kernel("boolean(const uint8[::1], int64, int64)")
def is_utf8(data: Array, at: int, end: int) -> bool:
    """Whether data[at:end] is UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).

    data  uint8[bytes]; an ASCII byte follows at `end`, so that no character reaches beyond it
    """
    while at < end:
        if load8(data, at) & HIGHS == np.uint64(0):
            at += 8
            continue
        c = byte(data, at)
        if c < 128:
            at += 1
            continue
        second = byte(data, at + 1)
        if 0xC2 <= c <= 0xDF:
            size, low, high = 2, 0x80, 0xBF
        elif 0xE0 <= c <= 0xEF:
            size, low, high = 3, 0xA0 if c == 0xE0 else 0x80, 0x9F if c == 0xED else 0xBF
        elif 0xF0 <= c <= 0xF4:
            size, low, high = 4, 0x90 if c == 0xF0 else 0x80, 0x8F if c == 0xF4 else 0xBF
        else:
            return False
        if not low <= second <= high:
            return False
        for i in range(2, size):
            if not 0x80 <= byte(data, at + i) <= 0xBF:
                return False
        at += size
    return True
