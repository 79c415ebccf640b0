"""A bounded, uniform sample of rows, as slot codes: which values of features occur together.

A row's hash is that of its topic, partition and offset, and a sample holds all rows of its union whose hash
is at most `bound`. So it is the same whatever the order and the batches were, a sample of a union is made of
the samples of its parts, and after a crash it goes on as if there had been none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import pack as counts
from monitor.errors import StateDamaged
from monitor.names import Source
from monitor.novel import LARGEST_HASH, hash64

CELL_BYTES = 64 << 10
"""Most that the sample of one pane and partition may take: what its counts take when most slots are filled.
512 rows of 60 features; of 500 features 65 rows are kept."""
FEWEST = 64
"""Rows that are kept however many features there are."""
WINDOW_ROWS = 16_384
"""Rows that a window's sample has at most: 330 of a part of 2 % of them, by which a change of PSI 0.25 inside it is told
from chance among hundreds of parts (`bench.where`). It is made when it is asked for."""
REFERENCE_ROWS = 65_536
"""Rows of a reference that are kept: four times as many as of a window, so that they add an eighth to the noise of a
difference and not as much again as the window's own."""
REFERENCE_BYTES = 4 << 20
"""Most that they may take; then fewer are kept, but LEAST_REFERENCE."""
LEAST_REFERENCE = 1_024

_HEAD = struct.Struct("<QHHBI")
"""Bound, rows, features, bits of a code beyond 8, bytes of the offsets."""
_TURNS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""What `kernels.sample.mixed` multiplies with."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows of one union, by ascending hash; immutable.

    hashes  uint64[rows]
    codes   uint16[rows, features]   slot within the feature, see `kernels.layout`
    bound   every row of the union whose hash is at most this is here; LARGEST_HASH: all rows are
    """

    hashes: NDArray[np.uint64]
    codes: NDArray[np.uint16]
    bound: int = LARGEST_HASH

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def is_whole(self) -> bool:
        """Whether it holds every row there was."""
        return self.bound == LARGEST_HASH

    def below(self, bound: int) -> Sample:
        """Those of its rows whose hash is at most `bound`."""
        kept = int(np.searchsorted(self.hashes, np.uint64(bound), "right"))
        return Sample(self.hashes[:kept].copy(), self.codes[:kept].copy(), min(self.bound, bound))


def row_bytes(features: int) -> int:
    """Bytes of one row."""
    return 8 + 2 * features


def cell_rows(wanted: int, features: int) -> int:
    """Rows that are kept of one pane and partition where `wanted` are configured."""
    return min(wanted, max(FEWEST, CELL_BYTES // row_bytes(features)))


def reference_rows(features: int) -> int:
    return min(REFERENCE_ROWS, max(LEAST_REFERENCE, REFERENCE_BYTES // max(2 * features, 1)))


def seed_of(source: Source) -> int:
    """What sets the hashes of a partition apart from those of others."""
    return hash64(f"{source.topic}|{source.partition}")


def hashes_of(offsets: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """The hash of each offset of a partition: what `kernels.sample` picks rows by."""
    first, second = map(np.uint64, _TURNS)
    z = offsets.astype(np.uint64) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * first
    z = (z ^ (z >> np.uint64(27))) * second
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def offsets_of(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.int64]:
    """The offset that each hash is of, were it one of the partition with this seed."""
    first, second = (np.uint64(pow(turn, -1, 1 << 64)) for turn in _TURNS)
    z = hashes ^ (hashes >> np.uint64(31)) ^ (hashes >> np.uint64(62))
    z = z * second
    z = z ^ (z >> np.uint64(27)) ^ (z >> np.uint64(54))
    z = z * first
    z = z ^ (z >> np.uint64(30)) ^ (z >> np.uint64(60))
    return np.asarray(z - np.uint64(seed)).view(np.int64)


def pack(sample: Sample, source: Source) -> bytes:
    """The canonical bytes of a sample of one partition, "" when it is empty.

    Rows by offset, which takes a quarter of what hashes would; codes by feature, low bytes first, as most fit
    8 bits or 9.
    """
    if not len(sample):
        return b""
    offsets = offsets_of(sample.hashes, seed_of(source))
    order = np.argsort(offsets)
    gaps = counts.pack(np.diff(offsets[order], prepend=0))
    codes = np.ascontiguousarray(sample.codes[order].T)
    more = max(int(codes.max(initial=0)).bit_length() - 8, 0)
    planes = [np.packbits(codes >> bit & 1) for bit in range(8, 8 + more)]
    head = _HEAD.pack(sample.bound, *sample.codes.shape, more, len(gaps))
    return b"".join((head, gaps, codes.astype(np.uint8).tobytes(), *(plane.tobytes() for plane in planes)))


def check(data: bytes) -> int:
    """How many features bytes from a state log know. Raises StateDamaged where `unpack` would go wrong."""
    if len(data) < _HEAD.size:
        raise _damaged(f"{len(data)} bytes", f"at least {_HEAD.size}")
    _, rows, features, more, size = _HEAD.unpack_from(data)
    cells = rows * features
    wanted = _HEAD.size + size + cells + more * ((cells + 7) // 8)
    if len(data) != wanted or more > 8:
        raise _damaged(f"{len(data)} bytes", f"{wanted} bytes")
    gaps = data[_HEAD.size : _HEAD.size + size]
    counts.check(gaps, "sample")
    if len(counts.Packed(gaps)) != rows:
        raise _damaged(f"{len(counts.Packed(gaps))} offsets", f"{rows} rows")
    return int(features)


def unpack(data: bytes, source: Source) -> Sample:
    """The sample that `pack` made `data` of, or `check` has passed."""
    bound, rows, features, more, size = _HEAD.unpack_from(data)
    at = _HEAD.size + size
    offsets = np.cumsum(counts.unpack(data[_HEAD.size : at], "sample"))
    codes = np.frombuffer(data, np.uint8, rows * features, at).astype(np.uint16)
    at += rows * features
    for bit in range(8, 8 + more):
        plane = np.frombuffer(data, np.uint8, (len(codes) + 7) // 8, at)
        codes |= np.unpackbits(plane, count=len(codes)).astype(np.uint16) << np.uint16(bit)
        at += len(plane)
    hashes = hashes_of(offsets, seed_of(source))
    return _smallest(hashes, codes.reshape(features, rows).T, LARGEST_HASH, rows + 1).below(bound)


def bound_of(data: bytes) -> int:
    """The bound of a packed sample, without unpacking it."""
    return int(_HEAD.unpack_from(data)[0])


def features_of(data: bytes) -> int:
    """The features of a packed sample."""
    return int(_HEAD.unpack_from(data)[2])


def _damaged(found: str, wanted: str) -> StateDamaged:
    return StateDamaged(f"stored sketch does not verify - sample: {found} - expected {wanted}")


def merged(parts: Iterable[Sample], features: int, cap: int) -> Sample:
    """The sample of a union, of at most `cap` rows. Any order and any grouping give the same.

    Parts share no rows. Of a busy part the rows with the smallest hashes are known, of a quiet one all:
    what they have in common is the smallest bound.
    """
    held = list(parts)
    bound = min((part.bound for part in held), default=LARGEST_HASH)
    held = [part.below(bound) for part in held]
    hashes = np.concatenate([np.empty(0, np.uint64), *(part.hashes for part in held)])
    codes = np.concatenate([np.empty((0, features), np.uint16), *(part.codes for part in held)])
    return _smallest(hashes, codes, bound, cap)


def _smallest(hashes: NDArray[np.uint64], codes: NDArray[np.uint16], bound: int, cap: int) -> Sample:
    """At most `cap` rows of those given, sorted."""
    order = np.argsort(hashes, kind="stable")
    if len(order) >= cap:
        order = order[:cap]
        bound = min(bound, int(hashes[order[-1]])) if cap else 0
    return Sample(hashes[order], codes[order], bound)


class Reservoir:
    """The sample of one cell while rows are added. One thread at a time.

    Rows are appended to a buffer and cut back to the smallest hashes when it is full, so that a row that
    enters costs a copy and not a sort.
    """

    __slots__ = ("_cap", "_codes", "_count", "_hashes", "bound")

    def __init__(self, sample: Sample, cap: int) -> None:
        """Go on from `sample`; with a smaller `cap` than it was made with, rows are dropped, with a larger
        one it grows as more rows come."""
        self._cap = cap
        self._hashes, self._codes, self._count = sample.hashes, sample.codes, len(sample)
        self.bound = sample.bound
        """A row with a larger hash need not be given to `add`."""
        if self._count >= cap:
            self._trim()

    def add(self, hashes: NDArray[np.uint64], codes: NDArray[np.uint16]) -> None:
        """Add rows that were never added before: uint64[rows], uint16[rows, features]."""
        if self._count + len(hashes) > len(self._hashes):
            room = max(2 * self._cap, self._count + len(hashes))
            self._hashes, self._codes = _grown(self._hashes, room), _grown(self._codes, room)
        here = slice(self._count, self._count + len(hashes))
        self._hashes[here], self._codes[here] = hashes, codes
        self._count += len(hashes)
        if self._count >= 2 * self._cap or (self.bound == LARGEST_HASH and self._count >= self._cap):
            self._trim()

    def read(self) -> Sample:
        """The sample so far; nothing is held beyond it until rows are added again."""
        if len(self._hashes) > self._count or self._count > self._cap:
            self._trim()
        return Sample(self._hashes, self._codes, self.bound)

    def _trim(self) -> None:
        found = _smallest(self._hashes[: self._count], self._codes[: self._count], self.bound, self._cap)
        self._hashes, self._codes, self.bound = found.hashes, found.codes, found.bound
        self._count = len(found)


def _grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    wider = np.empty((rows, *array.shape[1:]), array.dtype)
    wider[: len(array)] = array
    return wider
