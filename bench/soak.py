"""Memory of the daemon while records come faster than it can take them.

    python -m bench.soak [--minutes 30]

A producer keeps BACKLOG records waiting for the daemon on a broker of this machine, so that it always works as fast as
it can; old records are deleted behind it. Event time runs PACE times as fast as the clock on the wall, so that windows
of an hour close every 90 seconds, and the panes that they are made of come to be as many as they will ever be within the
warm-up: a fifth of the time, and three hours of event time at least. Resident memory is read every two seconds; a line is
fitted to means over BLOCK seconds: neighbouring readings hang together, and a line through all of them would look surer
than it is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Producer

from bench.figure import figure, say
from bench.records import START, job
from bench.topic import FAST, PARTITIONS, Running, configure, running
from tests.daemon.ask import until
from tests.kafka.broker import KafkaBroker

BACKLOG = 400_000
"""Records that wait: a second of work or more."""
EVERY = 2.0
BLOCK = 15.0
DISTINCT = 20_000
PACE = 40
WARM = 330.0
"""Seconds; nearly four hours of event time, where a window of an hour and those before it need three."""
RETENTION = {"retention.bytes": "268435456", "segment.bytes": "33554432", "retention.ms": "-1"}


class Line(NamedTuple):
    """A straight line: bytes per minute, and their standard error."""

    slope: float
    error: float


class Traffic(threading.Thread):
    """Produces records of this moment whenever fewer than BACKLOG wait."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self.sent = 0
        self.applied = 0
        """As the daemon says; kept up to date by whoever asks it."""
        self.ends = threading.Event()
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, **FAST})
        self._heads = [
            value.split(b'"ts":%d' % (START + n), 1) for n, value in enumerate(job(rows=DISTINCT).values)
        ]

    def run(self) -> None:
        begin, last = time.monotonic(), START
        while not self.ends.is_set():
            if self.sent - self.applied > BACKLOG:
                self._producer.poll(0.02)
                continue
            now = START + round(1000 * PACE * (time.monotonic() - begin))
            step = (now - last) / len(self._heads)
            for n, (before, after) in enumerate(self._heads):
                event = last + int(n * step)
                self._send(b'%s"ts":%d%s' % (before, event, after), n % PARTITIONS, event)
            self.sent += len(self._heads)
            last = now
        self._producer.purge()
        self._producer.flush(5)

    def _send(self, value: bytes, partition: int, event: int) -> None:
        while not self.ends.is_set():
            try:
                self._producer.produce(self._topic, value, partition=partition, timestamp=event)
                return
            except BufferError:
                self._producer.poll(0.05)


def figures(*, smoke: bool = False, minutes: float = 30.0) -> list[dict[str, Any]]:
    """The slope of the daemon's resident memory."""
    minutes = 7.0 if smoke else minutes
    with tempfile.TemporaryDirectory() as temporary, KafkaBroker(Path(temporary) / "kafka") as broker:
        broker.create_topic("soak", partitions=PARTITIONS, config=RETENTION)
        config = configure(Path(temporary) / "daemon", broker.bootstrap, "soak", group=f"soak-{uuid.uuid4()}")
        with running(config) as daemon:
            traffic = Traffic(broker.bootstrap, "soak")
            traffic.start()
            try:
                until(daemon.applied, "the first record")
                times, sizes, records, seconds = _watch(daemon, traffic, 60 * minutes)
            finally:
                traffic.ends.set()
                traffic.join(30)
            gaps = daemon.output.count('"coverage_gap"')
    warm = max(WARM, 12 * minutes)
    line = fit(times[times >= warm], sizes[times >= warm])
    after = sizes[times >= warm]
    notes = (
        f"{records:,} records in {seconds / 60:.1f} minutes, {records / seconds:,.0f} records/s beside producer and broker; "
        f"{gaps} gaps; after {warm:.0f} s of warm-up {after.min() / 2**20:.1f} to {after.max() / 2**20:.1f} MiB, "
        f"slope {line.slope / 1024:.1f} ± {line.error / 1024:.1f} KiB per minute"
    )
    return [
        figure(
            f"resident memory over {minutes:g} minutes at full speed", "MiB", statistics.median(after) / 2**20,
            ours_range=[after.min() / 2**20, after.max() / 2**20], notes=notes, device="2 cores",
        ),
        figure(
            "its slope, in standard errors", "standard errors", line.slope / line.error if line.error else 0.0,
            goal="<= 2", notes=notes, device="2 cores",
        ),
    ]  # fmt: skip


def _watch(daemon: Running, traffic: Traffic, seconds: float) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Seconds and bytes of every reading; records, and how long it took."""
    begin, first = time.monotonic(), daemon.applied()
    times, sizes, told = [], [], 0.0
    while (passed := time.monotonic() - begin) < seconds:
        traffic.applied = daemon.applied()
        if daemon.process.poll() is not None:
            raise RuntimeError(f"the daemon ended:\n{daemon.output[-4000:]}")
        if not times or passed - times[-1] >= EVERY:
            times.append(passed)
            sizes.append(daemon.resident())
        if passed - told > 60:
            told = passed
            say(f"  {passed / 60:.0f} min: {sizes[-1] / 2**20:.1f} MiB, {traffic.applied:,} records")
        time.sleep(0.5)
    return np.array(times), np.array(sizes, float), traffic.applied - first, time.monotonic() - begin


def fit(times: np.ndarray, sizes: np.ndarray) -> Line:
    """Least squares through the means of blocks; seconds and bytes."""
    block = (times // BLOCK).astype(int)
    names = np.unique(block)
    if len(names) < 3:
        return Line(0.0, 0.0)
    x = np.array([times[block == name].mean() for name in names]) / 60
    y = np.array([sizes[block == name].mean() for name in names])
    slope, start = np.polyfit(x, y, 1)
    left = y - (start + slope * x)
    spread = float(np.sqrt((left**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum()))
    return Line(float(slope), spread)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    for item in figures(minutes=parser.parse_args().minutes):
        print(f"{item['name']}: {item['ours']:.2f} {item['unit']} - {item['notes']}")


if __name__ == "__main__":
    sys.exit(main())
