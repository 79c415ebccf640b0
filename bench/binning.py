"""Binning and the whole fold of columns that are decoded already, against what numpy offers for it.

The peer counts bins alone; "fold" does more: moments, extremes, null and range rules of every column, latency, rows.
A call is given the rows that one poll of the daemon brings.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bench.figure import figure, pair, spent
from bench.machine import one_core
from kernels.bins import add_values
from kernels.blocks import find_blocks, room
from kernels.fold import fold
from kernels.layout import CellArrays, Layout, Rules, allocate, no_rules
from kernels.lookup import lookup
from monitor.ingest import BATCH
from monitor.names import REASONS
from monitor.reference.build import BuildSettings, build
from monitor.reference.table import Table

COLUMNS = 24
BINS = (16, 256, 4_096)
LEARNT = 20_000
"""Rows of the reference that the bins come from."""
GROWTH = (
    "tables and counts of 24 columns are 3 MB with 4,096 bins and 10 kB with 16; between two runs of either the other's"
    " columns take their place in the caches, as a scan does in the daemon. With one table for all columns, which stays in"
    " the second-level cache, the same steps cost 1.45 by 1.13 ns a value, 1.3 times; with all tables in the third-level"
    " cache 1.6 by 1.15, 1.4 times: the rest is waiting for memory"
)
AGAINST = "numpy searchsorted + bincount (counts only)"
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Any]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tail": lambda rng, size: rng.lognormal(0.0, 3.0, size=size),
    "integers 0–59": lambda rng, size: rng.integers(0, 60, size).astype(float),
    "30 % missing": lambda rng, size: np.where(rng.random(size) < 0.3, np.nan, rng.normal(size=size)),
    "two tight clusters": lambda rng, size: rng.choice([0.0, 1e6], size) + rng.normal(size=size) * 1e-3,
}
"""What the values of a column look like; the last one is the hardest for tables."""


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """Normal columns at every number of bins, and how the cost grows; other columns at 256 bins."""
    rows, rounds = (10_000, 3) if smoke else (50_000, 11)
    found = []
    with one_core():
        jobs = {bins: job("normal", bins, rows) for bins in BINS}
        for bins, made in jobs.items():
            goal = ">= 8" if bins in {256, 4_096} else ""
            for what, run in (("bins", made.bins), ("fold", made.fold)):
                name = f"{what} of {COLUMNS} normal columns, {bins} bins"
                found.append(_pair(name, run, made.peer, rows, rounds, goal=goal if what == "bins" else ""))
        few, many = jobs[BINS[0]], jobs[BINS[-1]]
        found.append(_growth("bins", few.bins, many.bins, rounds, goal="<= 1.5"))
        found.append(_growth("fold", few.fold, many.fold, rounds))
        for shape in list(SHAPES)[1:]:
            made = job(shape, 256, rows)
            name = f"bins of {COLUMNS} columns, {shape}, 256 bins"
            found.append(_pair(name, made.bins, made.peer, rows, rounds))
            made = job(shape, 256, rows, cells=8)
            name = f"fold of {COLUMNS} columns, {shape}, 256 bins, rows of 8 cells mixed"
            found.append(_pair(name, made.fold, made.peer, rows, rounds))
    return found


class Job(NamedTuple):
    """The same rows, counted by ours and by the peer."""

    bins: Callable[[], None]
    fold: Callable[[], None]
    peer: Callable[[], None]


def job(shape: str, bins: int, rows: int, *, cells: int = 1) -> Job:
    """Columns of a shape in batches, and bins that were learnt from other rows of it."""
    rng = np.random.default_rng(bins)
    learnt = SHAPES[shape](rng, (COLUMNS, LEARNT))
    table = Table({f"f{n}": column for n, column in enumerate(learnt)})
    layout = build(table, model="m", name="r", settings=BuildSettings(quantiles=bins)).layout()
    batches = [np.ascontiguousarray(SHAPES[shape](rng, (COLUMNS, BATCH))) for _ in range(rows // BATCH)]
    return jobs_of(layout, batches, rng.integers(0, cells, BATCH).astype(np.int32), cells)


def jobs_of(layout: Layout, batches: list[np.ndarray], cell: np.ndarray, cells: int) -> Job:
    rules = _rules(layout)
    state: CellArrays = allocate(layout, cells=cells, rules=rules.count, reasons=len(REASONS))
    blocks = np.empty((room(BATCH), 3), np.int32)
    blocks = blocks[: find_blocks(blocks, cell)]
    rest = {
        "cell": cell, "codes": np.zeros((0, BATCH), np.int32), "latency": np.full(BATCH, 12.5),
        "errors": np.zeros(BATCH, np.uint8), "offsets": np.arange(BATCH),
    }  # fmt: skip
    edges = [layout.edges[layout.edge_start[i] : layout.edge_start[i + 1]] for i in range(COLUMNS)]
    where, tables = (layout.kind, layout.column, layout.start), lookup(layout)

    def ours() -> None:
        for values in batches:
            add_values(state.counts, cell, blocks, values, *where, *tables)

    def whole() -> None:
        for values in batches:
            fold(state, layout, rules, values=values, **rest)

    def peer() -> None:
        for values in batches:
            for column, own in zip(values, edges, strict=True):
                np.bincount(np.searchsorted(own, column, side="right"), minlength=len(own) + 1)

    return Job(ours, whole, peer)


def _rules(layout: Layout) -> Rules:
    """A null and a range rule for every column."""
    number = np.arange(COLUMNS, dtype=np.int32)
    limit = np.full(COLUMNS, 3.0)
    return no_rules(layout)._replace(
        count=2 * COLUMNS, null=number, range=number + np.int32(COLUMNS), low=-limit, high=limit
    )


def _pair(
    name: str, ours: Callable[[], None], peer: Callable[[], None], rows: int, rounds: int, *, goal: str = ""
) -> dict[str, Any]:
    return pair(name, ours, peer, rows * COLUMNS, rounds, unit="values/s", against=AGAINST, goal=goal)


def _growth(
    what: str, few: Callable[[], None], many: Callable[[], None], rounds: int, *, goal: str = ""
) -> dict[str, Any]:
    """Time at the most bins by time at the fewest, measured in turn."""
    spent(few), spent(many)
    ratios = [spent(many).seconds / spent(few).seconds for _ in range(rounds)]
    name = f"{what}: cost at {BINS[-1]:,} bins by cost at {BINS[0]}"
    return figure(
        name, "times", statistics.median(ratios), ours_range=ratios, rounds=rounds, goal=goal, notes=GROWTH
    )


if __name__ == "__main__":
    for item in figures(smoke="--smoke" in sys.argv):
        print(item["name"], item["ours"], item["ratio"], item["ratio_range"])
