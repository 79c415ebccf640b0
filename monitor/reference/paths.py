"""Dotted paths and what they find in a decoded record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.plan import Path

DEEPEST = 32
LONGEST_ARRAY = 256
"""Elements of an array that become columns of their own; an embedding is longer and is none."""


def format_path(path: Path) -> str:
    """A path as configurations write it: `features.age`, `inputs[0].data[3]`, `["a.b"].c`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not step or any(sign in step for sign in ".[]\"'"):
            text += f"['{step}']" if '"' in step else f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def flatten(record: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar of a record with its path, in the record's order; null is one.

    Deeper than DEEPEST steps and beyond LONGEST_ARRAY elements nothing is found.
    """
    for key, value in record.items():
        yield from _scalars(value, (*prefix, key))


def find(record: Any, path: Path) -> Any:
    """What a record has at a path; None when it has nothing there."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(record, list) or step >= len(record):
                return None
            record = record[step]
        elif isinstance(record, dict):
            record = record.get(step)
        else:
            return None
    return record


def _scalars(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if len(path) > DEEPEST:
        return
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _scalars(below, (*path, key))
    elif isinstance(value, list):
        if len(value) <= LONGEST_ARRAY:
            for index, below in enumerate(value):
                yield from _scalars(below, (*path, index))
    else:
        yield path, value
