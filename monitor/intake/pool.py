"""Arrays that are used again when nobody holds them any more."""

from __future__ import annotations

import sys
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

KEPT = 4
"""Blocks kept for use: one that is filled, and those of batches on their way."""
ALIGNED = 64


class Pool:
    """Hands out uninitialised arrays. One thread takes; whoever holds an array lets go by forgetting it.

    A batch of 5,000 records of 24 numbers is a megabyte of columns. Asked of the system anew for each
    batch it comes as 240 pages that are cleared one by one: 100 ns a record, on a busy machine ten times that.
    """

    def __init__(self, *, kept: int = KEPT, largest: int = sys.maxsize) -> None:
        """At most `kept` blocks are kept for use, none of more than `largest` bytes."""
        self._kept = kept
        self._largest = largest
        self._blocks: list[NDArray[np.uint8]] = [np.empty(ALIGNED, np.uint8)]
        self._unheld = sys.getrefcount(self._blocks[0])
        """What the interpreter counts for a block that only the list holds; versions differ."""
        self._wanted: tuple[tuple[tuple[int, ...], DTypeLike], ...] = ()
        self._places = [0]

    def empty(self, *wanted: tuple[tuple[int, ...], DTypeLike]) -> list[NDArray[Any]]:
        """Arrays of these shapes and types and any contents, side by side in one block."""
        if wanted != self._wanted:  # most batches are as long as the one before
            sizes = (prod(shape) * np.dtype(dtype).itemsize for shape, dtype in wanted)
            self._places = [0, *accumulate(-(-size // ALIGNED) * ALIGNED for size in sizes)]
            self._wanted = wanted
        block = self._block(self._places[-1])
        return [
            np.ndarray(shape, dtype, block, at)
            for (shape, dtype), at in zip(wanted, self._places, strict=False)
        ]

    def _block(self, size: int) -> NDArray[np.uint8]:
        if size > self._largest:
            return np.empty(size, np.uint8)
        for place in range(len(self._blocks)):
            if sys.getrefcount(self._blocks[place]) == self._unheld:
                if len(self._blocks[place]) < size:
                    self._blocks[place] = np.empty(size + size // 4, np.uint8)
                return self._blocks[place]
        block = np.empty(size + size // 4, np.uint8)
        if len(self._blocks) < self._kept:
            self._blocks.append(block)
        return block
