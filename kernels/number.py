"""Decimal text to binary numbers, correctly rounded.

Digits are read eight at a time. A mantissa that a double holds and a power of ten that is exact give
the result in one rounding (Clinger 1990); everything else with at most 19 significant digits goes
through Eisel and Lemire's method (Lemire 2021, "Number Parsing at a Gigabyte per Second", sections 5
to 8). Longer mantissas and results that overflow are declined, not rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.words import (
    HIGHS,
    NINES,
    ZEROS,
    bits_of,
    byte,
    digits_at,
    divided,
    dots_at,
    double_of,
    get,
    high_product,
    leading_zeros,
    load8,
    put,
    times,
    trailing_zeros,
)

SMALLEST_POWER = -342
LARGEST_POWER = 308
"""Powers of ten beyond which a mantissa of 19 digits is 0 or infinite."""
MOST_DIGITS = 19
"""10**19 is the largest power of ten in 64 bits."""


def powers_of_five() -> Array:
    """uint64[powers, 2]: the leading 128 bits, high word first, of 5**q for q from SMALLEST_POWER on.

    Rounded down for q ≥ 0 and up for q < 0, as the method asks. From Python's exact integers.
    """
    table = np.empty((LARGEST_POWER - SMALLEST_POWER + 1, 2), np.uint64)
    for row, q in enumerate(range(SMALLEST_POWER, LARGEST_POWER + 1)):
        power = 5 ** abs(q)
        if q >= 0:
            bits = power.bit_length()
            word = power << (128 - bits) if bits <= 128 else power >> (bits - 128)
        else:
            word = (1 << (power.bit_length() + 127)) // power + 1
            word >>= max(word.bit_length() - 128, 0)
        table[row] = word >> 64, word & (2**64 - 1)
    return table


FIVES = powers_of_five()
TENS = np.array([10.0**k for k in range(23)])
"""Powers of ten that are doubles."""
WHOLE_TENS = np.array([10**k for k in range(MOST_DIGITS + 1)], np.uint64)
ROOM = np.array([(10**MOST_DIGITS - 1) // 10**k for k in range(9)], np.uint64)
"""Largest mantissa to which k digits can be appended."""

ZERO = np.uint64(0)
ONE = np.uint64(1)
SIXTY_FOUR = np.uint64(64)
SIGN = np.uint64(63)
BYTE = np.uint64(0xFF)
DIGIT_0 = np.uint64(0x30)
_PAIRS = np.uint64(0x0F0F0F0F0F0F0F0F)
_QUADS = np.uint64(0x00FF00FF00FF00FF)
_OCTETS = np.uint64(0x0000FFFF0000FFFF)
_DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_LOWS = np.uint64(0x7F7F7F7F7F7F7F7F)
_NULL = np.uint64(0x6C6C756E00000000)
"""null, in the upper bytes."""
NAN = np.uint64(0x7FF8000000000000)
_TWO_BYTES = np.uint64(0xFFFF)
ZERO_DOT = np.uint64(0x2E30)
_ODD = np.uint64(0x0080008000800080)
_SECONDS = np.uint64(0x0000808000008080)
_FOURTHS = np.uint64(0x0000000080808080)
"""A dot that has 1, 3, 5 or 7 digits behind it; 2, 3, 6 or 7; 4 and more."""
EIGHT = np.uint64(8)
DIGIT_1 = np.uint64(0x31)
FLAWED = np.uint64(0x7FF8000000000001)
"""A NaN that `finish` alone makes."""
SEVEN = np.uint64(7)
THREE = np.uint64(3)
FOUR = np.uint64(4)
_63 = np.uint64(63)
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BY_10 = np.uint64(2561)
_BY_100 = np.uint64(6553601)
_BY_10000 = np.uint64(42949672960001)


@inline
def digits_in(word: Any) -> int:
    """How many of the eight bytes, from the first on, are digits; `word` is xor ZEROS."""
    return trailing_zeros(((word + NINES) | word) & HIGHS) >> 3


@inline
def value_of(word: Any, digits: int) -> Any:
    """The number that the first `digits` (0…8) bytes spell, uint64; `word` is xor ZEROS."""
    half = np.uint64(32 - 4 * digits)
    word = (word << half) << half  # twice half: a shift by 64 is undefined
    word = times(word & _PAIRS, _BY_10) >> np.uint64(8)
    word = times(word & _QUADS, _BY_100) >> np.uint64(16)
    return times(word & _OCTETS, _BY_10000) >> np.uint64(32)


@inline
def read_short(data: Array, at: int) -> Any:
    """The number at `at` where it has at most eight characters behind its sign, and no exponent.

    (a word that ends with its characters, how many there are, the first of them, end): `finish` makes doubles of
    many. `end` is -1 where the number is longer, has an exponent, or is none; `read_number` tells. No branch
    depends on a sign or a digit: half of them would be guessed wrongly, 5 ns each.
    """
    sign = np.uint64(byte(data, at) == 45)
    digits = digits_at(data, at) >> sign
    dots = dots_at(data, at) >> sign
    size = trailing_zeros(~(digits | dots))
    whole = trailing_zeros(~digits)
    begin = at + np.int64(sign)
    word = load8(data, begin)
    first_zero = np.int64((word & BYTE) - DIGIT_0) - 1  # negative for a first digit 0
    flaws = ((whole - 1) | (8 - size) | (first_zero & (1 - whole))) >> 63
    if flaws or byte(data, begin + size) | 32 == 101:
        return ZERO, 0, 0, -1
    dots &= (ONE << np.uint64(size)) - ONE
    if dots & (dots - ONE) or (dots and whole + 1 == size):
        return ZERO, 0, 0, -1
    return word << (SIXTY_FOUR - np.uint64(size << 3)), begin + size - at, byte(data, at), begin + size


@bare_kernel("void(uint64[::1], const uint8[::1], const uint8[::1], int64, int64, int64, uint64[::1])")
def finish(
    bits: Array, lengths: Array, firsts: Array, rows: int, start: int, stride: int, flaws: Array
) -> None:
    """Make doubles of the characters that `read_short` and `kernels.series.follow_numbers` found.

    bits     uint64[rows · stride]   mutated: where a length is not 0, a word that ends with so many characters becomes
             a double's bits, or FLAWED where these are no number that JSON allows, nor null, or too many
    lengths  uint8[rows · records]   of records start … start + records
    firsts   uint8[rows · records]   their first characters, which have no place in the word where there are nine
    rows     rows of all three
    start    where the records begin in each row of `bits`
    stride   length of a row of `bits`
    flaws    uint64[rows]   mutated: 1 where there is something FLAWED in a row

    Digits behind the dot are at most six and all digits at most eight: one division rounds correctly. There is no
    branch, so that several are made at once.
    """
    records = len(lengths) // max(rows, 1)
    for row in range(rows):
        wrong = ZERO
        for record in range(records):
            at = row * stride + start + record
            raw = np.uint64(get(bits, at))
            length = np.uint64(get(lengths, row * records + record))
            negative = ONE if get(firsts, row * records + record) == 45 else ZERO
            size = length - negative
            blank = (SIXTY_FOUR - (size << THREE)) & _63
            kept = FULL << blank
            word = raw & kept
            dots = word ^ _DOTS
            dots = ~(((dots & _LOWS) + _LOWS) | dots) & HIGHS
            shift = EIGHT if dots > ZERO else ZERO
            below = (dots >> SEVEN) - ONE
            # What stands before the dot moves up into its place; without a dot nothing stands above it.
            packed = (word & (~below << shift)) | (word & below) << shift
            digits = (packed ^ ZEROS) & (kept << shift)
            text = word >> blank
            flaw = ((digits + NINES) | digits) & HIGHS | (dots & (dots - ONE)) | (dots >> SIGN)
            leading = (
                (text & BYTE < DIGIT_1) & (text & _TWO_BYTES != ZERO_DOT) & (text & _TWO_BYTES != DIGIT_0)
            )
            is_flawed = (flaw > ZERO) | leading | (size - ONE > SEVEN)
            whole = times(digits, _BY_10) >> EIGHT
            whole = times(whole & _QUADS, _BY_100) >> np.uint64(16)
            whole = times(whole & _OCTETS, _BY_10000) >> np.uint64(32)
            ten = (10.0 if dots & _ODD > ZERO else 1.0) * (100.0 if dots & _SECONDS > ZERO else 1.0)
            ten = ten * (10000.0 if dots & _FOURTHS > ZERO else 1.0)
            value = bits_of(divided(np.float64(np.int64(whole)), ten))
            # An integer has no negative zero.
            value = value | negative << SIGN if (whole | dots) > ZERO else value
            value = FLAWED if is_flawed else value
            value = NAN if (word == _NULL) & (length == FOUR) else value
            value = value if length > ZERO else raw
            wrong = ONE if (value == FLAWED) & (length > ZERO) else wrong
            put(bits, at, value)
        put(flaws, row, np.uint64(get(flaws, row)) | wrong)


@inline
def read_long(data: Array, at: int) -> Any:
    """The number at `at` where it has a dot, one to eight digits before it, at most 23 behind it and no exponent.

    (mantissa uint64, digits behind the dot, is negative, end), as `read_number`; `end` is -1 for all others
    and for mantissas of more than MOST_DIGITS digits. What programs print of a double has 15 to 17 digits
    in no order: words of eight are read whether or not they are needed, which beats guessing how many.
    """
    sign = np.uint64(byte(data, at) == 45)
    digits = (digits_at(data, at) | digits_at(data, at + 16) << np.uint64(16)) >> sign
    whole = trailing_zeros(~digits)
    begin = at + np.int64(sign)
    dot = begin + whole
    behind = trailing_zeros(~(digits >> np.uint64(whole + 1)))
    first = load8(data, begin)
    first_zero = np.int64((first & BYTE) - DIGIT_0) - 1  # negative for a first digit 0
    flaws = ((whole - 1) | (8 - whole) | (first_zero & (1 - whole)) | (behind - 1) | (23 - behind)) >> 63
    end = dot + 1 + behind
    if flaws or byte(data, dot) != 46 or byte(data, end) | 32 == 101 or end - at > 31:
        return ZERO, 0, False, -1
    one = min(behind, 8)
    two = min(max(behind - 8, 0), 8)
    three = max(behind - 16, 0)
    high = times(value_of(first, whole), WHOLE_TENS[one]) + value_of(load8(data, dot + 1), one)
    middle = times(high, WHOLE_TENS[two]) + value_of(load8(data, dot + 9), two)
    if high > ROOM[two] or middle > ROOM[three]:
        return ZERO, 0, False, -1
    mantissa = times(middle, WHOLE_TENS[three]) + value_of(load8(data, dot + 17), three)
    return mantissa, behind, sign != ZERO, end


@inline
def read_number(data: Array, at: int) -> Any:
    """The JSON number at `at`: (mantissa uint64, power of ten, is negative, is integer, end).

    `end` is -1 where there is none, or one with more than MOST_DIGITS significant digits. The
    value is mantissa · 10**power. What follows it is the caller's affair.
    """
    zero = np.uint64(0)
    negative = byte(data, at) == 45
    p = at + 1 if negative else at
    word = load8(data, p) ^ ZEROS
    digits = digits_in(word)
    if digits == 0 or (digits > 1 and word & np.uint64(0xFF) == zero):
        return zero, 0, negative, True, -1
    mantissa = value_of(word, digits)
    p += digits
    while digits == 8:
        word = load8(data, p) ^ ZEROS
        digits = digits_in(word)
        if mantissa > ROOM[digits]:
            return zero, 0, negative, True, -1
        mantissa = times(mantissa, WHOLE_TENS[digits]) + value_of(word, digits)
        p += digits
    following = byte(data, p)
    if following != 46 and following | 32 != 101:
        return mantissa, 0, negative, True, p
    power = 0
    if following == 46:
        begin = p + 1
        p = begin
        digits = 8
        while digits == 8:
            word = load8(data, p) ^ ZEROS
            digits = digits_in(word)
            if mantissa > ROOM[digits]:
                return zero, 0, negative, False, -1
            mantissa = times(mantissa, WHOLE_TENS[digits]) + value_of(word, digits)
            p += digits
        if p == begin:
            return zero, 0, negative, False, -1
        power = begin - p
        following = byte(data, p)
    if following | 32 == 101:
        exponent, p = _exponent(data, p + 1)
        power += exponent
    return mantissa, power, negative, False, p


@inline
def _exponent(data: Array, at: int) -> Any:
    """(exponent, end); end is -1 where there are no digits, or more than four."""
    sign = byte(data, at)
    p = at + 1 if sign in (43, 45) else at
    begin = p
    exponent = 0
    while p - begin < 5 and 48 <= byte(data, p) <= 57:
        exponent = exponent * 10 + byte(data, p) - 48
        p += 1
    if p == begin or p - begin == 5:
        return 0, -1
    return (-exponent if sign == 45 else exponent), p


@inline
def eisel_lemire(mantissa: Any, power: int) -> Any:
    """As `to_double`: the mantissa's product with 128 bits of 5**power decides the rounding."""
    if mantissa == np.uint64(0) or power < SMALLEST_POWER:
        return 0.0, True
    if power > LARGEST_POWER:
        return 0.0, False
    one = np.uint64(1)
    shift = leading_zeros(mantissa)
    word = mantissa << np.uint64(shift)
    row = np.uint64(power - SMALLEST_POWER)
    high, low = high_product(word, FIVES[row, ZERO]), times(word, FIVES[row, ZERO])
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):  # what is below may carry into the kept bits
        more = high_product(word, FIVES[row, ONE])
        low = low + more
        high += np.uint64(low < more)
    upper = np.int64(high >> np.uint64(63))
    bits = high >> np.uint64(upper + 9)
    binary = ((217706 * power) >> 16) + 63 + upper - shift + 1023  # 217706 / 2**16 is log2(10)
    if binary <= 0:  # below the smallest normal double
        if binary <= -63:
            return 0.0, True
        bits >>= np.uint64(1 - binary)
        bits = (bits + (bits & one)) >> one
        return double_of(bits), True  # a carry into bit 52 is the smallest normal double
    tie = low <= one and -4 <= power <= 23 and bits & np.uint64(3) == one
    if tie and bits << np.uint64(upper + 9) == high:
        bits &= ~one  # exactly between two doubles: to the even one
    bits = (bits + (bits & one)) >> one
    if bits >= np.uint64(1 << 53):
        bits = np.uint64(1 << 52)
        binary += 1
    if binary >= 2047:
        return 0.0, False
    return double_of((bits & np.uint64((1 << 52) - 1)) | np.uint64(binary) << np.uint64(52)), True


@inline
def to_double(mantissa: Any, power: int) -> Any:
    """(mantissa · 10**power rounded to nearest, ties to even; whether that is a finite double).

    mantissa  uint64, at most 10**MOST_DIGITS - 1
    """
    if mantissa <= np.uint64(1 << 53) and -22 <= power <= 22:
        if power < 0:
            return np.float64(mantissa) / TENS[-power], True
        return np.float64(mantissa) * TENS[power], True
    return eisel_lemire(mantissa, power)
