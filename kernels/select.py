"""Where counts live and who adds to them: numba on the CPU, or CUDA kernels on a GPU, behind one struct.

Both leave the same bits in every cell. Scores are the same up to the last bits of logarithms, so
verdicts are judged on the CPU wherever the counts lie: live and replayed ones then agree on any machine.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kernels import layout as cpu
from kernels import scores
from kernels.fold import fold
from kernels.layout import Array, CellArrays, Layout, Rules

INSTALL = "pip install 'driftline[gpu]'"


class Backend(NamedTuple):
    """What `monitor.window` does with the open cells of one model and one source partition.

    State is what `allocate` returns: arrays of the host for one backend, of a device for the other.
    It belongs to one thread at a time.
    """

    name: str
    """numba or cupy."""
    device: str
    """cpu, or what the GPU calls itself."""
    allocate: Callable[..., Any]
    """allocate(layout, *, cells, rules, reasons): empty state."""
    grow: Callable[..., Any]
    """grow(state, layout, *, to): the state with more cells; the old one is not used any more."""
    clear: Callable[[Any, int], None]
    """Make one cell empty again."""
    fold: Callable[..., int]
    """fold(state, layout, rules, places, **batch): as `kernels.fold.fold`; `places` int32 are the
    cells that the batch names. Returns how often the contract was broken."""
    read: Callable[[Any, int], CellArrays]
    """One cell, as cell 0 of arrays of the host; valid until the state changes."""
    write: Callable[[Any, int, CellArrays], None]
    """Replace one cell by cell 0 of arrays of the host."""
    score: Callable[..., None]
    """As `kernels.scores.score`, arrays of the host."""
    note: str = ""
    """Why it is not the GPU, where that was left open."""


class BackendMissing(Exception):
    """The backend that is asked for cannot be used here."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong} - {right}")
        self.wrong = wrong
        self.right = right


def select(wanted: str) -> Backend:
    """The backend called `auto`, `cpu` or `gpu`; auto is the GPU where there is one that works.

    Raises BackendMissing where `gpu` cannot be used. The GPU's kernels are compiled at the first call.
    """
    if wanted == "cpu":
        return CPU
    try:
        return _gpu()
    except BackendMissing as error:
        if wanted == "gpu":
            raise
        return CPU._replace(note=error.wrong)


def on_device(device: Any) -> Backend:
    """The backend of a `kernels.cuda.device.Device`."""
    from kernels.cuda import cells
    from kernels.cuda.stage import Stage

    return Backend(
        name="cupy",
        device=device.name,
        allocate=functools.partial(cells.allocate, Stage(device)),
        grow=cells.grow,
        clear=cells.clear,
        fold=cells.fold,
        read=cells.read,
        write=cells.write,
        score=functools.partial(cells.score, device),
    )


@functools.cache
def _gpu() -> Backend:
    if importlib.util.find_spec("cupy") is None:
        raise BackendMissing("the GPU cannot be used: cupy is not installed", INSTALL)
    from kernels.cuda.device import CudaDevice

    try:
        return on_device(CudaDevice())
    except Exception as error:
        # cupy raises what CUDA, its loader and its compiler raise; none of them share a base of their own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise BackendMissing(
            f"the GPU cannot be used: {reason}",
            f"an NVIDIA GPU, its driver, and the cupy that fits them ({INSTALL})",
        ) from error


def _fold(cells: CellArrays, layout: Layout, rules: Rules, places: Array, **batch: Array) -> int:
    if rules.count == 0:
        fold(cells, layout, rules, **batch)
        return 0
    used = np.unique(places)
    before = int(cells.violations[used].sum())
    fold(cells, layout, rules, **batch)
    return int(cells.violations[used].sum()) - before


def _read(cells: CellArrays, index: int) -> CellArrays:
    return CellArrays(*(array[index : index + 1] for array in cells))


def _write(cells: CellArrays, index: int, one: CellArrays) -> None:
    for array, own in zip(cells, one, strict=True):
        array[index] = own[0]


CPU = Backend(
    name="numba",
    device="cpu",
    allocate=cpu.allocate,
    grow=cpu.grow,
    clear=cpu.clear,
    fold=_fold,
    read=_read,
    write=_write,
    score=scores.score,
)
