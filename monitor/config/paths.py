"""Dotted paths into a record: `features.age`, `inputs[0].data[3]`, `["a.b"].c`."""

from __future__ import annotations

import re

from monitor.plan import Path

_STEP = re.compile(r"""\.?([^.\[\]"']+)|\[(\d{1,6})\]|\.?\["([^"]*)"\]|\.?\['([^']*)'\]""")
MAX_STEPS = 32


def parse_path(text: str) -> Path:
    """The steps of a dotted path. Raises ValueError."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        starts_with_dot = text[at] == "."
        if match is None or (starts_with_dot != (at > 0 and match[2] is None and not _bracket(text, at))):
            raise ValueError(_HOW)
        steps.append(
            int(match[2]) if match[2] is not None else next(g for g in match.group(1, 3, 4) if g is not None)
        )
        at = match.end()
    if not steps or len(steps) > MAX_STEPS:
        raise ValueError(_HOW)
    return tuple(steps)


_HOW = 'a path is written like age, features.age, inputs[0].data[3] or ["a.b"].c'


def _bracket(text: str, at: int) -> bool:
    return text[at] == "["
