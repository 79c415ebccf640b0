"""Whether what a model was given is what the online store has. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.consistency.feast import Stored
from monitor.intake.convert import number
from monitor.plan import FeaturePlan, Kind, Path
from monitor.reference.category import canonical


class Match(enum.StrEnum):
    SAME = "same"
    MISMATCH = "mismatch"
    MOVED = "moved"
    """The store may have another value now than it had then: nothing is said of it."""


TRUNCATED = 1_000
"""Ms that a value may be newer than the server says: it leaves fractions of a second out."""


def compare(
    logged: Any, stored: Stored, feature: FeaturePlan, *, event: int, known: int, tolerance: float
) -> Match:
    """What is to be said of one value that was logged at `event`.

    A value whose time is after the record was not there yet. One that is newer than all that the view is known to have
    had before the record (`known`, -1: nothing) may have been written late, as a batch is: its time is that of the data.
    Nor is it known since when one is expired. Equal ones of these are passed over too, or the ratio were too small.
    """
    if stored.expired and not _is_nothing(logged):
        return Match.MOVED
    if stored.written >= 0 and (stored.written + TRUNCATED > event or stored.written > known):
        return Match.MOVED
    return Match.SAME if agrees(logged, stored.value, feature, tolerance) else Match.MISMATCH


def agrees(logged: Any, stored: Any, feature: FeaturePlan, tolerance: float) -> bool:
    """Numbers by a relative tolerance, vectors number by number, categories by their names; NaN is no value."""
    logged, stored = _plain(logged, feature), _plain(stored, feature)
    if _is_nothing(logged) or _is_nothing(stored):
        return _is_nothing(logged) and _is_nothing(stored)
    if feature.kind is Kind.NUMERIC:
        return _near(logged, stored, tolerance)
    if feature.kind is Kind.VECTOR:
        return (
            isinstance(logged, Sequence)
            and isinstance(stored, Sequence)
            and len(logged) == len(stored)
            and all(_near(one, other, tolerance) for one, other in zip(logged, stored, strict=True))
        )
    if not isinstance(logged, str | bool | int | float) or not isinstance(stored, str | bool | int | float):
        return bool(logged == stored)
    return canonical(logged) == canonical(stored)


def record_of(value: bytes) -> Any:
    """The JSON of a record; None where it is none, which no record is that became a row."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def at(record: Any, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        if isinstance(step, str) and isinstance(record, Mapping):
            record = record.get(step)
        elif isinstance(step, int) and isinstance(record, list) and step < len(record):
            record = record[step]
        else:
            return None
    return record


def _plain(value: Any, feature: FeaturePlan) -> Any:
    """A number in the place of one that is written as text, where the feature is one."""
    if feature.kind is Kind.NUMERIC and isinstance(value, str):
        found = number(value)
        return value if found is None else found
    return value


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _near(one: Any, other: Any, tolerance: float) -> bool:
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return False
    return one == other or math.isclose(one, other, rel_tol=tolerance, abs_tol=0.0)
