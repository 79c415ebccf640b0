"""Integer arrays ↔ bytes: one canonical, compact form for each content.

    tag u8      0 dense | 16 sparse, plus the code of the value type
    length u32  elements
    dense:      values
    sparse:     filled u32, index type code u8, gaps between filled indices, values

Types are the narrowest of _TYPES that hold all values; the shorter of the two forms is taken,
dense when equal. So equal arrays give equal bytes on every machine. Below 1/8 fill an array of int64
takes a sixteenth of its size or less: at most 4 bytes per filled element while counts and gaps fit 16 bits.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import StateDamaged

MAX_LENGTH = 1 << 22
"""Elements of one array: 4,000 features of 1,000 bins. More is not a sketch but damage, and
would allocate more than 32 MB."""

_TYPES: tuple[np.dtype[np.integer[Any]], ...] = tuple(np.dtype(name) for name in ("<u1", "<u2", "<u4", "<i8"))
_SPARSE = 16
_HEAD = struct.Struct("<BI")
_SPARSE_HEAD = struct.Struct("<IB")


def _code(largest: int, smallest: int = 0) -> int:
    if smallest < 0 or largest > 0xFFFF_FFFF:
        return 3
    return 0 if largest <= 0xFF else 1 if largest <= 0xFFFF else 2


def pack(array: NDArray[np.int64], *, signed: bool = False) -> bytes:
    """Bytes of a one-dimensional int64 array; ValueError for a negative value unless `signed`.

    Counts that have gone negative are refused here, where they can still be recounted from the log.
    """
    if len(array) > MAX_LENGTH:
        raise ValueError(f"array too long - {len(array)} elements - at most {MAX_LENGTH}")
    count = int(np.count_nonzero(array))
    if not count:
        return _HEAD.pack(_SPARSE, len(array))
    from kernels.filled import gather  # whoever only names a sketch needs no compiler

    gaps, values, span = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64), np.empty(3, np.int64)
    gather(gaps, values, span, np.ascontiguousarray(array, np.int64))
    gaps, values = gaps[:count], values[:count]
    largest, smallest, widest = span.tolist()
    if not signed and smallest < 0:
        at = int(np.cumsum(gaps)[values.argmin()])
        raise ValueError(f"count below zero - element {at} - at least 0")
    code, gap_code = _code(largest, smallest), _code(widest)
    width = _TYPES[code].itemsize
    sparse = _SPARSE_HEAD.size + count * (_TYPES[gap_code].itemsize + width)
    if sparse >= len(array) * width:
        return _HEAD.pack(code, len(array)) + array.astype(_TYPES[code]).tobytes()
    return b"".join(
        (
            _HEAD.pack(_SPARSE | code, len(array)),
            _SPARSE_HEAD.pack(count, gap_code),
            gaps.astype(_TYPES[gap_code]).tobytes(),
            values.astype(_TYPES[code]).tobytes(),
        )
    )


def unpack(data: bytes, name: str) -> NDArray[np.int64]:
    """The array that `pack` made `data` of. Trusts nothing; raises StateDamaged naming `name`."""
    length, places, values = _parts(data, name)
    if places is None:
        return values.astype(np.int64)
    array = np.zeros(length, np.int64)
    array[places] = values
    return array


def check(data: bytes, name: str) -> None:
    """As `unpack`, without making the array, of which a wide feature has many; raises StateDamaged also
    for an element below zero."""
    values = _parts(data, name)[2]
    if len(values) and values.min() < 0:
        raise _damaged(name, f"{values.min()}", "nothing below zero")


class Packed:
    """An int64 array in the bytes of `pack`: what is not being counted is kept this way. Immutable."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        """`data` is what `pack` made, or verified by `unpack`."""
        self.data = data

    def dense(self) -> NDArray[np.int64]:
        """The array, new each time."""
        return unpack(self.data, "counts")

    def add_to(self, total: NDArray[np.int64]) -> None:
        """Add it to an array of its length, for the price of what is filled."""
        tag, length = _HEAD.unpack_from(self.data)
        if length != len(total):
            raise ValueError(f"arrays of {length} and {len(total)} elements - a sum - one length is right")
        code = tag & ~_SPARSE
        if not tag & _SPARSE:
            total += np.frombuffer(self.data, _TYPES[code], length, _HEAD.size)
        elif len(self.data) > _HEAD.size:
            filled, gap_code = _SPARSE_HEAD.unpack_from(self.data, _HEAD.size)
            at = _HEAD.size + _SPARSE_HEAD.size
            gaps = np.frombuffer(self.data, _TYPES[gap_code], filled, at)
            values = np.frombuffer(self.data, _TYPES[code], filled, at + gaps.nbytes)
            total[np.cumsum(gaps, dtype=np.int64)] += values

    def __len__(self) -> int:
        return int(_HEAD.unpack_from(self.data)[1])


def _parts(data: bytes, name: str) -> tuple[int, NDArray[np.int64] | None, NDArray[np.integer[Any]]]:
    """Length, places and values; places are None where all elements are there."""
    if len(data) < _HEAD.size:
        raise _damaged(name, f"{len(data)} bytes", "at least 5")
    tag, length = _HEAD.unpack_from(data)
    code = tag & ~_SPARSE
    if code >= len(_TYPES) or length > MAX_LENGTH:
        raise _damaged(name, f"tag {tag}, {length} elements", f"at most {MAX_LENGTH} elements")
    if not tag & _SPARSE:
        _require(name, len(data), _HEAD.size + length * _TYPES[code].itemsize)
        return length, None, np.frombuffer(data, _TYPES[code], length, _HEAD.size)
    if len(data) == _HEAD.size:
        return length, _NOWHERE, _NOWHERE
    return length, *_filled(data, length, code, name)


def _filled(
    data: bytes, length: int, code: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.integer[Any]]]:
    """Places and values of the filled elements of a sparse array."""
    at = _HEAD.size + _SPARSE_HEAD.size
    if len(data) < at:
        raise _damaged(name, f"{len(data)} bytes", f"at least {at}")
    filled, gap_code = _SPARSE_HEAD.unpack_from(data, _HEAD.size)
    if gap_code >= len(_TYPES) or not 0 < filled <= length:
        raise _damaged(name, f"{filled} of {length} filled", "fewer filled than elements")
    gaps_size = filled * _TYPES[gap_code].itemsize
    _require(name, len(data), at + gaps_size + filled * _TYPES[code].itemsize)
    gaps = np.frombuffer(data, _TYPES[gap_code], filled, at).astype(np.int64)
    # Each gap is bounded before the sum, so that the sum cannot wrap around.
    if gaps[0] < 0 or (gaps[1:] < 1).any() or gaps.max() >= length:
        raise _damaged(name, "indices that do not ascend", "ascending indices")
    places = np.cumsum(gaps)
    if places[-1] >= length:
        raise _damaged(name, f"index {places[-1]}", f"an index below {length}")
    return places, np.frombuffer(data, _TYPES[code], filled, at + gaps_size)


def _require(name: str, size: int, wanted: int) -> None:
    if size != wanted:
        raise _damaged(name, f"{size} bytes", f"{wanted} bytes")


_NOWHERE = np.zeros(0, np.int64)


def _damaged(name: str, found: str, wanted: str) -> StateDamaged:
    return StateDamaged(f"stored sketch does not verify - {name}: {found} - expected {wanted}")
