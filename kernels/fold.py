"""Step 5: a batch is added to the open cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bins import add_values
from kernels.counts import add_codes, add_rows, add_violations
from kernels.latency import EDGES, add_latency
from kernels.layout import Array, CellArrays, Layout
from kernels.moments import add_moments


def fold(
    cells: CellArrays,
    layout: Layout,
    *,
    cell: NDArray[np.int32],
    values: NDArray[np.float64],
    codes: NDArray[np.int32],
    latency: NDArray[np.float64],
    errors: NDArray[np.uint8],
    violations: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> None:
    """Add the rows of a batch to their cells. Mutates `cells`; the GIL is released meanwhile.

    cell        int32[rows]                 row of `cells`; negative rows are skipped
    values      float64[numeric, rows]
    codes       int32[categorical, rows]
    latency     float64[rows]               milliseconds
    errors      uint8[rows]
    violations  int32[rows, rules] or empty
    offsets     int64[rows]

    The result does not depend on the order of rows or on how they are cut into batches. Two
    threads may fold into different `cells`, never into the same. Raises ValueError, before
    anything is counted, when an array does not fit: the kernels themselves check no bounds.
    """
    rows = len(cell)
    if rows == 0:
        return
    _check(cells, layout, cell, values, codes, violations, (latency, errors, offsets))
    cell = np.ascontiguousarray(cell)
    values = np.ascontiguousarray(values)
    codes = np.ascontiguousarray(codes)
    add_rows(
        cells.rows,
        cells.errors,
        cells.first,
        cells.last,
        cell,
        np.ascontiguousarray(errors),
        np.ascontiguousarray(offsets),
    )
    add_latency(cells.latency, cell, np.ascontiguousarray(latency), EDGES)
    if violations.size:
        add_violations(cells.violations, cell, np.ascontiguousarray(violations))
    if layout.categorical:
        add_codes(cells.counts, cell, codes, layout.kind, layout.column, layout.start)
    if layout.numeric:
        add_values(
            cells.counts,
            cell,
            values,
            layout.edges,
            layout.edge_start,
            layout.kind,
            layout.column,
            layout.start,
        )
        add_moments(cells.sums, cells.extremes, cell, values, layout.center, layout.scale)


def _check(
    cells: CellArrays,
    layout: Layout,
    cell: Array,
    values: Array,
    codes: Array,
    violations: Array,
    flat: tuple[Array, ...],
) -> None:
    rows = len(cell)
    fits = {
        "cell": cell.ndim == 1 and int(cell.max()) < len(cells.rows),
        "values": values.shape == (layout.numeric, rows),
        "codes": codes.shape == (layout.categorical, rows),
        "violations": violations.size == 0 or violations.shape == (rows, cells.violations.shape[1]),
        "latency, errors, offsets": all(array.shape == (rows,) for array in flat),
        "cells": cells.counts.shape[1] == layout.slots and cells.sums.shape[1] == layout.numeric,
    }
    wrong = [name for name, ok in fits.items() if not ok]
    if wrong:
        raise ValueError(
            f"arrays do not fit the layout - fold of {rows} rows: {', '.join(wrong)} - shapes of"
            f" {layout.numeric} numeric and {layout.categorical} categorical features are right"
        )
