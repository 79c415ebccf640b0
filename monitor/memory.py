"""How many bytes the counts of a model take. The arithmetic of `driftline check`; bench/memory.py measures it."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from kernels.layout import LATENCY_BINS, SUM_WORDS
from monitor.names import REASONS
from monitor.plan import PREVIOUS, ModelPlan
from monitor.sample import cell_rows, row_bytes
from monitor.segments import names

DENSE_BYTES = 64 << 20
"""Memory of the dense cells of one model on one source partition, and of those of all its segments together:
rows come to the newest panes, of which 20 segments of 500 features have three."""
FEWEST_DENSE = 8
"""Cells that can be dense at once, however wide the model is."""
SPARSE_FILL = 8
"""One slot in this many is filled at most in a cell that is called sparse."""
SPARSE_SLOT = 4
"""Bytes of a filled slot of a sparse cell: count and gap, of 16 bits each."""
PACKED_SLOT = 4
"""Bytes of a slot of a packed cell that is not sparse, until one of its slots counts 2**32 rows."""
OBJECTS = 2_000
"""What Python adds to a sketch: its objects, array headers and key."""
BUSY_PANES = 2
"""Panes that rows come to between two checkpoints: the newest, and the one before it."""


class CellBytes(NamedTuple):
    """Bytes of one cell, that is of one group, pane and source partition."""

    dense: int
    """In the arrays of the fold."""
    packed: int
    """At rest, at most."""
    sparse: int
    """At rest, with one slot in eight filled."""
    sample: int = 0
    """The rows that are kept of the whole, not of segments; twice that while rows come."""


class Extent(NamedTuple):
    """How many cells of a model are held at once."""

    groups: int
    """The whole and all segments, times the versions and variants that run side by side."""
    open_panes: int
    """Panes that can still change, per source partition."""
    window_panes: int
    """Panes of the longest window, of corrections to it, and of the one before where that is shown beside."""
    partitions: int
    columns: int = 0
    """Columns that make segments; the dense cells of each are counted apart."""
    parts: int = 1
    """The whole and all segments."""

    @property
    def cells(self) -> int:
        return self.groups * (self.open_panes + self.window_panes) * self.partitions


def cell_bytes(
    *, slots: int, numeric: int, words: int = 0, rules: int = 0, features: int = 0, sample: int = 0
) -> CellBytes:
    """`slots`, `numeric`, `words` (`Vectors.words`) and `features` of a layout; `sample`: of the plan.

    Names of novel categories, 64 for each categorical feature at most, come on top.
    """
    fixed = 8 * ((SUM_WORDS + 2) * numeric + words + rules + len(REASONS) + 4)
    bins = slots + LATENCY_BINS
    return CellBytes(
        dense=8 * bins + fixed,
        packed=PACKED_SLOT * bins + fixed + OBJECTS,
        sparse=SPARSE_SLOT * ceil(bins / SPARSE_FILL) + fixed + OBJECTS,
        sample=cell_rows(sample, features) * row_bytes(features),
    )


def dense_limit(dense: int, columns: int = 0) -> int:
    """How many cells of so many bytes can be dense at once: of the whole, and of `columns` that make segments,
    which share as much room again."""
    limit = max(FEWEST_DENSE, DENSE_BYTES // dense)
    return limit + columns * max(FEWEST_DENSE, DENSE_BYTES // max(columns, 1) // dense)


def extent(plan: ModelPlan, bound: int, *, groups: int, partitions: int) -> Extent:
    """`bound`: the watermark bound of the model's source; `groups`: versions and variants side by side."""
    longest = max(window.size for window in plan.windows) * (2 if PREVIOUS in plan.beside else 1)
    parts = 1 + len(names(plan))
    return Extent(
        groups=groups * parts,
        open_panes=ceil((bound + plan.lateness) / plan.pane) + 2,
        window_panes=ceil((longest + plan.lateness) / plan.pane),
        partitions=partitions,
        columns=len(plan.segments),
        parts=parts,
    )


def most(cell: CellBytes, size: Extent) -> int:
    """Bytes when every cell is as large as it can be, and as many as can be are dense."""
    return _total(cell, size, dense=dense_limit(cell.dense, size.columns), rest=cell.packed)


def likely(cell: CellBytes, size: Extent) -> int:
    """Bytes when cells at rest are sparse and rows come in order."""
    busy = min(dense_limit(cell.dense, size.columns), BUSY_PANES * size.groups)
    return _total(cell, size, dense=busy, rest=cell.sparse)


def _total(cell: CellBytes, size: Extent, *, dense: int, rest: int) -> int:
    open_cells = size.groups * size.open_panes
    awake = min(dense, open_cells)
    ingest = awake * cell.dense + (open_cells - awake) * rest
    evaluate = size.groups * size.window_panes * rest
    sums = 2 * size.parts * size.window_panes * rest  # kept by blocks of 1, 2, 4, 8… panes
    samples = size.groups // size.parts * (2 * size.open_panes + size.window_panes) * cell.sample
    return size.partitions * (ingest + evaluate + samples) + sums
