"""Memory of the daemon in the long run, while records come faster than it can take them.

    python -m bench.soak [--minutes 30] [--pace 400] [--rate 0]

First the history is filled: a daemon judges a few windows and ends, verdicts like its last are put before them in the
state log, as many as are ever kept, and a daemon that finds them there is measured. So everything that is bounded has
reached its bound, and what grows then grows without end.

A producer keeps BACKLOG records waiting for the daemon on a broker of this machine, so that it always works as fast as
it can, or makes `--rate` of them a second; old records are deleted behind it. Event time runs `--pace` times as fast as
the clock on the wall: at 400 windows of an hour close every nine seconds, 200 in half an hour. After a warm-up, a
fifth of the time and WARM seconds at least, though no more than half of the time, a line is fitted to the means over BLOCK seconds of resident memory, and of
each kind of it: neighbouring readings hang together, and a line through all of them would look surer than it is.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Producer

from bench.figure import figure, say
from bench.records import MODEL, START, job
from bench.resident import KINDS, resident
from bench.topic import FAST, PARTITIONS, Running, configure, running
from monitor.clock import SystemClock
from monitor.heap import TRIM_EVERY
from monitor.history import DETAILED, HISTORY, verdict_entry
from monitor.judge.kept import Kept
from monitor.judge.record import from_json
from monitor.state.local import LocalLog
from monitor.verdict import Verdict
from tests.daemon.ask import get, until
from tests.kafka.broker import KafkaBroker

BACKLOG = 400_000
"""Records that wait: a second of work or more."""
EVERY = 2.0
BLOCK = TRIM_EVERY
"""Free memory is given back this often, and comes again: a shorter mean would show that."""
DISTINCT = 20_000
PACE = 400.0
WARM = 330.0
"""Seconds: 36 hours of event time at PACE, where a window of an hour and those before it need three; until
each thread has had its bursts it takes five minutes."""
SHORTEST = 6.0
"""Minutes that a line can be fitted to: half of them are four blocks, the first or last of which is a part of one."""
FILLERS = 3
"""Windows that are judged before the history is filled up with their like."""
RETENTION = {"retention.bytes": "268435456", "segment.bytes": "33554432", "retention.ms": "-1"}


class Line(NamedTuple):
    """A straight line: bytes per minute, and their standard error."""

    slope: float
    error: float


class Load(NamedTuple):
    """`pace`: event time to wall time; `rate`: records a second, 0 for as many as the daemon takes;
    `backlog`: records that may wait for it."""

    pace: float = PACE
    rate: float = 0.0
    backlog: float = BACKLOG


class Readings(NamedTuple):
    """Seconds, resident bytes in all and by kind; then records, seconds and windows of the whole watch."""

    times: np.ndarray
    sizes: np.ndarray
    kinds: np.ndarray
    """float64[readings, KINDS]"""
    records: int
    seconds: float
    windows: int


class Traffic(threading.Thread):
    """Produces records of this moment whenever fewer wait than may."""

    def __init__(self, bootstrap: str, topic: str, load: Load, *, start: int = START) -> None:
        super().__init__(name="traffic", daemon=True)
        self.sent = 0
        self.applied = 0
        """As the daemon says; kept up to date by whoever asks it."""
        self.reached = start
        """Event time so far."""
        self.ends = threading.Event()
        self._topic = topic
        self._load = load
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, **FAST})
        self._heads = [
            value.split(b'"ts":%d' % (START + n), 1) for n, value in enumerate(job(rows=DISTINCT).values)
        ]

    def run(self) -> None:
        begin, start = time.monotonic(), self.reached
        while not self.ends.is_set():
            passed = time.monotonic() - begin
            if self.sent - self.applied > self._load.backlog or (
                self._load.rate and self.sent > self._load.rate * passed
            ):
                self._producer.poll(0.02)
                continue
            now = start + round(1000 * self._load.pace * passed)
            step = (now - self.reached) / len(self._heads)
            for n, (before, after) in enumerate(self._heads):
                event = self.reached + int(n * step)
                self._send(b'%s"ts":%d%s' % (before, event, after), n % PARTITIONS, event)
            self.sent += len(self._heads)
            self.reached = now
        self._producer.flush(60)

    def _send(self, value: bytes, partition: int, event: int) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, partition=partition, timestamp=event)
                return
            except BufferError:
                self._producer.poll(0.05)


def figures(*, smoke: bool = False, minutes: float = 30.0, load: Load | None = None) -> list[dict[str, Any]]:
    """The slope of the daemon's resident memory."""
    minutes, load = 7.0 if smoke else minutes, load or Load()
    if minutes < SHORTEST:
        raise ValueError(f"{minutes:g} minutes - a soak - at least {SHORTEST:g}, or no line can be fitted")
    with tempfile.TemporaryDirectory() as temporary, KafkaBroker(Path(temporary) / "kafka") as broker:
        broker.create_topic("soak", partitions=PARTITIONS, config=RETENTION)
        config = configure(Path(temporary) / "daemon", broker.bootstrap, "soak", group=f"soak-{uuid.uuid4()}")
        reached = _fill(config, broker.bootstrap, load)
        with running(config) as daemon, _explained(daemon):
            traffic = Traffic(broker.bootstrap, "soak", load, start=reached)
            traffic.start()
            try:
                until(daemon.applied, "the first record")
                readings = _watch(daemon, traffic, 60 * minutes)
            finally:
                traffic.ends.set()
                traffic.join(30)
            gaps = daemon.output.count('"coverage_gap"')
    return _figures(readings, minutes, f"{gaps} gaps; event time {load.pace:g} times as fast as the clock")


def _fill(config: Path, bootstrap: str, load: Load) -> int:
    """Judge a few windows, end, and complete the history with their like; the event time that was reached."""
    with running(config) as daemon, _explained(daemon):
        traffic = Traffic(bootstrap, "soak", load._replace(pace=max(load.pace, PACE)))
        traffic.start()
        try:
            while _told(daemon)["windows"] < FILLERS:
                traffic.applied = daemon.applied()
                time.sleep(0.5)
        finally:
            traffic.ends.set()
            traffic.join(90)
        until(lambda: daemon.applied() >= traffic.sent, "all records to be counted")
        daemon.process.terminate()
        daemon.process.wait(60)
    say(f"  history filled with {complete(config.parent / 'state')} verdicts")
    return traffic.reached


def complete(folder: Path) -> int:
    """Put verdicts like the newest before the oldest of a state log until there are HISTORY of them, the
    newest DETAILED whole, as a daemon leaves them. How many there are then, of all window names."""
    log, total = LocalLog(folder, clock=SystemClock()), 0
    try:
        known = log.ledger(MODEL, kinds=("verdict",)).of("verdict")
        verdicts = sorted(map(from_json, known.values()), key=lambda verdict: verdict.end)
        for name in {verdict.window for verdict in verdicts}:
            own = [verdict for verdict in verdicts if verdict.window == name]
            log.append(MODEL, [verdict_entry(one) for one in _before(own)])
            total += HISTORY
    finally:
        log.close()
    return total


def _before(own: list[Verdict]) -> Iterator[Verdict]:
    newest, oldest = own[-1], own[0]
    for k in range(1, HISTORY - len(own) + 1):
        shift = oldest.end - newest.end - k * (newest.end - newest.start)
        one = replace(newest, start=newest.start + shift, end=newest.end + shift)
        yield one if len(own) + k <= DETAILED else Kept.of(one).bare().verdict()


@contextmanager
def _explained(daemon: Running) -> Iterator[None]:
    """When a daemon does not answer: how it ended, if it did, and what it said last."""
    try:
        yield
    except OSError as error:
        with suppress(subprocess.TimeoutExpired):
            daemon.process.wait(10)
        code = daemon.process.returncode
        raise RuntimeError(f"the daemon does not answer, exit {code}:\n{daemon.output[-4000:]}") from error


def _told(daemon: Running) -> dict[str, int]:
    """What the daemon says of its memory, and how many windows it has judged."""
    found = {"windows": 0}
    for line in get(f"{daemon.url}/metrics")[1].splitlines():
        series, _, value = line.rpartition(" ")
        if series.startswith("driftline_windows_closed_total{"):
            found["windows"] += int(float(value))
        elif series.startswith('driftline_heap_bytes{kind="'):
            found[series.split('"')[1]] = int(float(value))
        elif series == "driftline_sqlite_bytes":
            found["sqlite"] = int(float(value))
    return found


def _watch(daemon: Running, traffic: Traffic, seconds: float) -> Readings:
    begin, first = time.monotonic(), daemon.applied()
    times, kinds, told, spoke = [], [], _told(daemon), 0.0
    windows = told["windows"]
    while (passed := time.monotonic() - begin) < seconds:
        traffic.applied = daemon.applied()
        if not times or passed - times[-1] >= EVERY:
            told = _told(daemon)
            times.append(passed)
            kinds.append(resident(daemon.process.pid, told))
        if passed - spoke > 60:
            spoke = passed
            say(
                f"  {passed / 60:.0f} min: {_in_words(kinds[-1])}, {traffic.applied:,} records, {told['windows']} windows"
            )
        time.sleep(0.5)
    table = np.array([[one[kind] for kind in KINDS] for one in kinds], float)
    whole = table[:, : KINDS.index("sqlite")].sum(axis=1)
    return Readings(
        np.array(times),
        whole,
        table,
        traffic.applied - first,
        time.monotonic() - begin,
        told["windows"] - windows,
    )


def _in_words(kinds: Mapping[str, int]) -> str:
    total = sum(size for kind, size in kinds.items() if kind != "sqlite")
    parts = ", ".join(f"{kind} {size / 2**20:.1f}" for kind, size in kinds.items())
    return f"{total / 2**20:.1f} MiB ({parts})"


def _figures(readings: Readings, minutes: float, how: str) -> list[dict[str, Any]]:
    warm = min(max(WARM, 12 * minutes), 30 * minutes)
    late = readings.times >= warm
    times, after = readings.times[late], readings.sizes[late]
    line = fit(times, after)
    lines = {kind: fit(times, readings.kinds[late, k]) for k, kind in enumerate(KINDS)}
    grew = ", ".join(
        f"{kind} {one.slope / 1024:+.1f} ± {one.error / 1024:.1f}" for kind, one in lines.items()
    )
    notes = (
        f"{readings.records:,} records and {readings.windows} windows in {readings.seconds / 60:.1f} minutes, "
        f"{readings.records / readings.seconds:,.0f} records/s beside producer and broker; {how}; history filled "
        f"before; after {warm:.0f} s of warm-up {after.min() / 2**20:.1f} to {after.max() / 2**20:.1f} MiB, "
        f"slope {line.slope / 1024:+.1f} ± {line.error / 1024:.1f} KiB per minute: {grew}"
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


def fit(times: np.ndarray, sizes: np.ndarray) -> Line:
    """Least squares through the means of blocks; seconds and bytes. Raises ValueError for fewer than three
    blocks: a line through them would have no error, and look sure."""
    block = (times // BLOCK).astype(int)
    names = np.unique(block)
    if len(names) < 3:
        raise ValueError(f"{len(names)} blocks of {BLOCK:g} s - a line - at least 3")
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
    parser.add_argument("--pace", type=float, default=PACE, help="event time to wall time")
    parser.add_argument("--rate", type=float, default=0.0, help="records a second; 0: as many as it takes")
    options = parser.parse_args()
    if options.minutes < SHORTEST:
        parser.error(f"--minutes {options.minutes:g} - at least {SHORTEST:g}, or no line can be fitted")
    for item in figures(minutes=options.minutes, load=Load(options.pace, options.rate)):
        print(f"{item['name']}: {item['ours']:.2f} {item['unit']} - {item['notes']}")


if __name__ == "__main__":
    sys.exit(main())
