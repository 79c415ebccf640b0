"""Columns on their way to the device: two slots of pinned memory, one of which is filled while the other is read.

One stage serves all open cells of a device, so that pinned memory does not grow with partitions and models.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.cuda.device import Device
from kernels.layout import Array

ALIGNED = 256
"""Bytes that the start of every array is a multiple of."""
PIECE = 1 << 20
"""Bytes that a thread copies at a time."""
COPIERS = min(4, len(os.sched_getaffinity(0)))
"""Threads that fill pinned memory. One core moves about 8 GB/s, a seventh of what the device could take."""


@dataclass(slots=True)
class _Slot:
    host: Array
    device: Any
    free: Callable[[], None]
    """Waits until the device has read what was put here last."""


class Stage:
    """Moves batches of arrays. While the device computes with one batch, the next is copied.

    Threads take turns.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []
        self._turn = 0
        self._copiers: ThreadPoolExecutor | None = None

    @contextmanager
    def moved(self, arrays: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
        """The same arrays on the device, C-contiguous; all work that reads them is launched inside."""
        with self._lock:
            yield self._put(arrays)
            self._slots[self._turn].free = self.device.mark()

    def _put(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        places, end = {}, 0
        for name, array in arrays.items():
            places[name] = end
            end += -(-array.nbytes // ALIGNED) * ALIGNED
        slot = self._slot(max(end, ALIGNED))
        found: dict[str, Any] = {}
        pieces: list[tuple[Array, Array]] = []
        for name, array in arrays.items():
            span = slice(places[name], places[name] + array.nbytes)
            pieces += _pieces(slot.host[span].view(array.dtype).reshape(array.shape), array)
            found[name] = slot.device[span].view(array.dtype).reshape(array.shape)
        self._copy(pieces, alone=end < 2 * PIECE)
        self.device.upload(slot.device[:end], slot.host[:end])
        return found

    def _copy(self, pieces: list[tuple[Array, Array]], *, alone: bool) -> None:
        if alone or COPIERS < 2:
            for to, array in pieces:
                np.copyto(to, array)
            return
        if self._copiers is None:
            self._copiers = ThreadPoolExecutor(COPIERS, thread_name_prefix="gpu-stage")
        for _ in self._copiers.map(lambda piece: np.copyto(*piece), pieces):
            pass

    def _slot(self, size: int) -> _Slot:
        if len(self._slots) < 2:
            self._slots.append(self._made(size))
            self._turn = len(self._slots) - 1
            return self._slots[self._turn]
        self._turn = 1 - self._turn
        slot = self._slots[self._turn]
        slot.free()
        if len(slot.host) < size:
            slot = self._slots[self._turn] = self._made(size)
        return slot

    def _made(self, size: int) -> _Slot:
        room = 1 << (size - 1).bit_length()
        return _Slot(self.device.pinned(room), self.device.xp.empty(room, np.uint8), lambda: None)


def _pieces(to: Array, array: Array) -> list[tuple[Array, Array]]:
    """The same copy, cut along the first axis."""
    step = max(len(array) * PIECE // max(array.nbytes, 1), 1)
    return [(to[at : at + step], array[at : at + step]) for at in range(0, len(array), step)]
