"""Columns on their way to the device: two slots of pinned memory, one of which is filled while the other is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.cuda.device import Device
from kernels.layout import Array

ALIGNED = 256
"""Bytes that the start of every array is a multiple of."""


@dataclass(slots=True)
class _Slot:
    host: Array
    device: Any
    free: Callable[[], None]
    """Waits until the device has read what was put here last."""


class Stage:
    """Moves batches of arrays. While the device computes with one batch, the next is copied."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._slots: list[_Slot] = []
        self._turn = 0

    def put(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """The same arrays on the device, C-contiguous; they stay until `put` was called twice more.

        `done` must follow when all work that reads them has been launched.
        """
        places, end = {}, 0
        for name, array in arrays.items():
            places[name] = end
            end += -(-array.nbytes // ALIGNED) * ALIGNED
        slot = self._slot(max(end, ALIGNED))
        found = {}
        for name, array in arrays.items():
            span = slice(places[name], places[name] + array.nbytes)
            slot.host[span].view(array.dtype).reshape(array.shape)[...] = array
            found[name] = slot.device[span].view(array.dtype).reshape(array.shape)
        self._device.upload(slot.device[:end], slot.host[:end])
        return found

    def done(self) -> None:
        """Everything that reads what `put` returned last has been launched."""
        self._slots[self._turn].free = self._device.mark()

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
        return _Slot(self._device.pinned(room), self._device.xp.empty(room, np.uint8), lambda: None)
