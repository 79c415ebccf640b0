"""Throughput of two replicas beside one, on the same topic.

    python -m bench.replicas [--smoke]

Replicas share twelve partitions of a real Kafka. They are put to sleep once each has its partitions, records are written, and
the time is taken that they need from a tenth of these to nine tenths, all together. Once with all of the machine, where the
broker and one replica, which uses two threads, are enough to fill two cores; and once with a part of a core for each
replica, as pods have limits, so that there are free cores whatever the machine is.

A record costs two replicas what it costs one, and the broker too (1.9 beside 1.8 CPU-seconds a million, 0.41 both times, at
two cores that others used as well): where cores are full no more is to be had from a second one, and no less.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.figure import figure, say
from bench.topic import Running, configure, fill, running, share
from tests.daemon.ask import get, until
from tests.kafka.broker import KafkaBroker, KafkaUnavailable

PARTITIONS = 12
RECORDS = 2_000_000
ROUNDS = 5
LIMIT = 0.25
"""Of a core, for each replica: two of them and the broker leave one and more free."""
GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
PERIOD = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few records, one round")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    found = []
    for name, limit in (("all cores, broker included", 0.0), (f"{LIMIT:g} of a core for each", LIMIT)):
        title = f"two replicas, {name}"
        try:
            found.append(
                compared(title, limit, rounds=1 if smoke else ROUNDS, records=RECORDS // (5 if smoke else 1))
            )
        except (KafkaUnavailable, PermissionError) as error:
            found.append(figure(title, "records/s", None, missing=str(error)))
    return found


def compared(title: str, limit: float, *, rounds: int, records: int) -> dict:
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder, KafkaBroker(Path(folder) / "kafka") as broker:
        for number in range(rounds):
            for count in (1, 2) if number % 2 else (2, 1):
                rates[count].append(
                    rate(broker, Path(folder) / f"{number}-{count}", count, limit, records=records)
                )
                say(f"{title}, {count} of them: {rates[count][-1]:,.0f} records/s")
    ratios = [two / one for two, one in zip(rates[2], rates[1], strict=True)]
    return figure(
        title, "records/s", statistics.median(rates[2]), peer=statistics.median(rates[1]), against="one replica",
        ours_range=rates[2], peer_range=rates[1], ratio=statistics.median(ratios), ratio_range=ratios, rounds=rounds,
        goal=">= 1.8" if limit else "", device=f"{os.cpu_count()} cores with the broker",
        notes=f"24 features, {PARTITIONS} partitions, state in topics, checkpoints every 10 s; {records:,} records",
    )  # fmt: skip


def rate(broker: KafkaBroker, folder: Path, count: int, limit: float, *, records: int) -> float:
    """Records a second of all replicas together."""
    name = f"replicas-{uuid.uuid4()}"
    broker.create_topic(name, partitions=PARTITIONS, config={"retention.ms": "-1"})
    configs = [configure(folder / str(n), broker.bootstrap, name, group=name) for n in range(count)]
    with ExitStack() as stack:
        replicas = [stack.enter_context(running(share(path, name))) for path in configs]
        for one in replicas:
            until(lambda one=one: one.assigned() == PARTITIONS // count, "its partitions", seconds=120)
        # One that is put to sleep before has a question on its way, where a partition begins. The answer comes too late,
        # so it asks no other for five seconds: twice as long as all there is to be read takes on two cores.
        until(
            lambda: all(opened(one.url) == PARTITIONS for one in replicas), "them to be opened", seconds=120
        )
        for one in replicas:
            one.process.send_signal(signal.SIGSTOP)
        fill(broker.bootstrap, name, records, partitions=PARTITIONS)
        stack.enter_context(limited(replicas, limit))
        for one in replicas:
            one.process.send_signal(signal.SIGCONT)
        begin = reached(replicas, records // 10)
        return (0.9 - 0.1) * records / (reached(replicas, records * 9 // 10) - begin)


def opened(url: str) -> int:
    """Partitions of which it is known where they begin, whoever reads them."""
    return len(json.loads(get(f"{url}/api/v1/partitions")[1])["data"])


def reached(replicas: list[Running], records: int) -> float:
    """When as many were counted."""
    until(lambda: sum(one.applied() for one in replicas) >= records, f"{records:,} records", seconds=300)
    return time.monotonic()


@contextmanager
def limited(replicas: list[Running], limit: float) -> Iterator[None]:
    """As much of a core as a pod's limit leaves each; 0: all there is. Raises PermissionError."""
    if not limit:
        yield
        return
    root = next((path for path in GROUPS if (path / "cgroup.procs").is_file()), GROUPS[0])
    groups: list[Path] = []
    try:
        for one in replicas:
            _confine(one.process.pid, root, limit, groups)
        yield
    finally:
        for one in replicas:  # a group is removed once nobody is in it
            one.process.kill()
            one.process.wait(20)
        for group in groups:
            group.rmdir()


def _confine(pid: int, root: Path, limit: float, groups: list[Path]) -> None:
    """Put a process into a group of its own, which is added to `groups`. Raises PermissionError."""
    group, quota = root / f"driftline-{pid}", round(limit * PERIOD)
    try:
        group.mkdir()
        groups.append(group)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise PermissionError(
            f"no limit can be set - {root} - as root, with the cpu controller: {error}"
        ) from error


if __name__ == "__main__":
    main()
