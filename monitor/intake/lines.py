"""Records of a JSON lines file, as batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kernels.words import PADDING
from monitor.columns import Batch
from monitor.intake.packed import Packed
from monitor.names import Source

BLOCK = 8 << 20
"""Bytes that are read at once: a file is never in memory as a whole."""
CHUNK = 10_000
"""Records of a batch, as many as the daemon asks for."""
_LINE, _RETURN = b"\n\r"
_BLANKS = b" \t\r"


def read_lines(file: BinaryIO, source: Source, *, block: int = BLOCK) -> Iterator[Batch]:
    """Batches of a file: one record per line, its offset the line number from 0.

    There is no record timestamp, so `max_future` cannot apply. Empty lines are skipped.
    """
    number, rest = 0, b""
    while True:
        read = file.read(block)
        text = rest + read
        whole = text.rfind(b"\n") + 1 if read else len(text)
        if whole:
            data = np.frombuffer(b"".join((text[:whole], b"\n", bytes(PADDING))), np.uint8)
            ends = np.flatnonzero(data[: whole + (text[whole - 1] != _LINE)] == _LINE)
            starts = np.concatenate([[0], ends[:-1] + 1])
            yield from _batches(source, data, starts, ends, number)
            number += len(ends)
        rest = text[whole:]
        if not read:
            return


def _batches(
    source: Source, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], first: int
) -> Iterator[Batch]:
    """Lines of one block. Between two values nothing but a newline may lie where they are packed."""
    blank = _blank(data, starts, ends)
    kept = np.flatnonzero(~blank)
    is_plain = len(kept) == len(starts) and not (data[np.maximum(ends - 1, 0)] == _RETURN).any()
    for low in range(0, len(kept), CHUNK):
        lines = kept[low : low + CHUNK]
        packed = Packed(data, starts[lines], ends[lines])
        none: list[None] = [None] * len(lines)
        yield Batch(
            source=source,
            values=packed if is_plain else [(value or b"").strip() for value in packed],
            keys=none,
            headers=none,
            offsets=first + lines,
            timestamps=np.full(len(lines), -1, np.int64),
        )


def _blank(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Lines without a record."""
    blank = ends == starts
    for line in np.flatnonzero(~blank & np.isin(data[starts], np.frombuffer(_BLANKS, np.uint8))).tolist():
        blank[line] = not data[starts[line] : ends[line]].tobytes().strip()
    return np.asarray(blank, np.bool_)
