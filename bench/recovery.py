"""Size of sketches as they are stored, and how fast the state of a partition is recovered from a real Kafka.

    python -m bench.recovery [--smoke]

Sketches of models of several widths are folded from rows and checkpointed into a compacted topic by the code of the daemon;
then a process that has nothing recovers the partition, as after a crash: reads, checks, chooses and unpacks.

A MB of state is a million bytes of sketches that are each compressed by itself with zlib, as the local state log holds
them, whatever the topic makes of them: a form that takes more bytes does not look faster. What the topic holds is told too.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.figure import figure, say
from bench.memory import MINUTE, START, Case, layout_of, plan_of, rows_of
from monitor.clock import SystemClock
from monitor.interpreter import tune
from monitor.names import Source
from monitor.sketch import Sketch
from monitor.state.codec import encode
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.log import KafkaLog, Topics
from monitor.state.log import AGREE, Marker
from monitor.window.cells import OpenCells
from tests.kafka.broker import KafkaBroker, KafkaUnavailable

SOURCE = Source("predictions", 0)
TOPICS = Topics("state", "sketches", "progress", "ledger")
ROUNDS = 5
KINDS = 256
"""Different sketches: more than the megabyte of a request has."""
STATE = 128 << 20
"""Bytes of the state that is recovered."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="less state, one round")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    found = [item for features in (24, 50, 200) for item in sizes(features)]
    try:
        with tempfile.TemporaryDirectory() as folder, KafkaBroker(Path(folder) / "kafka") as broker:
            return [*found, recovery(broker, Path(folder), smoke=smoke)]
    except KafkaUnavailable as error:
        return [*found, figure("state recovered from Kafka", "MB/s", None, missing=str(error), goal=">= 50")]


def sizes(features: int) -> list[dict]:
    """Stored bytes of one sketch: few rows, and many."""
    found = []
    for rows, name in ((100, "100 rows"), (100_000, "100,000 rows")):
        size = len(encode(sketch_of(features, rows)))
        found.append(
            figure(f"stored sketch of {features} numeric features, {name}", "bytes", size,
                   notes="256 bins a feature, latency and moments included; compressed by itself, as the local state log holds it")
        )  # fmt: skip
    return found


def sketch_of(features: int, rows: int, seed: int = 0) -> Sketch:
    """One cell of normal numbers."""
    cells = OpenCells(plan_of(features), layout_of(features), SOURCE)
    for part in range(0, rows, 10_000):
        columns = rows_of(Case(features, 1, 1, 1), seed + part, min(rows - part, 10_000))
        cells.add(columns, np.full(len(columns), START))
    (sketch,) = cells.changed(1)
    return sketch


def recovery(broker: KafkaBroker, folder: Path, *, smoke: bool) -> dict:
    """MB of state per second, of live sketches of 50 features with 1,000 rows each; the topic lies in `folder`."""
    for name in TOPICS:
        broker.create_topic(name, config={"cleanup.policy": "compact", "max.message.bytes": str(8 << 20)})
    tune()  # as the daemon does
    sketches = live(STATE // 16 if smoke else STATE)
    begin = time.perf_counter()
    opened(broker).checkpoint(SOURCE, sketches, marker())
    written = time.perf_counter() - begin
    stored = sum(len(encode(sketch)) for sketch in sketches)
    (held,) = folder.rglob(f"{TOPICS.state}-0")
    topic = sum(file.stat().st_size for file in held.glob("*.log"))
    rates = []
    for _ in range(1 if smoke else ROUNDS):
        gc.collect()
        begin = time.perf_counter()
        found = opened(broker).recover(SOURCE)
        rates.append(stored / 1e6 / (time.perf_counter() - begin))
        assert found is not None
        assert len(found.sketches) == len(sketches)
        say(f"recovered at {rates[-1]:.0f} MB/s")
    return figure(
        "state recovered from Kafka by a process that has nothing", "MB/s", statistics.median(rates),
        ours_range=rates, rounds=len(rates), goal=">= 50", device="2 cores with the broker",
        notes=f"{len(sketches):,} sketches of 50 features, {stored / len(sketches) / 1000:.1f} kB each, "
        f"{stored / 1e6:.0f} MB of one partition, {topic / 1e6:.0f} MB in the topic; written in {written:.1f} s",
    )  # fmt: skip


def live(size: int) -> list[Sketch]:
    """Sketches of about `size` bytes together, each of a pane of its own.

    What is compressed together has no counts twice, else it would be smaller than it ever is.
    """
    kinds = [sketch_of(50, 1_000, seed) for seed in range(KINDS)]
    count = size // len(encode(kinds[0]))
    return [
        replace(kind, key=kind.key._replace(pane=START + n * MINUTE), applied=1)
        for n, kind in ((n, kinds[n % len(kinds)]) for n in range(count))
    ]


def marker() -> Marker:
    return Marker(SOURCE, 1, 0, START, (START,) * AGREE, {"m": 0}, records=1, tallies={})


def opened(broker: KafkaBroker) -> KafkaLog:
    properties = {"bootstrap.servers": broker.bootstrap}
    return KafkaLog(
        Broker(properties, clock=SystemClock(), deadline=60.0),
        topics=TOPICS, owned=dict, clock=SystemClock(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
