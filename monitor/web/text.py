"""Numbers and times as people read them; filters of the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))

SYMBOLS = {"drift": "●", "warn": "▲", "ok": "○", "unknown": "◌"}
"""Colour is never the only signal."""


def count(value: float | None) -> str:
    """48210 → "48 210", with narrow no-break spaces."""
    if value is None or not isfinite(value):
        return "–"
    return f"{round(value):,}".replace(",", "\u202f")


def decimal(value: float | None) -> str:
    """Three significant digits: 0.0261, 21.4, 0."""
    if value is None or not isfinite(value):
        return "–"
    if value and abs(value) < 1e-4:
        return power(value)
    return f"{value:.3g}" if abs(value) < 1000 else count(value)


def power(value: float) -> str:
    """1.2e-9 → "1.2 × 10⁻⁹"."""
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}\u202f×\u202f10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def percent(share: float | None) -> str:
    """0.0214 → "2.1 %"."""
    if share is None or not isfinite(share):
        return "–"
    value = 100 * share
    digits = 0 if value >= 99.95 or value == 0 else 1
    return "<\u202f0.1\u202f%" if 0 < value < 0.05 else f"{value:.{digits}f}\u202f%"


def span(seconds: float | None) -> str:
    """90 → "1 min 30 s"; the two largest units."""
    if seconds is None:
        return "–"
    left = max(round(seconds), 0)
    parts = []
    for size, unit in _STEPS:
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole}\u202f{unit}")
    return " ".join(parts[:2]) or "0\u202fs"


def clock(moment: str | None) -> str:
    """An RFC 3339 time without the parts nobody reads: "22 Nov 20:00"."""
    if not moment:
        return "–"
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{int(moment[8:10])}\u202f{months[int(moment[5:7]) - 1]} {moment[11:16]}"


def size(octets: float) -> str:
    """812333 → "793 KiB"."""
    for unit in ("B", "KiB", "MiB"):
        if octets < 1024:
            return f"{octets:.0f}\u202f{unit}"
        octets /= 1024
    return f"{octets:.1f}\u202fGiB"


def symbol(state: Any) -> str:
    return SYMBOLS.get(str(state), "◌")


FILTERS: Mapping[str, Callable[..., str]] = {
    "count": count,
    "decimal": decimal,
    "percent": percent,
    "span": span,
    "clock": clock,
    "size": size,
    "symbol": symbol,
}
