"""Event times in place: epoch numbers and RFC 3339 texts to milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.number import digits_in, read_number, to_double, value_of
from kernels.words import ZEROS, byte, digits_at, load8

LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
LARGEST_WHOLE = np.uint64(10**18)
_THIRTEEN = np.uint64((1 << 13) - 1)
_FOURTEEN = np.uint64((1 << 14) - 1)
_TO_FIVE = np.uint64(10**5)
DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
"""Days of a common year before each month."""


@inline
def _two(data: Array, at: int) -> int:
    """The number that two digits spell; beyond 99 or below 0 where they are none."""
    high, low = byte(data, at) - 48, byte(data, at + 1) - 48
    return high * 10 + low if 0 <= high <= 9 and 0 <= low <= 9 else -1


@inline
def read_epoch(data: Array, at: int, divisor: int, factor: int) -> Any:
    """(ms, end); end is -1 where it is no number from 1970 to 9999. ms = value · factor ÷ divisor.

    Whole numbers exactly, rounded down; others to the nearest microsecond first.
    """
    # Milliseconds from 2001 to 2286 have thirteen digits, and nothing that is asked of them can be wrong.
    if digits_at(data, at) & _FOURTEEN == _THIRTEEN and divisor == 1 and factor == 1:
        behind = byte(data, at + 13)
        if byte(data, at) != 48 and behind != 46 and behind | 32 != 101:
            high = value_of(load8(data, at) ^ ZEROS, 8)
            return np.int64(high * _TO_FIVE + value_of(load8(data, at + 8) ^ ZEROS, 5)), at + 13
    mantissa, power, negative, whole, end = read_number(data, at)
    if end < 0 or negative:
        return 0, -1
    if whole:
        if mantissa > LARGEST_WHOLE:
            return 0, -1
        ms = np.int64(mantissa)
        if factor > 1:
            ms = ms * factor if ms <= LATEST_MS else LATEST_MS + 1
        elif divisor > 1:
            ms //= divisor
        return ms, (end if ms <= LATEST_MS else -1)
    value, fits = to_double(mantissa, power)
    micros = np.rint(value * (1000.0 * factor) / divisor)
    if not fits or not micros < 1000.0 * (LATEST_MS + 1):
        return 0, -1
    ms = np.int64(micros) // 1000
    return ms, end


@bare_kernel("int64(const uint8[::1], int64, int64[::1])")
def read_rfc3339(data: Array, at: int, out: Array) -> int:
    """End of the text at `at`, its opening quote; -1 where it is not a time of the plainest spelling.

    data  uint8[bytes]
    out   int64[1]   mutated: ms since the epoch, rounded down

    2026-11-25T17:50:00Z, with 1 to 9 digits of a fraction and ±hh:mm for Z, from 1970 to 9999.
    Everything else that RFC 3339 allows (small letters, a space for the T, leap seconds) is declined.
    """
    p = at + 1
    date = load8(data, p) ^ ZEROS  # yyyy-mm-
    if digits_in(date) != 4 or byte(data, p + 4) != 45 or byte(data, p + 7) != 45:
        return -1
    year = np.int64(value_of(date, 4))
    month = _two(data, p + 5)
    day = _two(data, p + 8)
    hour = _two(data, p + 11)
    minute = _two(data, p + 14)
    second = _two(data, p + 17)
    if byte(data, p + 10) != 84 or byte(data, p + 13) != 58 or byte(data, p + 16) != 58:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1970 or not 1 <= month <= 12 or day < 1:
        return -1
    longest = 31 - (month == 4 or month == 6 or month == 9 or month == 11)
    if month == 2:
        longest = 29 if leap else 28
    if day > longest or not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return -1
    p += 19
    ms = 0
    if byte(data, p) == 46:
        begin = p + 1
        unit = 100
        p = begin
        while 48 <= byte(data, p) <= 57 and p - begin < 10:
            ms += unit * (byte(data, p) - 48)
            unit //= 10
            p += 1
        if not 1 <= p - begin <= 9:
            return -1
    offset = 0
    sign = byte(data, p)
    if sign == 43 or sign == 45:
        hours, minutes = _two(data, p + 1), _two(data, p + 4)
        if byte(data, p + 3) != 58 or not (0 <= hours <= 23 and 0 <= minutes <= 59):
            return -1
        offset = (hours * 60 + minutes) * (1 if sign == 43 else -1)
        p += 5
    elif sign != 90:
        return -1
    if byte(data, p + 1) != 34:
        return -1
    years = year - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 - 719162
    days += DAYS_BEFORE[month - 1] + day - 1 + (leap and month > 2)
    out[0] = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + ms
    return p + 2 if 0 <= out[0] <= LATEST_MS else -1
