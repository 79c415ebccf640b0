"""How a value becomes the name of a category, in live records and in training tables alike."""

from __future__ import annotations

import math

WIDEST_INTEGER = 4096
"""Bits of the largest integer written in decimal. Python refuses to print beyond 4,300 digits
(14,000 bits), and no category is a number of that size; wider ones are written in hexadecimal."""


def canonical(value: str | bool | float) -> str:  # noqa: FBT001  a value, not a switch
    """The category that a value names: 1, 1.0 and "1" are "1", true is "true".

    Training tables and live records spell the same value differently (an integer column that a
    missing value turned into floats), so both go through here. -0.0 is "0", NaN is "NaN".
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if not value.is_integer():
            return repr(value)
    number = int(value)
    if number.bit_length() > WIDEST_INTEGER:
        return f"{number:#x}"
    return str(number)
