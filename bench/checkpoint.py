"""What making counts durable costs: processor time of the daemon with frequent checkpoints, and with none.

    python -m bench.checkpoint [--smoke]

Two daemons count the same topic at the same time, each with its own state in topics of a real Kafka; one makes a checkpoint
each second, the other none. They trade places from round to round. The difference, divided by the number of checkpoints,
is what one costs with everything that belongs to it: sketches packed, compressed, sent and acknowledged, the marker, pruning,
and those who judge by it. At the default interval there is one in ten seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.figure import figure, say
from bench.soak import RETENTION, Load, Traffic
from bench.topic import PARTITIONS, Running, configure, running, share
from tests.daemon.ask import until
from tests.kafka.broker import KafkaBroker, KafkaUnavailable

RATE = 50_000
OFTEN, NEVER = "1s", "1h"
DEFAULT = 10.0
"""Seconds between checkpoints unless a configuration says otherwise."""
SECONDS = 30.0
ROUNDS = 5
ENOUGH = 0.9
"""Of the records that are sent, what both have to count for a round to stand."""
WARM = 12.0
"""Seconds until both are at the end of the topic and have made what is only made once."""


class Cost(NamedTuple):
    """Of one round: processor seconds a second of either daemon, and checkpoints a second of the first."""

    often: float
    never: float
    checkpoints: float

    @property
    def each(self) -> float:
        """Processor seconds of one checkpoint of all partitions."""
        return (self.often - self.never) / self.checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="one short round")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    name, goal = "processor time of checkpoints at the default interval", "<= 3"
    rounds, seconds = (1, 5.0) if smoke else (ROUNDS, SECONDS)
    try:
        with tempfile.TemporaryDirectory() as folder, KafkaBroker(Path(folder) / "kafka") as broker:
            found = measure(broker, Path(folder), rounds=rounds, seconds=seconds)
    except KafkaUnavailable as error:
        return [figure(name, "% of one core", None, missing=str(error), goal=goal)]
    core = [100 * one.each / DEFAULT for one in found]
    own = [100 * one.each / DEFAULT / one.never for one in found]
    each = statistics.median(one.each for one in found)
    notes = (
        f"{RATE:,} records/s of 24 features in {PARTITIONS} partitions, state in topics; {1e3 * each:.1f} ms each, from "
        f"{statistics.median(one.checkpoints for one in found):.2f} a second beside none"
    )
    return [
        figure(name, "% of one core", statistics.median(core), ours_range=core, rounds=rounds, goal=goal,
               device="2 cores with the broker", notes=notes),
        figure("the same, of what the daemon takes without any", "%", statistics.median(own), ours_range=own,
               rounds=rounds, goal=goal, device="2 cores with the broker", notes=notes),
    ]  # fmt: skip


def measure(broker: KafkaBroker, folder: Path, *, rounds: int, seconds: float) -> list[Cost]:
    """Rounds of two daemons beside each other, which are started anew for each."""
    topic = "predictions"
    broker.create_topic(topic, partitions=PARTITIONS, config=RETENTION)
    found = []
    with producing(broker, topic):
        for number in range(rounds):
            names = (OFTEN, NEVER) if number % 2 else (NEVER, OFTEN)
            with ExitStack() as stack:
                daemons = {
                    every: stack.enter_context(running(config(folder, broker, topic, every)))
                    for every in names
                }
                found.append(compare(daemons[OFTEN], daemons[NEVER], seconds))
            say(f"{1e3 * found[-1].each:.1f} ms a checkpoint: {found[-1]}")
    return found


def compare(often: Running, never: Running, seconds: float) -> Cost:
    """Raises RuntimeError where the machine is too busy for either."""
    for daemon in (often, never):
        until(lambda daemon=daemon: daemon.applied() > 0, "the first record", seconds=60)
    time.sleep(WARM)
    begin, before = time.monotonic(), reading(often, never)
    time.sleep(seconds)
    passed = time.monotonic() - begin
    rates = [(late - early) / passed for early, late in zip(before, reading(often, never), strict=True)]
    if min(rates[3:]) < ENOUGH * RATE:
        raise RuntimeError(
            f"counted {min(rates[3:]):,.0f} records/s of {RATE:,} - a machine that is too busy"
        )
    return Cost(*rates[:3])


def reading(often: Running, never: Running) -> tuple[float, ...]:
    """Processor seconds of both, checkpoints of the first, records of both."""
    return often.cpu(), never.cpu(), often.checkpoints(), often.applied(), never.applied()


def config(folder: Path, broker: KafkaBroker, topic: str, every: str) -> Path:
    """Of a daemon that nobody knows yet."""
    name = f"{every}-{uuid.uuid4()}"
    path = configure(folder / name, broker.bootstrap, topic, group=name)
    return share(path, name, checkpoint=every, start="latest")


@contextmanager
def producing(broker: KafkaBroker, topic: str) -> Iterator[None]:
    """Records of this moment at RATE, event time as fast as the clock."""
    traffic = Traffic(broker.bootstrap, topic, Load(pace=1.0, rate=RATE, backlog=math.inf))
    traffic.start()
    try:
        yield
    finally:
        traffic.ends.set()
        traffic.join(30)


if __name__ == "__main__":
    main()
