"""How long partitions are without an owner when a replica is asked to end, and when it is killed.

    python -m bench.handover --rounds 5

Two replicas share twelve partitions of a topic to which records come at a steady rate. One of them is sent
SIGTERM, or SIGKILL, and the time until every partition it had is recovered by the other is measured, from
the moment of the signal.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bench.chaos import Load
from monitor.deliver.receiver import Receiver
from tests.kafka.broker import KafkaBroker
from tests.kafka.replicas import SESSION, Replicas
from tests.kafka.traffic import make_reference

PARTITIONS = 12
CALM = 5.0
"""Seconds without a change before each signal: the group is whole, and both have checkpoints."""
PATIENCE = 60.0


def events(replicas: Replicas, number: int) -> Iterator[tuple[float, dict[str, object]]]:
    """(wall time, line) of what a replica logged."""
    log = replicas.folder / f"replica-{number}.log"
    for line in log.read_text(errors="replace").splitlines():
        try:
            body = json.loads(line)
            yield datetime.fromisoformat(body["ts"]).timestamp(), body
        except (ValueError, KeyError):
            continue


def owned(replicas: Replicas, number: int) -> set[str]:
    """The partitions that a replica was given, and has not released since."""
    held: set[str] = set()
    for _, body in events(replicas, number):
        if body["event"] == "partitions_assigned":
            held |= set(body["sources"])  # type: ignore[arg-type]
        elif body["event"] == "kernels_warm":
            held.clear()  # it was started anew
        elif body["event"] == "partitions_released":
            held -= set(body["sources"])  # type: ignore[arg-type]
    return held


def rest(replicas: Replicas) -> None:
    """Until both have partitions, none has two owners, and neither has had another for a while.

    Of one that was killed the log says that it has what it had, until it has started anew.
    """
    deadline, before, since = time.time() + PATIENCE, None, time.time()
    while time.time() < deadline:
        now = [owned(replicas, number) for number in (0, 1)]
        if now != before:
            before, since = now, time.time()
        whole = len(now[0] | now[1]) == len(now[0]) + len(now[1]) == PARTITIONS
        if all(now) and whole and time.time() - since > CALM:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the group did not come to rest within {PATIENCE:g} s: {before}")


def take(replicas: Replicas, victim: int, heir: int, kind: signal.Signals) -> float:
    """Seconds from the signal until the heir has recovered all that the victim had."""
    lost, begin = owned(replicas, victim), time.time()
    if not lost:
        raise RuntimeError(f"replica {victim} owns nothing")
    replicas.signal(victim, kind)
    deadline = begin + PATIENCE
    while time.time() < deadline:
        got = {
            str(body["source"]): at
            for at, body in events(replicas, heir)
            if body["event"] == "partition_recovered" and at >= begin
        }
        if lost <= got.keys():
            replicas.await_end(victim)
            return max(got[source] for source in lost) - begin
        time.sleep(0.1)
    raise RuntimeError(f"{lost - got.keys()} were not taken over within {PATIENCE:g} s")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=5_000)
    options = parser.parse_args()
    found: dict[str, list[float]] = {"SIGTERM": [], "SIGKILL": []}
    with tempfile.TemporaryDirectory() as temporary, KafkaBroker(Path(temporary) / "kafka") as broker:
        topic = f"handover-{time.time_ns()}"
        broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        with Receiver() as receiver:
            replicas = Replicas(
                Path(temporary) / "replicas", bootstrap=broker.bootstrap, topic=topic,
                reference=make_reference(), receiver=receiver, partitions=PARTITIONS,
            )  # fmt: skip
            load = Load(broker.bootstrap, topic, rate=options.rate)
            try:
                for number in (0, 1):
                    replicas.start(number)
                rest(replicas)
                for turn in range(options.rounds):
                    for name, times in found.items():
                        victim = random.Random(turn).choice((0, 1))
                        seconds = take(replicas, victim, 1 - victim, signal.Signals[name])
                        times.append(seconds)
                        sys.stdout.write(f"{name}: {seconds:.2f} s\n")
                        replicas.start(victim)
                        rest(replicas)
            finally:
                load.close()
                replicas.close()
    for name, times in found.items():
        limit = "5" if name == "SIGTERM" else f"session timeout {SESSION:g} + 5"
        sys.stdout.write(
            f"{name}: median {statistics.median(times):.2f} s, longest {max(times):.2f} s (goal: < {limit} s)\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
