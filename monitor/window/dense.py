"""The cells whose counts lie in arrays, ready for the fold: a bounded number of them.

The one place in `monitor` that touches the arrays of open cells, on the host or on a device.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout, Rules, allocate
from kernels.select import CPU, Backend
from monitor.columns import Columns
from monitor.memory import DENSE_BYTES, FEWEST_DENSE
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, pack
from monitor.sketch import Sketch

NO_KEY = SketchKey("", "", "", "", "", 0, Source("", 0))


class DenseCells:
    """Places of cells in arrays. A place that is not taken counts nothing."""

    def __init__(
        self, layout: Layout, rules: Rules, *, room: int = DENSE_BYTES, backend: Backend = CPU
    ) -> None:
        """`room`: bytes that the arrays may take, but room for FEWEST_DENSE cells at least."""
        self._layout = layout
        self._rules = rules
        self._backend = backend
        self._one = allocate(layout, cells=1, rules=rules.count, reasons=len(REASONS))
        """One cell on the host, on its way to a place."""
        self.limit = max(FEWEST_DENSE, room // sum(array.nbytes for array in self._one))
        """How many cells can be dense at once."""
        self._size = FEWEST_DENSE
        self._cells = backend.allocate(layout, cells=FEWEST_DENSE, rules=rules.count, reasons=len(REASONS))
        self._free = list(range(FEWEST_DENSE))[::-1]
        self.empty = self.read(0)
        """What a place counts that nothing was folded into."""

    @property
    def is_full(self) -> bool:
        return not self._free and self._size == self.limit

    def take(self, sketch: Sketch) -> int:
        """A place that goes on with what `sketch` counted. There must be one: see `is_full`."""
        if not self._free:
            old, self._size = self._size, min(2 * self._size, self.limit)
            self._cells = self._backend.grow(self._cells, self._layout, to=self._size)
            self._free = list(range(old, self._size))[::-1]
        place = self._free.pop()
        if sketch is not self.empty:
            self._write(place, sketch)
        return place

    def give(self, place: int) -> None:
        """Forget what was counted there."""
        self._backend.clear(self._cells, place)
        self._free.append(place)

    def read(self, place: int) -> Sketch:
        """What was counted there, packed; without key, rejects and novel categories."""
        one = self._backend.read(self._cells, place)
        return Sketch(
            key=NO_KEY,
            applied=0,
            rows=int(one.rows[0]),
            errors=int(one.errors[0]),
            counts=Packed(pack(one.counts[0])),
            sums=one.sums[0].copy(),
            extremes=one.extremes[0].copy(),
            vectors=one.vectors[0].copy(),
            latency=Packed(pack(one.latency[0])),
            violations=one.violations[0].copy(),
            rejects=one.rejects[0].copy(),
            first=int(one.first[0]),
            last=int(one.last[0]),
        )

    def fold(self, columns: Columns, cell: NDArray[np.int32], places: NDArray[np.int32]) -> int:
        """Count rows: `cell` int32[rows] is the place of each, -1 for none; `places` are all it names.

        Returns how often the contract was broken.
        """
        return self._backend.fold(
            self._cells,
            self._layout,
            self._rules,
            places,
            cell=cell,
            values=columns.values,
            codes=columns.codes,
            latency=columns.latency,
            errors=columns.errors,
            offsets=columns.offsets,
            vectors=columns.vectors,
        )

    def _write(self, place: int, sketch: Sketch) -> None:
        one = self._one
        one.counts[:] = one.latency[:] = 0
        sketch.packed("counts").add_to(one.counts[0])
        sketch.packed("latency").add_to(one.latency[0])
        for name in ("sums", "extremes", "vectors", "violations", "rows", "errors", "first", "last"):
            getattr(one, name)[0] = getattr(sketch, name)
        self._backend.write(self._cells, place, one)
