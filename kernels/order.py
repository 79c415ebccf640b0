"""Numbers in ascending order, for the quantiles of a reference."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

DIGIT = np.uint64(11)
DIGITS = 6
"""Digits of 11 bits in a number: 2,048 counters of one stay in the first-level cache."""
SIZE = 1 << 11

_SIGN = np.uint64(1 << 63)
_SHIFT = np.uint64(63)
_MASK = np.uint64(SIZE - 1)
_ZERO = np.uint64(0)


@kernel("void(uint64[::1], uint64[::1])")
def ascend(words: Array, spare: Array) -> None:
    """Sort the words of finite float64 numbers in place.

    words  uint64[rows]   mutated: `values.view(np.uint64)`; afterwards ascending as numbers, -0.0 before 0.0
    spare  uint64[rows]   scratch

    Least digit first, and what all have in common is passed over. On every machine equal input gives
    equal bits; a sort by comparison leaves zeros of both signs in any order. 250,000 normal
    numbers take 2.5 ms, numpy's sort 11 ms.
    """
    rows = len(words)
    counts = np.zeros((DIGITS, SIZE), np.int64)
    for row in range(rows):
        word = words[row]
        # negative numbers ascend as their words descend
        word = ~word if word >> _SHIFT != _ZERO else word | _SIGN
        words[row] = word
        for digit in range(DIGITS):
            counts[digit, word & _MASK] += 1
            word >>= DIGIT
    here = words
    there = spare
    for digit in range(DIGITS):
        shift = np.uint64(digit) * DIGIT
        if rows > 0 and counts[digit, (here[0] >> shift) & _MASK] == rows:
            continue
        before = 0
        for value in range(SIZE):
            count = counts[digit, value]
            counts[digit, value] = before
            before += count
        for row in range(rows):
            value = (here[row] >> shift) & _MASK
            there[counts[digit, value]] = here[row]
            counts[digit, value] += 1
        here, there = there, here
    for row in range(rows):
        word = here[row]
        words[row] = word ^ _SIGN if word >> _SHIFT != _ZERO else ~word
