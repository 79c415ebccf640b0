"""Cost against features, segments and window families: rows that are decoded already, to counts and to verdicts.

    python -m bench.scaling [--smoke]

Features and segments: place + cells + fold per record, processor time of the one thread. Windows: a day of events of two
partitions at 500,000 records an hour, with a checkpoint a minute, judged by one to sixteen families of sliding windows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import NamedTuple

import numpy as np

from bench.figure import figure, say
from kernels.layout import Layout
from monitor.columns import Batch, Columns
from monitor.context import Context
from monitor.judge.prepare import prepare
from monitor.judgement import Judgement
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SourcePlan, WindowSpec
from monitor.reference.build import build
from monitor.reference.profile import Reference
from monitor.reference.table import Table
from monitor.state.codec import decode_sketch, encode
from monitor.state.log import Progress
from monitor.window.completeness import Patience

START = 1_767_225_600_000
MINUTE, HOUR = 60_000, 3_600_000
ROWS = 5_000
FEATURES = (8, 16, 32, 64, 128, 256, 512)
SEGMENTS = (1, 2, 4, 8, 16, 32, 64)
FAMILIES = (1, 2, 4, 8, 16)
USUAL = 24
"""Features of the other two tables."""
INTAKE = SourcePlan(name="s", topic="t", models=("m",), bound=10_000)
PARTITIONS = (Source("t", 0), Source("t", 1))


class Day(NamedTuple):
    """Seconds on the processor, by loop, of one day with so many families of windows."""

    records: int
    ingest: float
    evaluate: float
    verdicts: int

    @property
    def seconds(self) -> float:
        return self.ingest + self.evaluate

    @property
    def each(self) -> float:
        """Nanoseconds of a record."""
        return 1e9 * self.seconds / self.records

    @property
    def verdict(self) -> float:
        """Milliseconds."""
        return 1e3 * self.evaluate / max(self.verdicts, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    rounds = 5 if smoke else 25
    return [
        *against_features(rounds),
        *against_segments(rounds),
        *(
            against_windows(hours=20, hourly=10_000, rounds=1)
            if smoke
            else against_windows(hours=24, hourly=500_000, rounds=5)
        ),
    ]


def against_features(rounds: int) -> list[dict]:
    cost = {}
    for count in FEATURES:
        reference, plan = reference_of(count), plan_of(count)
        cost[count] = [
            taken / count for taken in folded(plan, reference.layout(), blocks(count, 1, rounds + 1))
        ]
    found = [
        figure(f"fold, {count} features", "ns/value", statistics.median(taken), ours_range=taken, rounds=rounds,
               notes="place + cells + fold of records of one segment and pane, by value")
        for count, taken in cost.items()
    ]  # fmt: skip
    slope = statistics.median(cost[FEATURES[-1]]) / statistics.median(cost[64])
    return [
        *found,
        figure("cost of a value at 512 features", "ns/value", statistics.median(cost[FEATURES[-1]]),
               peer=statistics.median(cost[64]), against="ours at 64 features", ratio=slope, rounds=rounds,
               goal="<= 1.5", notes="1 is exactly linear"),
    ]  # fmt: skip


def against_segments(rounds: int) -> list[dict]:
    layout, plan = reference_of(USUAL).layout(), plan_of(USUAL)
    cost = {count: folded(plan, layout, blocks(USUAL, count, rounds + 1)) for count in SEGMENTS}
    return [
        figure(f"fold, {USUAL} features, segments: {count}", "ns/record", statistics.median(taken), ours_range=taken,
               rounds=rounds, notes="segments in random order, one pane")
        for count, taken in cost.items()
    ]  # fmt: skip


def against_windows(*, hours: int, hourly: int, rounds: int) -> list[dict]:
    """In every round a day with each number of families."""
    reference = reference_of(USUAL)
    day(reference, FAMILIES[0], hours=hours, hourly=hourly)  # to warm up
    days: dict[int, list[Day]] = {count: [] for count in FAMILIES}
    for _ in range(rounds):
        for count in FAMILIES:
            days[count].append(day(reference, count, hours=hours, hourly=hourly))
            say(f"  {count} families: {days[count][-1]}")
    each = {count: [taken.each for taken in found] for count, found in days.items()}
    found = [
        figure(f"to verdicts, families of windows: {count}", "ns/record", statistics.median(each[count]),
               ours_range=each[count], rounds=rounds,
               notes=f"families of 1 to 16 hours that slide by the hour, {hourly:,} records an hour; {taken[0].verdicts} verdicts, "
               f"{statistics.median(one.verdict for one in taken):.1f} ms each with merging, "
               f"{statistics.median(one.evaluate / one.seconds for one in taken):.0%} of the time")
        for count, taken in days.items()
    ]  # fmt: skip
    ratios = [most / one for most, one in zip(each[FAMILIES[-1]], each[FAMILIES[0]], strict=True)]
    return [
        *found,
        figure(f"cost of a record with {FAMILIES[-1]} families of windows", "ns/record", statistics.median(each[FAMILIES[-1]]),
               peer=statistics.median(each[FAMILIES[0]]), peer_range=each[FAMILIES[0]], ours_range=each[FAMILIES[-1]],
               ratio=statistics.median(ratios), ratio_range=ratios, rounds=rounds,
               against="ours with one family", goal="<= 1.5", notes="1 is flat"),
    ]  # fmt: skip


def folded(plan: ModelPlan, layout: Layout, blocks_: list[Columns]) -> list[float]:
    """Nanoseconds per record of each block but the first, which opens the cells."""
    partition = Partition(PARTITIONS[0], INTAKE, {"m": Model(plan, layout)}, position=0)
    taken = []
    for block in blocks_:
        batch = batch_of(PARTITIONS[0], block)
        begin = time.thread_time()
        partition.fold(batch, [block], [])
        taken.append(1e9 * (time.thread_time() - begin) / len(block))
    return taken[1:]


def day(reference: Reference, families: int, *, hours: int, hourly: int) -> Day:
    """Fold, checkpoint and judge; sketches pass from loop to loop as stored bytes, which count for ingest."""
    plan = plan_of(USUAL, windows=tuple(WindowSpec(f"{n}h", n * HOUR, HOUR) for n in range(1, families + 1)))
    layout = reference.layout()
    prepared = {spec.name: prepare(reference, plan, spec) for spec in plan.windows}
    judgement = Judgement(Context(plan, layout, reference, prepared), patience=Patience(settle=0))
    partitions = [Partition(source, INTAKE, {"m": Model(plan, layout)}, position=0) for source in PARTITIONS]
    progress: dict[Source, Progress] = {}
    minutely = hourly // 60 // len(PARTITIONS)
    # Rows of an hour, or each window would be a drift, and what that is would be sought in each.
    pool = blocks(USUAL, 1, 60, rows=minutely)
    records, ingest, evaluate, verdicts = 0, 0.0, 0.0, 0
    for minute in range(hours * 60):
        block = pool[minute % len(pool)]
        begin = time.thread_time()
        stored = []
        for partition in partitions:
            block.events = START + minute * MINUTE + np.arange(minutely) * MINUTE // minutely
            block.offsets = np.arange(minutely) + minute * minutely
            partition.fold(batch_of(partition.source, block), [block], [])
            sketches, marker = partition.checkpoint()
            stored += [encode(sketch) for sketch in sketches]
            partition.confirm(marker)
            progress[partition.source] = Progress(
                partition.source, marker.applied, -1, marker.watermark, idle=False, paused="", observed=0
            )
            records += minutely
        middle = time.thread_time()
        judgement.observe([decode_sketch(body) for body in stored])
        for judged in judgement.due(expected=PARTITIONS, progress=progress, now=0):
            judgement.accept(judged)
            verdicts += 1
        end = time.thread_time()
        ingest, evaluate = ingest + middle - begin, evaluate + end - middle
    return Day(records, ingest, evaluate, verdicts)


def reference_of(features: int) -> Reference:
    """Two weeks of an hourly pattern that does not change."""
    generator = np.random.default_rng(features)
    rows = 40_000
    table = {f"f{n}": generator.normal(size=rows) for n in range(features)}
    events = START - 14 * 24 * HOUR + np.arange(rows) * (14 * 24 * HOUR // rows)
    return build(Table(table, events=events), model="m", name="r")


def plan_of(features: int, *, windows: tuple[WindowSpec, ...] = (WindowSpec("1h", HOUR, HOUR),)) -> ModelPlan:
    return ModelPlan(
        name="m", source="s", rules=(), pane=MINUTE, budget=Budget(2, 30 * 86_400_000), config="c", windows=windows,
        features=tuple(FeaturePlan(f"f{n}", (f"f{n}",), Kind.NUMERIC) for n in range(features)),
    )  # fmt: skip


def blocks(features: int, segments: int, count: int, *, rows: int = ROWS) -> list[Columns]:
    generator = np.random.default_rng(segments)
    return [
        Columns(
            model="m", index=np.arange(rows), offsets=np.arange(rows) + n * rows, timestamps=np.full(rows, -1),
            events=START + np.arange(rows), values=generator.normal(size=(features, rows)),
            codes=np.empty((0, rows), np.int32), latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8),
            group=generator.integers(0, segments, rows).astype(np.int32),
            groups=tuple((str(n), "champion") for n in range(segments)),
        )
        for n in range(count)
    ]  # fmt: skip


def batch_of(source: Source, block: Columns) -> Batch:
    rows = len(block)
    return Batch(source, [None] * rows, [None] * rows, [None] * rows, block.offsets, block.timestamps)


if __name__ == "__main__":
    main()
