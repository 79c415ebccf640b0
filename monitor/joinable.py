"""Rows that a sketch keeps one by one, because what belongs to them comes on another topic.

Written as bytes: which of the two they are, how many columns of segments, the digest of what gives them their
meaning, of predictions that are sampled their level, then the rows in the order of their offsets. A newer sketch of a cell
has those of an older one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.columns import Columns
from monitor.plan import JoinPlan

PREDICTIONS, LABELS, SAMPLED, COUNTED = 1, 2, 3, 4
"""SAMPLED: predictions, behind a head with their level. COUNTED: no rows, but sums of predictions that had their label
beside them: places int32[filled], then int64[filled]."""
_WIDEST = 1 << 16
_HEAD = 2 + 8
DEEPEST = 40
"""The largest level: of a million million ids one."""


class RowsDamaged(ValueError):
    """Bytes that are no rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one cell.

    rows  structured: id uint64, value float32; of predictions segment uint8[columns]: code of each; of labels stamp
          int64 (record timestamp), mark int64 (watermark of the partition at the record), offset int64
    level of predictions: those are kept whose id begins with as many bits 0, 1 in 2**level of all
    """

    kind: int
    digest: bytes
    rows: NDArray[np.void]
    level: int = 0


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


def is_kept(ids: NDArray[np.uint64], level: int) -> NDArray[np.bool_]:
    """Which ids are in a sample of this level; those of a deeper one are among them."""
    found: NDArray[np.bool_] = ids != 0
    return found & (ids >> np.uint64(64 - level) == 0) if level else found


def pack(parts: Sequence[NDArray[np.void]], join: JoinPlan, *, columns: int = 0, level: int = 0) -> bytes:
    """Rows of one cell as bytes; b"" where there are none, and all would be kept. `columns`: of segments."""
    if not parts and not level:
        return b""
    if join.is_label:
        head = bytes([LABELS, 0]) + join.digest
    elif level:
        head = bytes([SAMPLED, columns]) + join.digest + bytes([level])
    else:
        head = bytes([PREDICTIONS, columns]) + join.digest
    return head + b"".join(part.tobytes() for part in parts)


def pack_sums(sums: NDArray[np.int64], join: JoinPlan) -> bytes:
    """Sums of one cell, `kernels.join.width_of`, as bytes; b"" where nothing was counted."""
    filled = np.flatnonzero(sums)
    if not len(filled):
        return b""
    return (
        bytes([COUNTED, 0])
        + join.digest
        + filled.astype("<i4").tobytes()
        + sums[filled].astype("<i8").tobytes()
    )


def unpack_sums(data: bytes, width: int) -> NDArray[np.int64]:
    """The sums in `data` by which `is_counted`. Raises RowsDamaged."""
    filled, more = divmod(len(data) - _HEAD, 12)
    if more:
        raise RowsDamaged(f"{len(data) - _HEAD} bytes of sums")
    places = np.frombuffer(data, "<i4", filled, _HEAD)
    if len(places) and not (places.min() >= 0 and places.max() < width):
        raise RowsDamaged("a sum of no place")
    sums = np.zeros(width, np.int64)
    sums[places] = np.frombuffer(data, "<i8", filled, _HEAD + 4 * filled)
    return sums


def is_counted(data: bytes) -> bool:
    """Whether they are sums, and not rows. Raises RowsDamaged."""
    if len(data) < _HEAD:
        raise RowsDamaged("rows without a head")
    return data[0] == COUNTED


def check(data: bytes) -> None:
    """Raises RowsDamaged for what neither `unpack` nor `unpack_sums` takes."""
    if is_counted(data):
        unpack_sums(data, _WIDEST)
    else:
        unpack(data)


def digest_of(data: bytes) -> bytes:
    return data[2:_HEAD]


def unpack(data: bytes) -> Rows:
    """The rows in `data`, which is not empty. Raises RowsDamaged."""
    known = {PREDICTIONS, LABELS, SAMPLED}
    if len(data) < _HEAD or data[0] not in known or (data[0] == LABELS and data[1]):
        raise RowsDamaged("rows without a head")
    kind, head, level = data[0], _HEAD, 0
    if kind == SAMPLED:
        if len(data) == _HEAD or not 0 < data[_HEAD] <= DEEPEST:
            raise RowsDamaged("a sample without a level")
        kind, head, level = PREDICTIONS, _HEAD + 1, data[_HEAD]
    dtype = dtype_of(kind, data[1])
    if (len(data) - head) % dtype.itemsize:
        raise RowsDamaged(f"{len(data) - head} bytes of rows of {dtype.itemsize}")
    rows = np.frombuffer(data, dtype, offset=head)
    if not (rows["id"].all() and np.isfinite(rows["value"]).all()):
        raise RowsDamaged("a row without an id or a value")
    return Rows(kind, data[2:_HEAD], rows, level)
