"""Replicas on a real Kafka, disturbed one way after the other under load: rows 1 to 5 and 7.

One cluster lives through all of it, as one would; each row looks at its part, and at what is left in the end.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from confluent_kafka import Consumer

from monitor.deliver.receiver import Receiver
from tests.daemon.ask import until
from tests.faults.traced import TRACE, TRACED, Counted, advances, counted, handovers, longest
from tests.kafka.lives import differences, undelivered
from tests.kafka.replicas import SESSION, Replicas
from tests.kafka.traffic import make_reference, produce, recount

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 4
ROWS = 150
"""Per window and partition."""
CHECKPOINT = "5s"
"""Some batches are counted in that time: one that is not made durable at the end would be read again with others."""
JOINS = 16
"""Members that come and go, one every three seconds."""


@dataclass
class Story:
    """What was seen on the way."""

    statuses: dict[str, list[int]] = field(default_factory=dict)
    """What was done → exit statuses."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """What was waited for → how long it took."""
    watched: dict[str, list[tuple[float, list[Counted]]]] = field(default_factory=dict)
    """What was done → since when, and what was read from then until each partition was read on after it."""
    joined: list[float] = field(default_factory=list)
    """When each member of the storm came."""
    taken: int = 0
    """Times that one of them was given partitions."""
    wrong: list[str] = field(default_factory=list)
    lines: list[dict] = field(default_factory=list)


class Traffic:
    """Writes a window every second, until it is closed."""

    def __init__(self, bootstrap, topic):
        self.windows = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(bootstrap, topic), daemon=True)
        self._thread.start()

    def _run(self, bootstrap, topic):
        while not self._stop.wait(1.0):
            window = range(self.windows, self.windows + 1)
            produce(bootstrap, topic, window, partitions=PARTITIONS, rows=ROWS)
            self.windows += 1

    def close(self):
        self._stop.set()
        self._thread.join()


class Disturbed:
    """The cluster and what is done to it."""

    def __init__(self, replicas, topic, bootstrap):
        self.story = Story()
        self.replicas = replicas
        self._topic, self._bootstrap = topic, bootstrap

    @property
    def trace(self):
        return self.replicas.folder / "trace"

    @contextmanager
    def watched(self, what):
        """Until all partitions are read on, whoever has them then."""
        begin = time.time()
        yield
        end = time.time()
        until(
            lambda: len({one.partition for one in counted(self.trace, since=end)}) == PARTITIONS,
            f"all partitions to be read on after the {what}",
        )
        self.story.watched.setdefault(what, []).append((begin, counted(self.trace, since=begin)))

    def lines(self, number):
        """What a replica has logged, over all its lives."""
        log = self.replicas.folder / f"replica-{number}.log"
        whole = log.read_text(errors="replace").rpartition("\n")[0] if log.exists() else ""
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def count(self, number, event):
        return sum(line["event"] == event for line in self.lines(number))

    def given(self, number):
        """Times that a replica was given partitions; who joins is first given none."""
        return sum(
            line["event"] == "partitions_assigned" and bool(line["sources"]) for line in self.lines(number)
        )

    def start(self, *numbers):
        """Wait until they have partitions."""
        before = {number: self.given(number) for number in numbers}
        for number in numbers:
            self.replicas.start(number)
        begin = time.monotonic()
        until(
            lambda: all(self.given(n) > before[n] for n in numbers),
            f"replicas {numbers} to be given partitions", seconds=120,
        )  # fmt: skip
        self.story.seconds.setdefault("start", []).append(time.monotonic() - begin)

    def end(self, what, number):
        begin = time.monotonic()
        self.replicas.signal(number, signal.SIGTERM)
        self.story.statuses.setdefault(what, []).append(self.replicas.await_end(number))
        self.story.seconds.setdefault(what, []).append(time.monotonic() - begin)

    def kill(self, number):
        self.replicas.signal(number, signal.SIGKILL)
        self.replicas.await_end(number)

    def storm(self, times):
        """Somebody joins the group of the readers and leaves it, again and again, and reads nothing."""
        properties = {
            "bootstrap.servers": self._bootstrap, "group.id": f"{self._topic}-{self.replicas.folder.name}.ingest",
            "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500, "enable.auto.commit": False, "log_level": 0,
        }  # fmt: skip
        for _ in range(times):
            given = []
            self.story.joined.append(time.time())
            guest = Consumer(properties)
            guest.subscribe(
                [self._topic], on_assign=lambda client, places, given=given: take(client, places, given)
            )
            until(
                lambda guest=guest, given=given: guest.poll(0.1) is not None or given,
                "the guest to be let in",
            )
            self.story.taken += bool(given)
            time.sleep(1.0)
            guest.close()
            time.sleep(1.0)


def take(client, places, given):
    """Hold them and fetch nothing."""
    client.incremental_assign(places)
    client.pause(places)
    given.extend(places)


def disturb(cluster):
    """All that happens, in order."""
    replicas = cluster.replicas
    cluster.start(0, 1)
    time.sleep(3)
    cluster.kill(0)  # row 1
    cluster.start(0)
    replicas.signal(1, signal.SIGSTOP)  # row 3
    time.sleep(SESSION * 2)  # also longer than a line of the log is held back that repeats another
    lost, given = cluster.count(1, "partitions_released"), cluster.given(1)
    replicas.signal(1, signal.SIGCONT)
    until(lambda: cluster.count(1, "partitions_released") > lost, "it to hear that it has lost them")
    until(lambda: cluster.given(1) > given, "it to be given partitions again")
    for number in (0, 1):  # row 4
        with cluster.watched("rolling"):
            cluster.end("rolling", number)
            cluster.start(number)
    replicas.start(2)  # row 5
    until(lambda: cluster.count(2, "started"), "the third to start", seconds=120)
    cluster.end("rebalance", 2)
    cluster.start(2)
    cluster.end("recovery", 2)
    with cluster.watched("storm"):  # row 7
        cluster.storm(JOINS)
    for number in list(replicas.running):  # row 2
        cluster.kill(number)
    cluster.start(0, 1, 2)


@pytest.fixture(scope="module")
def story(kafka, tmp_path_factory):
    topic = f"replicas-{time.time_ns()}"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    reference = make_reference()
    with Receiver() as receiver:
        folder = tmp_path_factory.mktemp("cluster")
        replicas = Replicas(
            folder, bootstrap=kafka.bootstrap, topic=topic, reference=reference, receiver=receiver,
            partitions=PARTITIONS, checkpoint=CHECKPOINT, module=TRACED,
            environment={TRACE: str(folder / "trace")},
        )  # fmt: skip
        cluster = Disturbed(replicas, topic, kafka.bootstrap)
        traffic = Traffic(kafka.bootstrap, topic)
        try:
            disturb(cluster)
            traffic.close()
            truth = recount(kafka.bootstrap, topic, reference, partitions=PARTITIONS)
            with replicas.look() as look:
                replicas.await_all(lambda: look.has_finished(truth.ends, receiver))
                for number in list(replicas.running):
                    cluster.end("last", number)
                found = look.found(replicas.output)
        finally:
            traffic.close()
            replicas.close()
        cluster.story.wrong = differences(found, truth) + undelivered(found, receiver)
        cluster.story.lines = [line for number in range(3) for line in cluster.lines(number)]
        yield cluster.story


def test_row_01_a_replica_is_killed(story):
    """The counts of every window are those of the log, and every alert, page and request arrived, whatever happened."""
    assert story.wrong == []


def test_row_02_all_are_killed_and_more_begin(story):
    """They go on from what is durable, all of it within seconds."""
    assert story.wrong == []
    assert story.statuses["last"] == [0, 0, 0]


def test_row_03_a_replica_sleeps_past_its_session(story):
    """It writes as if nothing had happened when it wakes up: none of that counts, and none of it differs. It joins the
    others again."""
    assert story.wrong == []
    assert not [line for line in story.lines if line["event"] in {"state_divergence", "state_damaged"}]


def test_row_04_replicas_are_replaced_one_by_one(story):
    """Each ends well and soon, no partition is without a reader for ten seconds, and the next one goes on where the
    last has stopped, or begins its last batch again at most."""
    assert story.statuses["rolling"] == [0, 0]
    assert max(story.seconds["rolling"]) < 20
    assert story.wrong == []
    for begin, batches in story.watched["rolling"]:  # while one was replaced
        assert longest(batches, since=begin) < 10
        assert handovers(batches)
        for last, first in handovers(batches):
            assert last.first <= first.first <= last.last + 1


def test_row_05_ended_in_the_middle_of_a_rebalance_and_of_a_recovery(story):
    """It ends well all the same, soon, and leaves no half of anything."""
    assert story.statuses["rebalance"] + story.statuses["recovery"] == [0, 0]
    assert max(story.seconds["rebalance"] + story.seconds["recovery"]) < 20
    assert story.wrong == []


def test_row_07_members_come_and_go(story):
    """Partitions move every third second: new records are counted all the while, no partition waits for long, and none is
    left behind."""
    assert story.taken >= JOINS / 2
    ((since, batches),) = story.watched["storm"]
    times = advances(batches)
    for begin, end in pairwise(story.joined):
        assert [at for at in times if begin <= at < end]
    assert longest(batches, since=since) < 20
    assert story.wrong == []
    assert not [line for line in story.lines if line["event"] in {"loop_failed", "partition_refused"}]
