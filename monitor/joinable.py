"""Rows that a sketch keeps one by one, because what belongs to them comes on another topic.

Written as bytes: which of the two they are, how many columns of segments, the digest of what gives them their
meaning, then the rows in the order of their offsets. A newer sketch of a cell has those of an older one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.columns import Columns
from monitor.plan import JoinPlan

PREDICTIONS, LABELS = 1, 2
_HEAD = 2 + 8


class RowsDamaged(ValueError):
    """Bytes that are no rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one cell.

    rows  structured: id uint64, value float32; of predictions segment uint8[columns]: code of each; of labels stamp
          int64 (record timestamp), mark int64 (watermark of the partition at the record), offset int64
    """

    kind: int
    digest: bytes
    rows: NDArray[np.void]


def dtype_of(kind: int, columns: int) -> np.dtype[np.void]:
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("id", "<u8"), ("value", "<f4")]
    if kind == PREDICTIONS:
        return np.dtype([*fields, ("segment", "u1", (columns,))])
    return np.dtype([*fields, ("stamp", "<i8"), ("mark", "<i8"), ("offset", "<i8")])


def rows_of(columns: Columns, marks: NDArray[np.int64], join: JoinPlan) -> NDArray[np.void]:
    """Every row of a batch; one that has no id, or no value, has the id 0.

    Where a partition has no watermark yet the record's own timestamp stands for it.
    """
    assert columns.ids is not None
    assert columns.outcome is not None
    count = len(columns.segments) if columns.segments is not None and not join.is_label else 0
    found = np.zeros(len(columns), dtype_of(LABELS if join.is_label else PREDICTIONS, count))
    found["id"] = np.where(np.isfinite(columns.outcome), columns.ids, 0)
    found["value"] = columns.outcome
    if join.is_label:
        found["stamp"] = columns.timestamps
        found["mark"] = np.where(marks >= 0, marks, columns.timestamps)
        found["offset"] = columns.offsets
    elif columns.segments is not None:
        found["segment"] = columns.segments.T
    return found


def pack(parts: Sequence[NDArray[np.void]], join: JoinPlan) -> bytes:
    """Rows of one cell as bytes; b"" without any."""
    if not parts:
        return b""
    kind = LABELS if join.is_label else PREDICTIONS
    columns = 0 if join.is_label else parts[0].dtype["segment"].shape[0]
    return bytes([kind, columns]) + join.digest + b"".join(part.tobytes() for part in parts)


def unpack(data: bytes) -> Rows:
    """The rows in `data`, which is not empty. Raises RowsDamaged."""
    if len(data) < _HEAD or data[0] not in {PREDICTIONS, LABELS} or (data[0] == LABELS and data[1]):
        raise RowsDamaged("rows without a head")
    dtype = dtype_of(data[0], data[1])
    if (len(data) - _HEAD) % dtype.itemsize:
        raise RowsDamaged(f"{len(data) - _HEAD} bytes of rows of {dtype.itemsize}")
    rows = np.frombuffer(data, dtype, offset=_HEAD)
    if not (rows["id"].all() and np.isfinite(rows["value"]).all()):
        raise RowsDamaged("a row without an id or a value")
    return Rows(data[0], data[2:_HEAD], rows)
