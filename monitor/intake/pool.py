"""Arrays that are used again when nobody holds them any more."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

KEPT = 16
"""Arrays kept for use. A scanner takes four for a batch, of which two or three are on their way."""


class Pool:
    """Hands out uninitialised arrays. One thread takes; whoever holds an array lets go by forgetting it.

    A batch of 5,000 records of 24 numbers is a megabyte of columns. Asked of the system anew for each
    batch it comes as 240 pages that are cleared one by one: 100 ns a record, on a busy machine ten times that.
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[Any]] = [np.empty(1, np.uint8)]
        self._unheld = self._holders(0)
        """What the interpreter counts for an array that only the list holds; versions differ."""

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of any contents, as `np.empty`."""
        size = prod(shape) * np.dtype(dtype).itemsize
        for place, array in enumerate(self._arrays):
            if len(array) >= size and self._holders(place) == self._unheld:
                return array[:size].view(dtype).reshape(shape)
        array = np.empty(size + size // 4, np.uint8)
        free = [place for place in range(len(self._arrays)) if self._holders(place) == self._unheld]
        if len(self._arrays) < KEPT:
            self._arrays.append(array)
        elif free:
            self._arrays[free[0]] = array
        return array[:size].view(dtype).reshape(shape)

    def _holders(self, place: int) -> int:
        return sys.getrefcount(self._arrays[place])
