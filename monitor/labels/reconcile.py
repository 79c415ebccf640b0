"""What estimates without labels were worth, once the labels are in. Pure.

An estimate stands in the record of the measured window, so that what it was is not asked of anybody later. What is
measured has the chance of its labels in it: with few of them an estimate is blamed for more than its own error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.verdict import Verdict

OVER = 7 * 86_400_000
"""Event time, ms, before the newest window that is known, for which errors are averaged: a week has every hour in it."""
SCORES = ""
"""How an estimate was made that goes by the scores alone; others are named after the column of their segments."""


class Worth(NamedTuple):
    """How far estimates of a figure lay from what was measured.

    error   mean of the absolute differences
    bias    mean of estimate less what was measured
    inside  share of the windows whose measured figure lay within the estimate's bounds
    """

    windows: int
    error: float
    bias: float
    inside: float


def ways(estimate: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Sequence[float]]]]:
    """How an estimate was made → figure → value, low, high."""
    if estimate:
        yield SCORES, estimate["figures"]
        yield from estimate["segments"].items()


def worth(history: Sequence[Verdict]) -> dict[str, dict[str, Worth]]:
    """How it was made → figure → its error; `history`: measured windows of one name, oldest first."""
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for one in history:
        if one.end <= history[-1].end - OVER or one.reason is not None:
            continue
        figures = one.scores.get("", {})
        for way, own in ways(one.estimate):
            for name, (value, low, high) in own.items():
                if name in figures:
                    item = value - figures[name], low <= figures[name] <= high
                    found.setdefault((way, name), []).append(item)
    errors: dict[str, dict[str, Worth]] = {}
    for (way, name), items in found.items():
        count = len(items)
        errors.setdefault(way, {})[name] = Worth(
            count,
            sum(abs(apart) for apart, _ in items) / count,
            sum(apart for apart, _ in items) / count,
            sum(inside for _, inside in items) / count,
        )
    return errors
