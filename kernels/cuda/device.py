"""A CUDA device as `kernels.cuda.cells` works with it. The one place that imports cupy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from kernels.cuda.program import OPTIONS, PROGRAMS, Shape, source
from kernels.layout import Array


class Device(Protocol):
    """Memory and two queues of work: copies, and computing that waits for the copies before it."""

    xp: Any
    """cupy, or numpy in tests."""
    name: str
    shape: Shape

    def pinned(self, size: int) -> Array:
        """uint8[size] of host memory from which the device copies by itself."""

    def upload(self, to: Any, pinned: Array) -> None:
        """Begin to copy bytes; what is launched afterwards sees them. `pinned` must not change meanwhile."""

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, *arguments: Any) -> None:
        """Begin a kernel after those launched before; `shared` bytes of memory for each block."""

    def mark(self) -> Callable[[], None]:
        """A call that waits for everything begun so far."""

    def download(self, array: Any) -> Array:
        """A copy on the host of what the work begun so far will leave."""

    def computing(self) -> AbstractContextManager[Any]:
        """Array operations inside are queued with the kernels."""


class CudaDevice:
    """The first CUDA device. Raises ImportError without cupy, RuntimeError without a device that works."""

    def __init__(self) -> None:
        import cupy

        if not cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError("no CUDA device")
        self.xp: Any = cupy
        self.name: str = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        self.shape = Shape()
        self._copies = cupy.cuda.Stream(non_blocking=True)
        self._work = cupy.cuda.Stream(non_blocking=True)
        self._kernels = {}
        for program, kernels in PROGRAMS.items():
            module = cupy.RawModule(code=source(program, self.shape), options=OPTIONS)
            self._kernels |= {kernel: module.get_function(kernel) for kernel in kernels}

    def pinned(self, size: int) -> Array:
        return np.frombuffer(self.xp.cuda.alloc_pinned_memory(size), np.uint8, size)

    def upload(self, to: Any, pinned: Array) -> None:
        to.data.copy_from_host_async(pinned.ctypes.data, pinned.nbytes, self._copies)
        self._work.wait_event(self._copies.record())

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, *arguments: Any) -> None:
        with self._work:
            self._kernels[kernel](grid, (threads,), arguments, shared_mem=shared)

    def mark(self) -> Callable[[], None]:
        return self._work.record().synchronize  # type: ignore[no-any-return]

    def download(self, array: Any) -> Array:
        return array.get(stream=self._work)  # type: ignore[no-any-return]

    def computing(self) -> AbstractContextManager[Any]:
        return self._work  # type: ignore[no-any-return]
