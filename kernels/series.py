"""Numbers that follow each other in a template, of several records at once."""

from __future__ import annotations

import numpy as np

from kernels.jit import bare_kernel
from kernels.layout import Array
from kernels.number import SIGN, eisel_lemire, read_long
from kernels.program import (
    CAREFUL,
    NUMBER,
    STEP_COLUMNS,
    STEP_KIND,
    STEP_LINE,
    STEP_ODD,
    STEP_PLACE,
    STEP_SHIFT,
    STEP_SIZE,
    STEP_STOP,
    STEP_TEXT,
    TOGETHER,
)
from kernels.read import read_decimal
from kernels.text import matches
from kernels.words import bits_of, byte, differing, equal_at, get, load8, put, trailing_zeros

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"
LONGEST_PLAIN = 9
_PLAIN = np.uint64(0x3FE)
"""A bit for each length of a plain number: nine with a sign."""
_ONE = np.uint64(1)

DIFFERENT = -(1 << 40)
"""No step, and the complement of none."""


@bare_kernel(
    f"int64({_BYTES}, int64[::1], int64, {_TABLE}, uint8[::1], int64, int64, uint64[::1], uint8[::1], uint8[::1])"
)
def follow_numbers(
    data: Array,
    spots: Array,
    step: int,
    templates: Array,
    patterns: Array,
    record: int,
    line: int,
    bits: Array,
    lengths: Array,
    firsts: Array,
) -> int:
    """Read the numbers of consecutive steps from `step` on, of TOGETHER records: the step behind them.

    DIFFERENT where a record has another text; -1 - step where a number there is not plain, and nothing of it read.

    data     uint8[bytes]
    spots    int64[TOGETHER]   mutated: where the text before the next value begins in each record
    templates, patterns   of `kernels.program.Program`
    record, line          of the first record: its column in `bits`, and in the other two
    bits     uint64[…]   mutated: words that end with a number's characters; for this and the next see `kernels.number.finish`
    lengths  uint8[…]    mutated
    firsts   uint8[…]    mutated

    What ends at the byte that ended the number in the template may be anything, and is not looked at here: where
    the next value begins waits for nothing else. A function of its own, in which all stays in registers: nothing
    may be added lightly. 24 numbers of a record take 40 ns; with two records at a time 58, and 65 where what
    `finish` does is done here too.
    """
    one, two, three, four = get(spots, 0), get(spots, 1), get(spots, 2), get(spots, 3)
    while get(templates, step + STEP_KIND) == NUMBER:
        text = get(templates, step + STEP_TEXT)
        other = differing(data, one, patterns, text) | differing(data, two, patterns, text)
        other |= differing(data, three, patterns, text) | differing(data, four, patterns, text)
        if other << np.uint64(get(templates, step + STEP_SHIFT)):
            return DIFFERENT
        size = get(templates, step + STEP_SIZE)
        stop = get(templates, step + STEP_STOP)
        at = get(templates, step + STEP_PLACE) + record
        to = get(templates, step + STEP_LINE) + line
        first = trailing_zeros(equal_at(data, one + size, stop))
        second = trailing_zeros(equal_at(data, two + size, stop))
        third = trailing_zeros(equal_at(data, three + size, stop))
        fourth = trailing_zeros(equal_at(data, four + size, stop))
        plain = (_PLAIN >> np.uint64(first & 63)) & (_PLAIN >> np.uint64(second & 63))
        plain &= (_PLAIN >> np.uint64(third & 63)) & (_PLAIN >> np.uint64(fourth & 63))
        if not plain & _ONE:
            break
        put(firsts, to, np.uint8(byte(data, one + size)))
        put(firsts, to + 1, np.uint8(byte(data, two + size)))
        put(firsts, to + 2, np.uint8(byte(data, three + size)))
        put(firsts, to + 3, np.uint8(byte(data, four + size)))
        put(lengths, to, np.uint8(first))
        put(lengths, to + 1, np.uint8(second))
        put(lengths, to + 2, np.uint8(third))
        put(lengths, to + 3, np.uint8(fourth))
        one += size + first
        two += size + second
        three += size + third
        four += size + fourth
        put(bits, at, load8(data, one - 8))
        put(bits, at + 1, load8(data, two - 8))
        put(bits, at + 2, load8(data, three - 8))
        put(bits, at + 3, load8(data, four - 8))
        step += STEP_COLUMNS
    put(spots, 0, one)
    put(spots, 1, two)
    put(spots, 2, three)
    put(spots, 3, four)
    return -1 - step if get(templates, step + STEP_KIND) == NUMBER else step


@bare_kernel(
    f"int64({_BYTES}, int64[::1], int64, {_TABLE}, uint8[::1], int64, int64, uint64[::1], uint8[::1], uint8[::1])"
)
def follow_odd_numbers(
    data: Array,
    spots: Array,
    step: int,
    templates: Array,
    patterns: Array,
    record: int,
    line: int,
    bits: Array,
    lengths: Array,
    firsts: Array,
) -> int:
    """As `follow_numbers`, for any numbers and nulls: of `step`, and of those behind it that are CAREFUL.

    data, spots, templates, patterns, record, line, bits, lengths, firsts   as there; mutated likewise, and
        `templates` too: how often a number was odd
    """
    while True:
        text = get(templates, step + STEP_TEXT)
        size = get(templates, step + STEP_SIZE)
        place = get(templates, step + STEP_PLACE) + record
        to = get(templates, step + STEP_LINE) + line
        odd = 0
        for i in range(TOGETHER):
            at = get(spots, i)
            if not matches(data, at, patterns, text, size):
                return DIFFERENT
            mantissa, behind, negative, end = read_long(data, at + size)
            if end >= 0:
                value = eisel_lemire(mantissa, -behind)[0]
                put(bits, place + i, bits_of(value) | np.uint64(negative) << SIGN)
                odd |= end - at - size > LONGEST_PLAIN
            else:
                end = read_decimal(data, at + size, bits, lengths, firsts, place + i, to + i)
                if end < 0:
                    return DIFFERENT
                odd |= get(lengths, to + i) == 0
            put(spots, i, end)
        put(templates, step + STEP_ODD, np.int32(get(templates, step + STEP_ODD) + odd))
        step += STEP_COLUMNS
        if get(templates, step + STEP_KIND) != CAREFUL:
            return step
