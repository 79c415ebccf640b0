"""Durations, sizes, shares and budgets: their text, and back. Raise ValueError with a full sentence."""

from __future__ import annotations

import math
import re

_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_MAX = 100 * 365 * _UNITS["d"]
_SIZES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_BUDGET = re.compile(r"(\S+)\s+per\s+(\S+)")


def parse_duration(text: str) -> int:
    """`1h30m` → milliseconds. Units w d h m s ms, each at most once, largest first (as Prometheus)."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        if text.isascii() and text.isdigit():
            raise ValueError(f"a duration needs a unit: write {text}s, {text}m or {text}h")
        raise ValueError("a duration is written like 30s, 5m, 1h30m or 7d")
    parts = zip(match.groups(), _UNITS.values(), strict=True)
    total = sum(int(number[:18]) * unit for number, unit in parts if number)
    if total > _MAX:
        raise ValueError("a duration is at most 100 years")
    return total


def format_duration(value: int) -> str:
    """Milliseconds → a text that `parse_duration` reads back, days at most: 7d, 1h30m."""
    if value == 0:
        return "0s"
    text = ""
    for unit, size in _UNITS.items():
        if unit == "w":
            continue
        count, value = divmod(value, size)
        text += f"{count}{unit}" if count else ""
    return text


def parse_size(text: str) -> int:
    """`64MiB` → bytes. Units B kB MB GB TB KiB MiB GiB TiB."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        raise ValueError("a size is written like 64MiB, 512KiB or 1GB")
    return round(float(match[1]) * _SIZES[match[2]])


def format_size(value: int) -> str:
    """Bytes → the largest binary unit that divides it."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return f"{value}B"


def parse_number(text: str) -> float:
    """A finite decimal number; `20%` is 0.2."""
    bare = text.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(bare) or len(bare) > 40:
        raise ValueError("a number is written like 0.25 or 25%")
    value = float(bare) / (100 if text.endswith("%") else 1)
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value


def parse_share(text: str) -> float:
    """A share from 0 to 1; `20%` is 0.2."""
    value = parse_number(text)
    if not 0 <= value <= 1:
        raise ValueError("a share lies between 0 and 1 (0 % and 100 %)")
    return value


def parse_budget(text: str) -> tuple[float, int]:
    """`2 per 30d` → (pages, period in milliseconds)."""
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise ValueError("a budget is written like `2 per 30d`: false pages per period")
    pages, period = parse_number(match[1]), parse_duration(match[2])
    if not 0 < pages <= 1000 or period < _UNITS["h"]:
        raise ValueError("a budget is more than 0 and at most 1000 pages per at least 1h")
    return pages, period


def format_budget(pages: float, period: int) -> str:
    return f"{pages:g} per {format_duration(period)}"
