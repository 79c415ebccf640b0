"""Replicas on a real Kafka that are held at a moment, so that what disturbs them comes at that moment."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager

from monitor.clock import SystemClock
from monitor.deliver.receiver import Receiver
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.recover import describe
from tests.daemon.ask import get, until
from tests.faults.hold import HOLD, MOMENT
from tests.faults.world import BRISK
from tests.kafka.lives import differences, undelivered
from tests.kafka.replicas import Replicas
from tests.kafka.traffic import make_reference, produce, recount

PARTITIONS = 4
ROWS = 150


class Moments:
    """Replicas that go no further than the moment while a file is there (`hold.py`)."""

    def __init__(self, replicas, topic, bootstrap, hold):
        self.replicas, self.topic, self.bootstrap = replicas, topic, bootstrap
        self.hold = hold
        self.windows = 0

    @property
    def state(self):
        """The topic of the checkpoints."""
        return topics_of(self.replicas.prefix).state

    def produce(self, count):
        windows = range(self.windows, self.windows + count)
        produce(self.bootstrap, self.topic, windows, partitions=PARTITIONS, rows=ROWS)
        self.windows += count

    def lines(self, number, event):
        """What a replica has logged of an event, over all its lives."""
        log = self.replicas.folder / f"replica-{number}.log"
        whole = log.read_text(errors="replace").rpartition("\n")[0] if log.exists() else ""
        found = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def await_event(self, number, event, more=1):
        """What is waited for is yet to come: call it before it is caused, and the result after."""
        goal = len(self.lines(number, event)) + more
        return lambda: until(
            lambda: len(self.lines(number, event)) >= goal, f"{event} of replica {number}", seconds=90
        )

    def held(self, number):
        """What came by the moment in this process."""
        reached = self.hold.with_suffix(".reached")
        lines = reached.read_text().rpartition("\n")[0].splitlines() if reached.exists() else []
        mine = f"{self.replicas._processes[number].pid} "
        return [line.removeprefix(mine) for line in lines if line.startswith(mine)]

    def await_held(self, number, passes=0):
        until(lambda: len(self.held(number)) > passes, f"replica {number} to be at the moment", seconds=90)

    @contextmanager
    def logs(self):
        """The topics of the state, as one who takes no part reads and writes them."""
        broker = Broker({"bootstrap.servers": self.bootstrap}, clock=SystemClock())
        try:
            yield broker
        finally:
            broker.close()

    def void(self):
        """Why checkpoints of which there is a marker cannot be used; empty where all are whole."""
        with self.logs() as logs:
            found = describe(logs, self.state).values()
        return [one.why for held in found for one in held.writers if one.marker is not None and one.why]

    def is_stopping(self, number):
        url = self.lines(number, "started")[-1]["url"]
        return "stopping" in get(f"{url}/-/ready")[1]

    def end(self, number, kind):
        self.replicas.signal(number, kind)
        return self.replicas.await_end(number)


@contextmanager
def world(kafka, folder, *, at="recovery"):
    """One of `hold.MOMENTS`. In the end all is counted, judged and delivered, once and exactly."""
    topic = f"moments-{time.time_ns()}"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    reference, hold = make_reference(), folder / "hold"
    with Receiver() as receiver:
        replicas = Replicas(
            folder, bootstrap=kafka.bootstrap, topic=topic, reference=reference, receiver=receiver,
            partitions=PARTITIONS, module=BRISK, environment={HOLD: str(hold), MOMENT: at},
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
