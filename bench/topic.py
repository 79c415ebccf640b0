"""A topic of headline records on a real broker, and the daemon that reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from bench.records import MODEL, START, Job, job
from monitor.reference.file import write
from tests.daemon.ask import get, until

PARTITIONS = 4
STEP = 2
"""Milliseconds of event time between two records: 500 records a second of traffic."""
FAST = {
    "linger.ms": 100, "batch.size": 1_000_000, "compression.type": "lz4", "acks": 1,
    "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 400_000,
}  # fmt: skip


def fill(
    bootstrap: str,
    topic: str,
    count: int,
    *,
    first: int = 0,
    distinct: int = 20_000,
    partitions: int = PARTITIONS,
) -> None:
    """Write `count` records, event time and record timestamp rising; the values repeat after `distinct`."""
    values = job(rows=distinct).values
    heads = [value.split(b'"ts":%d' % (START + n), 1) for n, value in enumerate(values)]
    producer = Producer({"bootstrap.servers": bootstrap, **FAST})
    for number in range(first, first + count):
        before, after = heads[number % distinct]
        time = START + STEP * number
        value = b'%s"ts":%d%s' % (before, time, after)
        while True:
            try:
                producer.produce(topic, value, partition=number % partitions, timestamp=time)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker did not take all records within 60 s")


def configure(folder: Path, bootstrap: str, topic: str, *, group: str, work: Job | None = None) -> Path:
    """A configuration with nothing in it that has a default, but the places of state and page."""
    folder.mkdir(parents=True, exist_ok=True)
    work = work or job(rows=20_000)
    write(work.reference, folder / "churn.ref")
    path = folder / "driftline.yaml"
    settings = {
        "version": 1,
        "kafka": {"brokers": [bootstrap], "group": group},
        "sources": {
            "predictions": {
                "topic": topic,
                "fields": {
                    "id": "id", "time": {"path": "ts", "unit": "ms"}, "model": "model", "version": "version",
                },
            }
        },
        "models": {MODEL: {"source": "predictions", "reference": {"file": str(folder / "churn.ref")}}},
        "alerts": {"alertmanager": {"urls": ["http://127.0.0.1:9"], "allow_private": ["127.0.0.0/8"]}},
        "state": {"dir": str(folder / "state")},
        "web": {"listen": "127.0.0.1:0"},
    }  # fmt: skip
    path.write_text(json.dumps(settings, indent=1))
    return path


def share(path: Path, name: str, *, checkpoint: str = "10s", start: str = "earliest") -> Path:
    """Put the state of a configuration into topics, which all that have this `name` share."""
    settings = json.loads(path.read_text())
    settings["kafka"]["group"] = name
    settings["sources"]["predictions"]["start"] = start
    settings["state"] |= {
        "log": "kafka", "checkpoint_every": checkpoint, "kafka": {"prefix": name, "replication": 1},
    }  # fmt: skip
    path.write_text(json.dumps(settings, indent=1))
    return path


class Running:
    """`driftline run` in a process of its own, started."""

    def __init__(self, config: Path) -> None:
        self._log = config.with_name("run.log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", "-c", str(config)], stdout=log, stderr=log
            )
        self.url: str = until(self._url, "the start", seconds=600)

    def applied(self) -> int:
        """Records that were folded so far."""
        return int(self._sample("records_consumed_total"))

    def worked(self) -> float:
        """When a record was last folded, seconds since the epoch."""
        return self._sample("last_record_processed_timestamp_seconds")

    def assigned(self) -> int:
        """Partitions that it reads."""
        return int(self._sample("assigned_partitions"))

    def checkpoints(self) -> int:
        """How many have been made."""
        return int(self._sample("stage_duration_seconds_count", 'stage="checkpoint"'))

    def _sample(self, name: str, labels: str = "") -> float:
        """Of the first series whose labels begin with these; 0 while there is none."""
        lines, begin = get(f"{self.url}/metrics")[1].splitlines(), f"driftline_{name}{{{labels}"
        return next((float(x.rpartition(" ")[2]) for x in lines if x.startswith(begin)), 0.0)

    def cpu(self) -> float:
        return cpu(self.process.pid)

    def resident(self) -> int:
        """Bytes of memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(status[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def _url(self) -> str:
        assert self.process.poll() is None, self.output
        lines = [line for line in self.output.splitlines() if '"started"' in line and line.startswith("{")]
        return json.loads(lines[0])["url"] if lines else ""


@contextmanager
def running(config: Path) -> Iterator[Running]:
    """A daemon that is ended at once when it is done with: nothing it knows is needed."""
    daemon = Running(config)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait(20)


def cpu(pid: int) -> float:
    """Seconds on a processor of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
