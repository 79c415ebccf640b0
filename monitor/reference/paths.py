"""Dotted paths and what they find in a decoded record."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from monitor.plan import LONGEST_VECTOR, Path

DEEPEST = 32
LONGEST_ARRAY = 256
"""Elements of an array that become columns of their own; one that is longer is a vector or nothing."""
SHORTEST_VECTOR = 64
"""Numbers in a list that is taken for a vector whatever it is called: shorter ones are often features."""
_CALLED = re.compile(r"embed|(^|_)(emb|vec|vector|latent|encoding)s?($|_)", re.IGNORECASE)


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


def vectors_in(records: Iterable[Mapping[str, Any]]) -> dict[Path, int]:
    """Path → length of the lists that are vectors: of numbers alone, of one length in all records.

    Those of at least SHORTEST_VECTOR numbers, and shorter ones that are called so.
    """
    lengths: dict[Path, set[int]] = {}
    for record in records:
        for path, length in _lists(record, ()):
            lengths.setdefault(path, set()).add(length)
    above = {path[:depth] for path in lengths for depth in range(1, len(path))}
    return {
        path: max(found)
        for path, found in lengths.items()
        if len(found) == 1 and _is_vector(path, max(found)) and path not in above and outside(path, lengths)
    }


def outside(path: Path, others: Collection[Path]) -> bool:
    """Whether a path is below none of the others."""
    return not any(path[:depth] in others for depth in range(1, len(path)))


def _is_vector(path: Path, length: int) -> bool:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    shortest = 2 if _CALLED.search(name) else SHORTEST_VECTOR
    return shortest <= length <= LONGEST_VECTOR


def _lists(value: Any, path: Path) -> Iterator[tuple[Path, int]]:
    """Every list of numbers with its length; -1 for what is neither one nor null nor holds others."""
    if len(path) > DEEPEST or value is None:
        return
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _lists(below, (*path, key))
    elif isinstance(value, list) and value and all(type(one) in {int, float} for one in value):
        yield path, len(value)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for index, below in enumerate(value[:LONGEST_ARRAY]):
            yield from _lists(below, (*path, index))
    else:
        yield path, -1
