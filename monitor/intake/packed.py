"""The bytes of many records in one array, each looked at only when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from kernels.words import PADDING

Field = tuple[str, bytes | None]
"""Name and value of a header."""


class Packed(Sequence[bytes | None]):
    """Values side by side, which kernels read in place.

    data     uint8[bytes]    a newline behind each value, PADDING bytes or more behind all
    starts   int64[values]   ascending; what lies between two values is one newline and nothing else
    ends     int64[values]
    is_null  bool[values]    which are null values, empty ones as far as the rest says; None: none is

    Nothing here is written to once it is made. A slice shares `data`, and so keeps all of it.
    """

    __slots__ = ("data", "ends", "is_null", "starts")

    def __init__(
        self,
        data: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        is_null: NDArray[np.bool_] | None = None,
    ) -> None:
        self.data = data
        self.starts = starts
        self.ends = ends
        self.is_null = is_null

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, at: int) -> bytes | None: ...
    @overload
    def __getitem__(self, at: slice) -> Packed: ...
    def __getitem__(self, at: int | slice) -> bytes | Packed | None:
        if isinstance(at, slice):
            nulls = self.is_null[at] if self.is_null is not None else None
            return Packed(self.data, self.starts[at], self.ends[at], nulls)
        if self.is_null is not None and self.is_null[at]:
            return None
        return self.data[self.starts[at] : self.ends[at]].tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64[values]: bytes of each, -1 for a null value."""
        sizes = self.ends - self.starts
        if self.is_null is not None:
            sizes[self.is_null] = -1
        return sizes


class Headers(Sequence["list[Field] | None"]):
    """The headers of many records; None for a record without any.

    names, values   of all headers
    first, last     int64[records]   which of them belong to each record
    """

    __slots__ = ("_first", "_last", "_names", "_values")

    def __init__(
        self, names: Packed, values: Packed, first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> None:
        self._names = names
        self._values = values
        self._first = first
        self._last = last

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def __getitem__(self, at: int) -> list[Field] | None: ...
    @overload
    def __getitem__(self, at: slice) -> Headers: ...
    def __getitem__(self, at: int | slice) -> list[Field] | Headers | None:
        if isinstance(at, slice):
            return Headers(self._names, self._values, self._first[at], self._last[at])
        mine = range(int(self._first[at]), int(self._last[at]))
        return [(_text(self._names[field]), self._values[field]) for field in mine] or None


class Chained(Sequence[Any]):
    """Items of sequences that follow each other, left where they are until they are asked for.

    Slices are of neighbours: a step is not known.
    """

    __slots__ = ("_ends", "_parts")

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self))
            begins = [end - len(part) for part, end in zip(self._parts, self._ends, strict=True)]
            bounds = [(max(start - begin, 0), max(stop - begin, 0)) for begin in begins]
            return Chained([part[a:b] for part, (a, b) in zip(self._parts, bounds, strict=True)])
        place = range(len(self))[at]
        part = bisect_right(self._ends, place)
        return self._parts[part][place - (self._ends[part - 1] if part else 0)]


def joined(parts: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The items of sequences that follow each other, packed where all of them are."""
    parts = [part for part in parts if len(part)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    packed = [part for part in parts if isinstance(part, Packed)]
    if len(packed) < len(parts):
        return list(chain.from_iterable(parts))
    begins = [int(part.starts[0]) for part in packed]
    pieces = [part.data[begin : part.ends[-1] + 1] for part, begin in zip(packed, begins, strict=True)]
    moved = np.cumsum([0, *map(len, pieces)])[:-1] - begins
    nulls = [part.is_null if part.is_null is not None else np.zeros(len(part), np.bool_) for part in packed]
    return Packed(
        np.concatenate([*pieces, np.zeros(PADDING, np.uint8)]),
        np.concatenate([part.starts + by for part, by in zip(packed, moved, strict=True)]),
        np.concatenate([part.ends + by for part, by in zip(packed, moved, strict=True)]),
        np.concatenate(nulls) if any(part.is_null is not None for part in packed) else None,
    )


def _text(name: bytes | None) -> str:
    """A header's name. Kafka says UTF-8 and checks nothing; a dead letter must not fail for it."""
    return (name or b"").decode("utf-8", "replace")
