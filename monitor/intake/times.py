"""Event times as written by producers, read exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from operator import attrgetter, floordiv, sub
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.plan import TimeUnit

LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
PER_MS = {
    TimeUnit.SECONDS: (1, 1000),
    TimeUnit.MILLISECONDS: (1, 1),
    TimeUnit.MICROSECONDS: (1000, 1),
    TimeUnit.NANOSECONDS: (1_000_000, 1),
}
"""Unit → (divisor, factor): milliseconds are value × factor ÷ divisor."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
LIKELY_MS = (631_152_000_000, 4_102_444_800_000)  # 1990 to 2100
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_BEYOND_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")
_SHORTEST_WITH_NANOSECONDS = len("2023-01-01T00:00:00.1234567Z")


def milliseconds(column: Sequence[Any], unit: TimeUnit) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Event times of a column in milliseconds since the epoch, rounded down.

    The second result says, by row, what is wrong with a time and how it would be right; its rows
    are 0 in the first. Times from 1970 to 9999 are taken. Integers and texts are read exactly,
    fractional numbers to the nearest microsecond first, so that 1700000000.123 s, which no double
    is equal to, is 123 ms and not 122. None must have been dropped before.
    """
    times = _all_texts(column) if unit is TimeUnit.RFC3339 else _all_numbers(column, unit)
    if times is not None and len(times) and (times.min() < 0 or times.max() > LATEST_MS):
        times = None
    if times is not None:
        return times, {}
    faults: dict[int, str] = {}
    out = np.zeros(len(column), np.int64)
    for row, value in enumerate(column):
        time = _text(value) if unit is TimeUnit.RFC3339 else _number(value, unit)
        if time is None or not 0 <= time <= LATEST_MS:
            faults[row] = _explain(value, unit)
        else:
            out[row] = time
    return out, faults


def _all_numbers(column: Sequence[Any], unit: TimeUnit) -> NDArray[np.int64] | None:
    """Times of a column of nothing but integers, or nothing but fractions; None when mixed."""
    kinds = set(map(type, column))
    divisor, factor = PER_MS[unit]
    if kinds == {int}:
        try:
            whole = np.fromiter(column, np.int64, len(column))
        except OverflowError:
            return None
        return whole // divisor if factor == 1 else np.clip(whole, -1, LATEST_MS) * factor
    if kinds == {float}:
        fractional = np.fromiter(column, np.float64, len(column))
        with np.errstate(over="ignore"):
            micros = np.rint(fractional * (1000.0 * factor) / divisor)
        limit = LATEST_MS * 1000.0
        return np.clip(micros, -1, 2 * limit).astype(np.int64) // 1000
    return None


def _all_texts(column: Sequence[Any]) -> NDArray[np.int64] | None:
    """Times of a column of nothing but RFC 3339 texts with an offset; None otherwise."""
    if set(map(type, column)) != {str}:
        return None
    if max(map(len, column)) >= _SHORTEST_WITH_NANOSECONDS:
        column = [_BEYOND_MICROSECONDS.sub(r"\1", text) for text in column]  # msgspec would round up
    try:
        times = msgspec.convert(column, list[datetime])
    except msgspec.ValidationError:
        return None
    if None in map(attrgetter("tzinfo"), times):
        return None
    ms = map(floordiv, map(sub, times, repeat(_EPOCH)), repeat(_MS))
    return np.fromiter(ms, np.int64, len(times))


def _text(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    times = _all_texts([value])
    return None if times is None else int(times[0])


def _number(value: object, unit: TimeUnit) -> int | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is None:
            return None
        value = float(value) if match[1] or match[2] else int(value)
    divisor, factor = PER_MS[unit]
    if isinstance(value, int):
        return value * factor // divisor
    if isinstance(value, float) and abs(value) < 1e30:
        return round(value * (1000.0 * factor) / divisor) // 1000
    return None


def _explain(value: object, unit: TimeUnit) -> str:
    right = "an RFC 3339 text with an offset" if unit is TimeUnit.RFC3339 else f"a number in {unit}"
    others = [other for other in TimeUnit if other is not unit and _is_likely(value, other)]
    if others:
        return f"must be {right} from 1970 to 9999; it would be plausible as {others[0]}"
    if unit is TimeUnit.RFC3339 and isinstance(value, str) and _text(f"{value}Z") is not None:
        return f"must be {right}; it has no offset (Z, +01:00)"
    return f"must be {right} from 1970 to 9999"


def _is_likely(value: object, unit: TimeUnit) -> bool:
    time = _text(value) if unit is TimeUnit.RFC3339 else _number(value, unit)
    return time is not None and LIKELY_MS[0] <= time <= LIKELY_MS[1]
