"""Event times of training tables, which are written more loosely than those of live records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.intake.times import milliseconds
from monitor.plan import TimeUnit

_LOOSE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?)? ?(Z|z|UTC|[-+]\d\d:?\d\d)?", re.ASCII
)
_MAGNITUDES = (
    (TimeUnit.SECONDS, 1e8, 1e11),
    (TimeUnit.MILLISECONDS, 1e11, 1e14),
    (TimeUnit.MICROSECONDS, 1e14, 1e17),
    (TimeUnit.NANOSECONDS, 1e17, 1e20),
)
"""Numbers since 1970 from 1973 to 5138 tell their unit by their size alone."""


def guess_unit(values: Sequence[Any]) -> TimeUnit | None:
    """The unit that all present values have in common; None when they do not tell."""
    present = [value for value in values if value is not None and value == value]  # noqa: PLR0124  NaN
    if not present:
        return None
    if all(isinstance(value, str) for value in present):
        return TimeUnit.RFC3339 if all(_LOOSE.fullmatch(value.strip()) for value in present) else None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in present):
        return None
    for unit, low, high in _MAGNITUDES:
        if all(low <= value < high for value in present):
            return unit
    return None


def event_times(column: NDArray[Any], unit: TimeUnit, *, where: str) -> NDArray[np.int64]:
    """Milliseconds since the epoch, -1 where the time is missing.

    Texts may leave out the time of day, the `T` and the offset, which then is UTC. Raises
    ReferenceInvalid when a time that is present cannot be read.
    """
    if column.dtype.kind == "M":
        return _datetimes(column)
    values = [_tidy(value) for value in column.tolist()]
    present = [row for row, value in enumerate(values) if value is not None]
    times, faults = milliseconds([values[row] for row in present], unit)
    if faults:
        row, fault = min(faults.items())
        raise ReferenceInvalid(
            f"{len(faults)} event times cannot be read - {where}, row {present[row]} of its chunk - {fault}"
        )
    out = np.full(len(column), -1, np.int64)
    out[present] = times
    return out


def _datetimes(column: NDArray[Any]) -> NDArray[np.int64]:
    absent = np.isnat(column)
    return np.where(absent, -1, column.astype("datetime64[ms]").astype(np.int64))


def _tidy(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # noqa: PLR0124  NaN
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)  # integers are read exactly
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if not isinstance(value, str):
        return value
    match = _LOOSE.fullmatch(value.strip())
    if match is None:
        return value
    day, minute, second, fraction, offset = match.groups()
    offset = "Z" if offset in {None, "UTC", "z"} else offset
    if len(offset) == 5:
        offset = f"{offset[:3]}:{offset[3:]}"
    return f"{day}T{minute or '00:00'}{second or ':00'}{fraction or ''}{offset}"
