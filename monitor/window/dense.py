"""The cells whose counts lie in arrays, ready for the fold: a bounded number of them.

The one place in `monitor` that touches the arrays of open cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.fold import fold
from kernels.layout import CellArrays, Layout, Rules, allocate, clear, grow
from monitor.columns import Columns
from monitor.memory import DENSE_BYTES, FEWEST_DENSE
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, pack
from monitor.sketch import Sketch

NO_KEY = SketchKey("", "", "", "", "", 0, Source("", 0))


class DenseCells:
    """Places of cells in arrays. A place that is not taken counts nothing."""

    def __init__(self, layout: Layout, rules: Rules, *, room: int = DENSE_BYTES) -> None:
        """`room`: bytes that the arrays may take, but room for FEWEST_DENSE cells at least."""
        self._layout = layout
        self._rules = rules
        self._arrays: CellArrays = allocate(
            layout, cells=FEWEST_DENSE, rules=rules.count, reasons=len(REASONS)
        )
        self._free = list(range(FEWEST_DENSE))[::-1]
        each = sum(array.nbytes for array in self._arrays) // FEWEST_DENSE
        self.limit = max(FEWEST_DENSE, room // each)
        """How many cells can be dense at once."""
        self.empty = self.read(0)
        """What a place counts that nothing was folded into."""

    @property
    def is_full(self) -> bool:
        return not self._free and len(self._arrays.rows) == self.limit

    def take(self, sketch: Sketch) -> int:
        """A place that goes on with what `sketch` counted. There must be one: see `is_full`."""
        if not self._free:
            old = len(self._arrays.rows)
            new = min(2 * old, self.limit)
            self._arrays = grow(self._arrays, self._layout, to=new)
            self._free = list(range(old, new))[::-1]
        place = self._free.pop()
        if sketch is not self.empty:
            self._write(place, sketch)
        return place

    def give(self, place: int) -> None:
        """Forget what was counted there."""
        clear(self._arrays, place)
        self._free.append(place)

    def read(self, place: int) -> Sketch:
        """What was counted there, packed; without key, rejects and novel categories."""
        arrays = self._arrays
        return Sketch(
            key=NO_KEY,
            applied=0,
            rows=int(arrays.rows[place]),
            errors=int(arrays.errors[place]),
            counts=Packed(pack(arrays.counts[place])),
            sums=arrays.sums[place].copy(),
            extremes=arrays.extremes[place].copy(),
            vectors=arrays.vectors[place].copy(),
            latency=Packed(pack(arrays.latency[place])),
            violations=arrays.violations[place].copy(),
            rejects=arrays.rejects[place].copy(),
            first=int(arrays.first[place]),
            last=int(arrays.last[place]),
        )

    def fold(self, columns: Columns, cell: NDArray[np.int32], places: NDArray[np.int32]) -> int:
        """Count rows: `cell` int32[rows] is the place of each, -1 for none; `places` are all it names.

        Returns how often the contract was broken.
        """
        before = self._breaches(places)
        fold(
            self._arrays,
            self._layout,
            self._rules,
            cell=cell,
            values=columns.values,
            codes=columns.codes,
            latency=columns.latency,
            errors=columns.errors,
            offsets=columns.offsets,
            vectors=columns.vectors,
        )
        return self._breaches(places) - before

    def _breaches(self, places: NDArray[np.int32]) -> int:
        return int(self._arrays.violations[np.unique(places)].sum()) if self._rules.count else 0

    def _write(self, place: int, sketch: Sketch) -> None:
        arrays = self._arrays
        sketch.packed("counts").add_to(arrays.counts[place])
        sketch.packed("latency").add_to(arrays.latency[place])
        for name in ("sums", "extremes", "vectors", "violations", "rows", "errors", "first", "last"):
            getattr(arrays, name)[place] = getattr(sketch, name)
