"""Bytes of counts: per feature, pane and source partition, and of the large case as a whole.

    python -m bench.memory [--smoke]

The large case is 500 features x 20 segments x 60 open panes x 4 partitions: rows go through the fold pane by pane, every
cell gets 32 rows (so that it lies just below 1/8 fill), and what the process holds is read from the kernel. Then the sketches
go to the state log's bytes and back, as between ingest and evaluation, and a window of all panes is merged.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.figure import figure, say
from kernels.layout import NUMERIC, Layout
from monitor.columns import Columns
from monitor.memory import CellBytes, Extent, cell_bytes, likely, most
from monitor.names import Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, WindowSpec
from monitor.state.codec import decode_sketch, encode
from monitor.window.cells import OpenCells
from monitor.window.merge import merge
from monitor.window.store import PaneStore

BINS = 256
MINUTE = 60_000
START = 1_767_225_600_000
ROWS = 32
MEMORY_MAX = 2 << 30
"""The default of memory.max."""
MIB = 1 << 20


class Case(NamedTuple):
    features: int
    segments: int
    panes: int
    partitions: int

    @property
    def cells(self) -> int:
        return self.segments * self.panes * self.partitions

    def __str__(self) -> str:
        return f"{self.features} features x {self.segments} segments x {self.panes} panes x {self.partitions} partitions"


LARGE = Case(500, 20, 60, 4)
SMALL = Case(50, 5, 12, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a small case in place of the large one")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    return [*per_feature(), *whole(SMALL if smoke else LARGE)]


def layout_of(features: int) -> Layout:
    """Normal quantiles: BINS bins and the special slots."""
    edges = np.sort(np.random.default_rng(1).normal(size=BINS + 1))
    return Layout(
        kind=np.full(features, NUMERIC, np.int8),
        column=np.arange(features, dtype=np.int32),
        start=np.arange(features + 1, dtype=np.int32) * (BINS + 4),
        edges=np.tile(edges, features),
        edge_start=np.arange(features + 1, dtype=np.int32) * (BINS + 1),
        center=np.zeros(features),
        scale=np.ones(features),
    )


def plan_of(features: int) -> ModelPlan:
    return ModelPlan(
        name="m", source="s", rules=(), pane=MINUTE, budget=Budget(2, 30 * 86_400_000), config="c",
        features=tuple(FeaturePlan(f"f{i}", (f"f{i}",), Kind.NUMERIC) for i in range(features)),
        windows=(WindowSpec("1h", 60 * MINUTE, 60 * MINUTE),),
    )  # fmt: skip


def rows_of(case: Case, seed: int, each: int) -> Columns:
    """`each` rows of every segment, in turn."""
    generator = np.random.default_rng(seed)
    rows = case.segments * each
    return Columns(
        model="m", index=np.arange(rows), offsets=np.arange(rows) + seed * rows, timestamps=np.full(rows, START),
        events=np.full(rows, START), values=generator.normal(size=(case.features, rows)),
        codes=np.empty((0, rows), np.int32), latency=generator.lognormal(2, 1, rows),
        errors=np.zeros(rows, np.uint8), group=(np.arange(rows) % case.segments).astype(np.int32),
        groups=tuple((str(n), "champion") for n in range(case.segments)),
    )  # fmt: skip


def per_feature() -> list[dict]:
    """One cell of 500 features: in use, and at rest after few, some and many rows."""
    case = Case(500, 1, 1, 1)
    layout, plan = layout_of(case.features), plan_of(case.features)
    cell = cell_bytes(slots=layout.slots, numeric=layout.numeric)
    note = f"500 features of {BINS} bins; sums, extremes, and a 500th part of the latency histogram included"
    found = [
        figure("numeric feature, pane and partition, in use (dense)", "bytes", cell.dense / case.features,
               goal="<= 4096", notes=note)
    ]  # fmt: skip
    for rows, name in (
        (4, "4 rows"),
        (ROWS, f"{ROWS} rows: 1/8 fill"),
        (1_000, "1,000 rows"),
        (200_000, "200,000 rows"),
    ):
        cells = OpenCells(plan, layout, Source("t", 0))
        for seed in range(max(rows // 10_000, 1)):
            columns = rows_of(case, seed, min(rows, 10_000))
            cells.add(columns, np.full(len(columns), START))
        (sketch,) = cells.changed(1)
        filled = np.count_nonzero(sketch.counts) / len(sketch.counts)
        found.append(
            figure(f"the same at rest, {name}", "bytes", sketch.nbytes / case.features, goal="<= 4096",
                   notes=f"{note}; {filled:.0%} of the slots are filled" if rows == ROWS else note)
        )  # fmt: skip
    return found


def whole(case: Case) -> list[dict]:
    """The case as a whole, held in this process: first what ingest holds, then with evaluation beside it."""
    layout, plan = layout_of(case.features), plan_of(case.features)
    size = Extent(case.segments, case.panes, 0, case.partitions)
    cell = cell_bytes(slots=layout.slots, numeric=layout.numeric)
    before, begin = resident(), time.perf_counter()
    held = ingest(case, plan, layout, None)
    seconds, opened = time.perf_counter() - begin, resident() - before
    say(f"  {case}: {sum(map(len, held))} cells in {seconds:.0f} s, {opened / MIB:.0f} MiB")
    assert sum(map(len, held)) == case.cells
    del held
    store = PaneStore()
    held = ingest(case, plan, layout, store)
    end = START + case.panes * MINUTE
    window = merge(plan.windows[0], start=START, end=end, plan=plan, layout=layout,
                   parts=store.sums(START, end, plan=plan, layout=layout))  # fmt: skip
    assert window.rows == case.cells * ROWS
    both = resident() - before
    assert sum(map(len, held)) == case.cells
    return [*rendered(case, cell, size, opened), both_loops(case, cell, both)]


def ingest(case: Case, plan: ModelPlan, layout: Layout, store: PaneStore | None) -> list[OpenCells]:
    """Fold the case, with a checkpoint every six panes; evaluation takes its sketches as stored bytes."""
    held = [OpenCells(plan, layout, Source("t", n)) for n in range(case.partitions)]
    for pane, partition, columns in traffic(case):
        held[partition].add(columns, np.full(len(columns), START + pane * MINUTE))
        if partition == case.partitions - 1 and pane % 6 == 5:
            for cells in held:
                if store is not None:
                    for sketch in cells.changed(1):
                        store.put(decode_sketch(encode(sketch)))
                cells.confirm(0)
    return held


def traffic(case: Case) -> Iterator[tuple[int, int, Columns]]:
    for pane in range(case.panes):
        for partition in range(case.partitions):
            yield pane, partition, rows_of(case, pane * case.partitions + partition, ROWS)


def rendered(case: Case, cell: CellBytes, size: Extent, ingest: int) -> list[dict]:
    note = (
        f"{case} = {case.cells} cells of {ROWS} rows; at rest {cell.sparse:,} bytes each at 1/8 fill, {cell.packed:,} at "
        f"most, in use {cell.dense:,}"
    )
    return [
        figure(f"open panes: {case}", "MiB", ingest / MIB, goal=f"<= {MEMORY_MAX / MIB:g}", notes=note),
        figure("open panes by the arithmetic, likely (sparse)", "MiB", likely(cell, size) / MIB, notes=note),
        figure("open panes by the arithmetic, at most", "MiB", most(cell, size) / MIB, notes=note),
        figure("open panes, if every cell were arrays", "MiB", case.cells * cell.dense / MIB, notes=note),
    ]


def both_loops(case: Case, cell: CellBytes, both: int) -> dict:
    size = Extent(case.segments, case.panes, case.panes, case.partitions)
    return figure(
        "the same with a window of as many panes in evaluation, merged once", "MiB", both / MIB,
        goal=f"<= {MEMORY_MAX / MIB:g}",
        notes=f"by the arithmetic {likely(cell, size) / MIB:,.0f} MiB likely, {most(cell, size) / MIB:,.0f} MiB at most"
        + ("; as panes may fill, `driftline check` refuses this under the default memory.max of 2 GiB"
           if most(cell, size) > MEMORY_MAX else ""),
    )  # fmt: skip


def resident() -> int:
    """Resident bytes of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


if __name__ == "__main__":
    main()
