"""A whole drift run in memory, our side: build a reference, count the current data, judge every feature.

    python -m bench.drift_run [--rows 1000000] [--rounds 5]

Prints what each part costs, in CPU time of one thread. The result of a run is what the daemon makes of a window: a
verdict with every test and every score of every feature.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import data
from bench.figure import figure
from kernels.fold import fold
from kernels.jit import warm
from kernels.layout import CellArrays, allocate, no_rules
from monitor.judge.policy import judge
from monitor.judge.prepare import Prepared, prepare
from monitor.names import REASONS
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, WindowSpec
from monitor.reference.build import build
from monitor.reference.profile import Reference
from monitor.reference.table import Table
from monitor.verdict import Verdict, Window

HOUR = 3_600_000
SPEC = WindowSpec("1h", HOUR, HOUR)
ROWS = 1_000_000
PARTS = ("reference", "preparation", "fold", "scores")


class Known(NamedTuple):
    """A reference, and what the daemon learns from it before the first window."""

    reference: Reference
    plan: ModelPlan
    prepared: Prepared


def whole(reference: Path, current: Path) -> Callable[[], Verdict]:
    """A run from two arrays to the verdict. The files are read before."""
    before, now = np.load(reference), np.load(current)

    def run() -> Verdict:
        known = learn(reference_of(before))
        return verdict_of(count(now, known.reference), now.shape[1], known)

    return run


def built(reference: Path, current: Path) -> Callable[[], Verdict]:
    """A run on a reference that is there already: fold and scores."""
    known, now = learn(reference_of(np.load(reference))), np.load(current)
    return lambda: verdict_of(count(now, known.reference), now.shape[1], known)


def reference_of(values: np.ndarray) -> Reference:
    """The reference of float64[columns, rows]."""
    return build(Table({f"f{n}": column for n, column in enumerate(values)}), model="m", name="reference")


def learn(reference: Reference) -> Known:
    """What follows from the reference alone."""
    features = tuple(FeaturePlan(profile.name, profile.path, Kind.NUMERIC) for profile in reference.features)
    plan = ModelPlan(
        name="m", source="s", features=features, rules=(), windows=(SPEC,), pane=HOUR,
        budget=Budget(2.0, 30 * 24 * HOUR), config="c",
    )  # fmt: skip
    return Known(reference, plan, prepare(reference, plan, SPEC))


def count(values: np.ndarray, reference: Reference) -> CellArrays:
    """The current data in one cell, as ingest counts it."""
    layout, rows = reference.layout(), values.shape[1]
    cells = allocate(layout, cells=1, rules=0, reasons=len(REASONS))
    fold(
        cells, layout, no_rules(layout), cell=np.zeros(rows, np.int32), values=values,
        codes=np.empty((0, rows), np.int32), latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8),
        offsets=np.arange(rows),
    )  # fmt: skip
    return cells


def verdict_of(cells: CellArrays, rows: int, known: Known) -> Verdict:
    """Every score and test of the window that the cell is."""
    window = Window(
        model="m", name=SPEC.name, start=0, end=HOUR, rows=rows, errors=0, counts=cells.counts[0], sums=cells.sums[0],
        extremes=cells.extremes[0], latency=cells.latency[0], violations=cells.violations[0], rejects=cells.rejects[0],
    )  # fmt: skip
    return judge(window, known.prepared, known.plan, previous=())


def figures(rounds: int, *, rows: int = ROWS) -> list[dict[str, Any]]:
    """CPU time of each part and of the sums that are compared with peers."""
    before, now = (np.load(data.table(rows, current=current)) for current in (False, True))
    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    for _ in range(rounds + 1):
        clock = [time.process_time()]
        reference = reference_of(before)
        clock.append(time.process_time())
        known = learn(reference)
        clock.append(time.process_time())
        cells = count(now, reference)
        clock.append(time.process_time())
        verdict_of(cells, rows, known)
        clock.append(time.process_time())
        for part, begin, end in zip(PARTS, clock[:-1], clock[1:], strict=True):
            spent[part].append(end - begin)
    times = {part: np.array(spent[part][1:]) for part in PARTS}  # the first round meets cold pages
    times["reference + fold + scores"] = sum(times[part] for part in PARTS)
    times["fold + scores on a built reference"] = times["fold"] + times["scores"]
    return [
        figure(f"{name}, {rows:,} × {data.COLUMNS}", "CPU-s", float(np.median(took)), ours_range=took.tolist(), rounds=rounds)
        for name, took in times.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    warm()
    for item in figures(arguments.rounds, rows=arguments.rows):
        low, high = item["ours_range"]
        print(f"{item['name']:<55} {item['ours']:.3f} {item['unit']}  [{low:.3f}-{high:.3f}]")


if __name__ == "__main__":
    main()
