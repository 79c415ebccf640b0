"""Steps 3 and 5: a batch is added to the open cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bins import add_values
from kernels.blocks import SHORT, find_blocks, largest, mixed_rows, room, sort_rows, take_rows
from kernels.contract import judge_codes, judge_values
from kernels.counts import add_codes, add_rows
from kernels.fourier import add_vectors
from kernels.latency import EDGES, STEPS, add_latency
from kernels.layout import Array, CellArrays, Layout, Rules
from kernels.lookup import lookup
from kernels.moments import add_moments

SORTED = 64 << 20
"""Most bytes of columns that are sorted by cell, which takes a copy of them."""


def fold(
    cells: CellArrays,
    layout: Layout,
    rules: Rules,
    *,
    cell: NDArray[np.int32],
    values: NDArray[np.float64],
    codes: NDArray[np.int32],
    latency: NDArray[np.float64],
    errors: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    vectors: NDArray[np.float64] | None = None,
) -> None:
    """Add the rows of a batch to their cells. Mutates `cells`; the GIL is released meanwhile.

    cell     int32[rows]                row of `cells`; negative rows are skipped
    values   float64[numeric, rows]     NaN is missing
    codes    int32[categorical, rows]
    latency  float64[rows]              milliseconds
    errors   uint8[rows]
    offsets  int64[rows]
    vectors  float64[rows, dims]        a missing vector is all NaN; None without vector features

    The result does not depend on the order of rows or on how they are cut into batches. Two
    threads may fold into different `cells`, never into the same. Raises ValueError, before
    anything is counted, when an array does not fit: the kernels themselves check no bounds.
    """
    rows = len(cell)
    if rows == 0:
        return
    if vectors is None:
        vectors = np.empty((rows, 0))
    check_arrays(cells, layout, rules, cell, values, codes, vectors, (latency, errors, offsets))
    cell, errors, latency, offsets = map(np.ascontiguousarray, (cell, errors, latency, offsets))
    blocks = np.empty((room(rows), 3), np.int32)
    blocks = blocks[: find_blocks(blocks, cell)]
    where = (layout.kind, layout.column, layout.start)
    add_rows(cells.rows, cells.errors, cells.first, cells.last, cell, blocks, errors, offsets)
    add_latency(cells.latency, cell, blocks, latency, EDGES, STEPS)
    if layout.vectors.count:
        vectors = np.ascontiguousarray(vectors)
        add_vectors(
            cells.counts, cells.vectors, cells.violations, cell, vectors, *where, rules.null, *layout.vectors
        )
    cell, blocks, values, codes = _sorted(
        len(cells.rows), cell, blocks, np.ascontiguousarray(values), np.ascontiguousarray(codes)
    )
    if rules.count:
        limits = (rules.null, rules.range, rules.low, rules.high)
        judge_values(cells.violations, cell, blocks, values, *where[:2], *limits)
        judge_codes(cells.violations, cell, codes, *where, rules.null, rules.category, rules.forbidden)
    if layout.categorical:
        add_codes(cells.counts, cell, blocks, codes, *where)
    if layout.numeric:
        add_values(cells.counts, cell, blocks, values, *where, *lookup(layout))
        add_moments(cells.sums, cells.extremes, cell, blocks, values, layout.center, layout.scale)


def _sorted(
    cells: int, cell: Array, blocks: Array, values: Array, codes: Array
) -> tuple[Array, Array, Array, Array]:
    """Cells, blocks, values and codes; sorted by cell where cells are mixed and each has rows enough.

    Measured with 24 columns of 256 bins and 8 cells mixed at random: 4.1 ns per value instead of 7.4.
    """
    rows = len(cell)
    if 4 * mixed_rows(blocks) < rows or values.nbytes + codes.nbytes > SORTED:
        return cell, blocks, values, codes
    order = np.empty(rows, np.int32)
    if rows < SHORT * sort_rows(order, np.zeros(cells + 1, np.int64), cell):
        return cell, blocks, values, codes
    taken = np.empty_like(values), np.empty_like(codes)
    take_rows(taken[0], values, order)
    take_rows(taken[1], codes, order)
    cell = cell[order]
    blocks = np.empty((room(rows), 3), np.int32)
    return cell, blocks[: find_blocks(blocks, cell)], *taken


def check_arrays(
    cells: CellArrays,
    layout: Layout,
    rules: Rules,
    cell: Array,
    values: Array,
    codes: Array,
    vectors: Array,
    flat: tuple[Array, ...],
) -> None:
    rows = len(cell)
    latency, errors, offsets = flat
    fits = {
        "cell": cell.ndim == 1 and largest(np.ascontiguousarray(cell)) < len(cells.rows),
        "values": values.shape == (layout.numeric, rows),
        "codes": codes.shape == (layout.categorical, rows),
        "vectors": vectors.shape == (rows, layout.vectors.dims),
        "rules": _fits(rules, layout, cells.violations.shape[1]),
        "latency, errors, offsets": latency.shape == errors.shape == offsets.shape == (rows,),
        "cells": cells.counts.shape[1] == layout.slots
        and cells.sums.shape[1] == layout.numeric
        and cells.vectors.shape[1] == layout.vectors.words,
    }
    if not all(fits.values()):
        wrong = [name for name, ok in fits.items() if not ok]
        raise ValueError(
            f"arrays do not fit the layout - fold of {rows} rows: {', '.join(wrong)} - shapes of"
            f" {layout.numeric} numeric and {layout.categorical} categorical features and of"
            f" {layout.vectors.dims} dimensions of vectors are right"
        )


def _fits(rules: Rules, layout: Layout, counted: int) -> bool:
    shape = (layout.features,)
    return (
        rules.count == counted
        and rules.null.shape == rules.range.shape == rules.category.shape == shape
        and rules.low.shape == rules.high.shape == shape
        and max(largest(rules.null), largest(rules.range), largest(rules.category)) < counted
        and rules.forbidden.shape == (layout.slots,)
    )
