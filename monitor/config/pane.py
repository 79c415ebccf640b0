"""The pane: the slice of event time that all windows of a model are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable

SHORTEST = 10_000
LONGEST = 300_000
HOURLY = 60_000
"""Panes of models with hourly or shorter windows: late records and revisions stay fine-grained, and
60 panes an hour is what one sketch per partition can still afford."""


class PaneError(ValueError):
    """No pane fits; the text says why."""


def common(spans: Iterable[int]) -> int:
    """Greatest common divisor of all sizes and steps, milliseconds."""
    return math.gcd(*spans)


def choose(spans: Iterable[int]) -> int:
    """The longest pane that divides all sizes and steps and is short enough.

    At most 5 min; 1 min when the sizes and steps have no common divisor above 1 h. Raises
    PaneError when none of at least 10 s divides them.
    """
    whole = common(spans)
    limit = HOURLY if whole <= 3_600_000 else LONGEST
    return divide(whole, limit=limit)


def divide(whole: int, *, limit: int) -> int:
    """The longest divisor of `whole` milliseconds that is at most `limit` and in whole seconds."""
    seconds, rest = divmod(whole, 1000)
    for pane in range(min(limit // 1000, seconds), SHORTEST // 1000 - 1, -1):
        if not rest and seconds % pane == 0:
            return pane * 1000
    raise PaneError("sizes and steps of all windows have no common divisor of whole seconds of 10s or more")


def check(pane: int, spans: Iterable[int]) -> None:
    """Raises PaneError when a chosen pane does not divide all sizes and steps."""
    if common(spans) % pane:
        raise PaneError("the pane must divide every size and step")
