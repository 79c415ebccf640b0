"""How long partitions stand still while replicas are replaced one by one under load, and which pages that causes.

    python -m bench.rolling [--smoke]

Three replicas share twelve partitions of a real Kafka, and a few records come to each of them ten times a second. In each
round every replica is sent SIGTERM, in an order drawn from the seed, and is started again once it has ended, as a rolling
update does; the next one's turn comes when all have partitions and the group is at rest. Client properties and checkpoints
are the defaults. The gap of a partition is the longest time between two batches that brought it on, whoever counted them;
that of a pod is the longest of all partitions while it is replaced. No record drifts, so that a page could only come of the
restarts; and in the end counts and verdicts must be those of a recount, else there is no figure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from confluent_kafka import Producer

from bench.figure import figure, say
from bench.handover import owned
from bench.machine import seed
from monitor.deliver.receiver import Receiver
from tests.faults.traced import TRACE, TRACED, Counted, by_partition, counted
from tests.kafka.broker import KafkaBroker, KafkaUnavailable
from tests.kafka.lives import differences, undelivered
from tests.kafka.replicas import Replicas
from tests.kafka.rush import Pool
from tests.kafka.traffic import make_reference

REPLICAS = 3
PARTITIONS = 12
ROUNDS = 5
RATE = 5_000
"""Records per second."""
TICK = 0.1
"""Seconds between two portions of records: no gap can be told from it that is shorter."""
WINDOW_ROWS = 500
"""Records of a window in a partition: one closes each second or so, with more rows than those of the reference."""
CALM = 3.0
"""Seconds without a change before each replica's turn."""
PATIENCE = 180.0


class Stream:
    """Writes ordinary records at a steady rate, on a thread of its own."""

    def __init__(self, bootstrap: str, topic: str, pool: Pool) -> None:
        self.records = 0
        self.failure: BaseException | None = None
        self._topic, self._pool = topic, pool
        self._client = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, once all is written."""
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise RuntimeError("the stream ended") from self.failure

    def _run(self) -> None:
        share = round(RATE * TICK / PARTITIONS)
        places = [(number, self._records(number)) for number in range(PARTITIONS)]
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                for number, records in places:
                    for value, at in itertools.islice(records, share):
                        self._client.produce(self._topic, value, partition=number, timestamp=at)
                        self.records += 1
                self._client.poll(0)
                due = max(due + TICK, time.monotonic() - 1.0)
                self._stop.wait(max(due - time.monotonic(), 0.0))
            if self._client.flush(60):
                raise RuntimeError("the broker did not take all records")
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failure = error

    def _records(self, partition: int) -> Iterator[tuple[bytes, int]]:
        for window in itertools.count():
            yield from self._pool.records_of(window, partition, WINDOW_ROWS, drifting=False)


def rest(replicas: Replicas) -> None:
    """Until all have partitions, none has two owners, and none has had another for a while."""
    deadline, before, since = time.time() + PATIENCE, None, time.time()
    while time.time() < deadline:
        now = [owned(replicas, number) for number in range(REPLICAS)]
        if now != before:
            before, since = now, time.time()
        whole = len(set().union(*now)) == sum(map(len, now)) == PARTITIONS
        if all(now) and whole and time.time() - since > CALM:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the group did not come to rest within {PATIENCE:g} s: {before}")


def gaps(batches: list[Counted], *, since: float) -> dict[int, float]:
    """Partition → the longest time from then on between two batches that brought it on; the one before then counts."""
    found = {}
    for partition, those in by_partition(batches).items():
        reached, times = -1, []
        for one in those:
            if one.last > reached:
                reached = one.last
                times.append(one.at)
        spans = [after - before for before, after in pairwise(times) if after >= since]
        found[partition] = max(spans, default=0.0)
    return found


def replace(replicas: Replicas, number: int) -> tuple[float, dict[int, float]]:
    """Replace one; how long it took to end, and the gap of each partition meanwhile."""
    trace, begin = replicas.folder / "trace", time.time()
    replicas.signal(number, signal.SIGTERM)
    status = replicas.await_end(number)
    if status:
        raise RuntimeError(f"replica {number} ended with {status}")
    took = time.time() - begin
    replicas.start(number)
    rest(replicas)
    end = time.time()
    replicas.await_all(lambda: len(by_partition(counted(trace, since=end))) == PARTITIONS)
    return took, gaps(counted(trace, since=begin - 10), since=begin)


def roll(folder: Path, *, rounds: int) -> tuple[list[dict[int, float]], list[float], int, int, int]:
    """Of each pod's replacement: the gaps, and the seconds to its end; then pages, windows and records of all."""
    topic, pool, rng = f"rolling-{time.time_ns()}", Pool(), random.Random(seed())
    reference = make_reference()
    with KafkaBroker(folder / "kafka") as broker, Receiver() as receiver:
        broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        replicas = Replicas(
            folder / "replicas", bootstrap=broker.bootstrap, topic=topic, reference=reference, receiver=receiver,
            partitions=PARTITIONS, properties="{}", checkpoint="10s", module=TRACED,
            environment={TRACE: str(folder / "replicas" / "trace")},
        )  # fmt: skip
        stream = Stream(broker.bootstrap, topic, pool)
        found: list[tuple[float, dict[int, float]]] = []
        try:
            for number in range(REPLICAS):
                replicas.start(number)
            rest(replicas)
            for turn in range(rounds):
                for number in rng.sample(range(REPLICAS), REPLICAS):
                    found.append(replace(replicas, number))
                    say(
                        f"  round {turn + 1}, pod {number}: {max(found[-1][1].values()):.2f} s, ended in {found[-1][0]:.2f}"
                    )
            stream.close()
            truth = pool.recount(broker.bootstrap, topic, reference, partitions=PARTITIONS)
            with replicas.look() as look:
                replicas.await_all(lambda: look.has_finished(truth.ends, receiver))
                for number in replicas.running:
                    replicas.signal(number, signal.SIGTERM)
                for number in replicas.running:
                    replicas.await_end(number)
                left = look.found(replicas.output)
        finally:
            replicas.close()
        if wrong := differences(left, truth) + undelivered(left, receiver):
            raise RuntimeError(f"what is left is not that of the log: {wrong[:3]}")
    pages = sum(action == "trigger" for _, action in left.pages)
    return (
        [spans for _, spans in found],
        [took for took, _ in found],
        pages,
        len(left.verdicts),
        stream.records,
    )


def figures(*, smoke: bool) -> list[dict]:
    names = (
        "longest gap of a pod that is replaced",
        "gap of one partition",
        "from SIGTERM to the end",
        "pages",
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            spans, ends, pages, windows, records = roll(Path(folder), rounds=1 if smoke else ROUNDS)
    except KafkaUnavailable as error:
        return [figure(name, "s", None, missing=str(error)) for name in names]
    pods = [max(found.values()) for found in spans]
    each = [span for found in spans for span in found.values()]
    common = {"rounds": len(spans), "device": f"{os.cpu_count()} cores with the broker and whoever writes"}
    notes = (
        f"{REPLICAS} replicas, {PARTITIONS} partitions, {RATE:,} records/s, a portion each {TICK:g} s; default client "
        f"properties and checkpoints; {records:,} records, {windows} windows, counts and verdicts as recounted"
    )
    return [
        figure(
            f"{names[0]}, the worst", "s", max(pods), ours_range=pods, goal="<= 10", notes=notes, **common
        ),
        figure(
            f"{names[0]}, the median", "s", statistics.median(pods), ours_range=pods, notes=notes, **common
        ),
        figure(names[1], "s", statistics.median(each), ours_range=each, notes=notes, **common),
        figure(names[2], "s", statistics.median(ends), ours_range=ends, notes=notes, **common),
        figure(names[3], "pages", pages, goal="<= 0", notes=notes, **common),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="one round")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


if __name__ == "__main__":
    main()
