"""Replicas on a real Kafka, disturbed at a moment that is known to be reached: rows 5 and 8."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager

import pytest

from monitor.deliver.receiver import Receiver
from tests.daemon.ask import until
from tests.faults.world import BRISK
from tests.kafka.lives import differences, undelivered
from tests.kafka.replicas import Replicas
from tests.kafka.traffic import make_reference, produce, recount

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PARTITIONS = 4
ROWS = 150


class Moments:
    """Replicas whose recovery goes no further while a file is there."""

    def __init__(self, replicas, topic, bootstrap, hold):
        self.replicas, self.topic, self.bootstrap = replicas, topic, bootstrap
        self.hold = hold
        self.windows = 0

    def produce(self, count):
        windows = range(self.windows, self.windows + count)
        produce(self.bootstrap, self.topic, windows, partitions=PARTITIONS, rows=ROWS)
        self.windows += count

    def count(self, number, event):
        log = self.replicas.folder / f"replica-{number}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return sum(f'"event": "{event}"' in line for line in lines)

    def await_event(self, number, event, more=1):
        """What is waited for is yet to come: call it before it is caused, and the result after."""
        goal = self.count(number, event) + more
        return lambda: until(
            lambda: self.count(number, event) >= goal, f"{event} of replica {number}", seconds=90
        )

    def held(self, number):
        """Recoveries that this process has come to."""
        reached = self.hold.with_suffix(".reached")
        lines = reached.read_text().splitlines() if reached.exists() else []
        return sum(line.startswith(f"{self.replicas._processes[number].pid} ") for line in lines)

    def await_held(self, number):
        until(lambda: self.held(number), f"replica {number} to be in a recovery", seconds=90)

    def end(self, number, kind):
        self.replicas.signal(number, kind)
        return self.replicas.await_end(number)


@contextmanager
def world(kafka, folder):
    topic = f"moments-{time.time_ns()}"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    reference, hold = make_reference(), folder / "hold"
    with Receiver() as receiver:
        replicas = Replicas(
            folder, bootstrap=kafka.bootstrap, topic=topic, reference=reference, receiver=receiver,
            partitions=PARTITIONS, module=BRISK, environment={"DRIFTLINE_HOLD": str(hold)},
        )  # fmt: skip
        moments = Moments(replicas, topic, kafka.bootstrap, hold)
        try:
            yield moments
            truth = recount(kafka.bootstrap, topic, reference, partitions=PARTITIONS)
            with replicas.look() as look:
                replicas.await_all(lambda: look.has_finished(truth.ends, receiver))
                assert {moments.end(number, signal.SIGTERM) for number in list(replicas.running)} == {0}
                found = look.found(replicas.output)
        finally:
            replicas.close()
        assert differences(found, truth) + undelivered(found, receiver) == []
        for event in ("loop_failed", "partition_refused", "state_damaged"):
            assert f'"{event}"' not in replicas.output


@pytest.mark.kafka
def test_row_08_partitions_move_in_the_middle_of_their_recovery(kafka, tmp_path):
    """A replica that is in the middle of recovering four partitions gives two of them to another, which is killed in
    the middle of recovering these: they come back. What was read for an assignment that is over counts for nothing."""
    with world(kafka, tmp_path / "w") as moments:
        moments.produce(5)
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        with moments.replicas.look() as look:
            until(lambda: look.applied() > 0, "a checkpoint", seconds=60)
        moments.end(0, signal.SIGKILL)
        moments.hold.touch()
        moments.replicas.start(0)
        moments.await_held(0)
        released, back = moments.await_event(0, "partitions_released"), moments.held(0)
        moments.replicas.start(1)
        released()
        moments.await_held(1)
        again = moments.await_event(0, "partitions_assigned")
        moments.end(1, signal.SIGKILL)
        again()
        moments.produce(5)
        moments.hold.unlink()
        until(lambda: moments.held(0) > back, "the recovery of what came back", seconds=60)


@pytest.mark.kafka
def test_row_05_ended_while_a_recovery_is_under_way(kafka, tmp_path):
    """SIGTERM at that very moment: it ends with 0 and soon, and who comes next counts exactly."""
    with world(kafka, tmp_path / "w") as moments:
        moments.produce(5)
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        moments.end(0, signal.SIGTERM)
        moments.hold.touch()
        moments.replicas.start(0)
        moments.await_held(0)
        moments.produce(3)
        begin = time.monotonic()
        assert moments.end(0, signal.SIGTERM) == 0
        assert time.monotonic() - begin < 30
        moments.hold.unlink()
        moments.replicas.start(0)
