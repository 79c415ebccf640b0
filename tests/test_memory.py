"""What `check` says of memory is what cells take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import LATENCY_BINS
from monitor.memory import (
    DENSE_BYTES,
    FEWEST_DENSE,
    OBJECTS,
    CellBytes,
    Extent,
    cell_bytes,
    dense_limit,
    extent,
    likely,
    most,
)
from monitor.pack import Packed, pack
from monitor.plan import SegmentPlan, WindowSpec
from monitor.window.dense import DenseCells
from tests.kernels import cases
from tests.test_partition import MINUTE, PLAN

LAYOUT = cases.layout(5, numeric=30, categorical=3, edges=200)
RULES = cases.rules(5, LAYOUT)


def size() -> CellBytes:
    return cell_bytes(
        slots=LAYOUT.slots, numeric=LAYOUT.numeric, words=LAYOUT.vectors.words, rules=RULES.count
    )


def test_a_dense_cell_takes_what_its_arrays_take() -> None:
    """To the byte, and no more cells are dense than there is room for."""
    cells = DenseCells(LAYOUT, RULES)
    assert sum(array.nbytes for array in cells._cells) == FEWEST_DENSE * size().dense
    assert cells.limit == dense_limit(size().dense) == DENSE_BYTES // size().dense
    assert dense_limit(DENSE_BYTES) == FEWEST_DENSE


@pytest.mark.parametrize("fill", [0.0, 1 / 8, 0.5, 1.0])
@pytest.mark.parametrize("largest", [200, 60_000, (1 << 32) - 1])
def test_a_cell_at_rest_is_within_its_bounds(fill: float, largest: int) -> None:
    """However many slots are filled, up to four billion in each; sparse is what its name says."""
    rng = np.random.default_rng(3)
    sketch = DenseCells(LAYOUT, RULES).empty
    arrays = {}
    for name, length in (("counts", LAYOUT.slots), ("latency", LATENCY_BINS)):
        array = np.zeros(length, np.int64)
        filled = rng.permutation(length)[: int(length * fill)]
        array[filled] = rng.integers(1, largest, len(filled), endpoint=True)
        arrays[name] = Packed(pack(array))
    held = sketch.compact(**arrays).nbytes
    assert held <= size().packed - OBJECTS + 64
    if fill <= 1 / 8 and largest <= 60_000:
        assert held <= size().sparse - OBJECTS + 64


def test_more_of_anything_needs_more() -> None:
    """Groups, panes and partitions each add; what is likely is never above what is the most."""
    cell = cell_bytes(slots=500 * 260, numeric=500)
    base = Extent(groups=20, open_panes=60, window_panes=60, partitions=4)
    for change in ({"groups": 21}, {"open_panes": 61}, {"window_panes": 61}, {"partitions": 5}):
        assert most(cell, base) < most(cell, base._replace(**change))
        assert likely(cell, base) < likely(cell, base._replace(**change))
    assert likely(cell, base) < 2 << 30 < most(cell, base)
    assert base.cells == 20 * 120 * 4


def test_panes_are_those_that_ingest_and_evaluation_hold() -> None:
    """Open: lateness and bound, and two that are begun. Of the longest window: with its corrections."""
    plan = PLAN
    found = extent(plan, 30_000, groups=3, partitions=2)
    assert found == Extent(groups=3, open_panes=3 + 2, window_panes=1 + 2, partitions=2)
    assert plan.windows == (WindowSpec("1m", MINUTE, MINUTE),)
    segments = (SegmentPlan("a", ("a",), values=("x", "y", "z")), SegmentPlan("b", ("b",)))
    found = extent(replace(plan, segments=segments), 30_000, groups=3, partitions=2)
    assert (found.groups, found.parts, found.columns) == (3 * 8, 1 + 5 + 2, 2)


def test_segments_have_dense_cells_of_their_own() -> None:
    """As many bytes again for all columns together, but the fewest cells for each."""
    cell = size().dense
    assert dense_limit(cell, 2) == DENSE_BYTES // cell + 2 * (DENSE_BYTES // 2 // cell)
    assert dense_limit(DENSE_BYTES, 3) == 4 * FEWEST_DENSE
