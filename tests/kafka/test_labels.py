"""Labels on a real Kafka, their state too: replicas are killed, put to sleep and replaced while both topics are read, and
what was measured in the end is what a recount of the topics says."""

from __future__ import annotations

import json
import random
import signal
import threading
import time

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from monitor.deliver.receiver import Receiver
from tests.daemon.ask import until
from tests.kafka.replicas import SESSION, Replicas
from tests.kafka.traffic import MODEL, START, WINDOW, make_reference, produce, rows_of

pytestmark = pytest.mark.slow

PARTITIONS, LABELLED = 4, 3
"""Of predictions and of labels: a label lies where the hash of its id says, its prediction anywhere."""
ROWS = 60
"""Predictions of a window and partition."""
WAIT = 600_000
THRESHOLD = 0.3
BROKEN = range(8, 12)
"""Windows in which the model does badly."""


def labels_of(window, rng):
    """[(time, partition, record)]: mostly what the score says; some missing, some told twice and corrected, some of
    nobody."""
    found = []
    for partition in range(PARTITIONS):
        for row, (event, _, _, score) in enumerate(rows_of(window, partition, ROWS)):
            if rng.random() < 0.05:
                continue
            name = f"{window}-{partition}-{row}"
            label = int((score > THRESHOLD) ^ (rng.random() < (0.5 if window in BROKEN else 0.08)))
            at, place = event + 60_000 + rng.randrange(120_000), sum(map(ord, name)) % LABELLED
            if rng.random() < 0.1:
                found.append((at, place, {"id": name, "label": 1 - label}))
                at += 30_000
            found.append((at, place, {"id": name, "label": label}))
            if rng.random() < 0.05:
                found.append((at, place, {"id": name, "label": label}))
    found.append((START + window * WINDOW, window % LABELLED, {"id": f"nobody-{window}", "label": 1}))
    return found


class Traffic:
    """Writes a window of both topics every second, until it is closed: labels two windows behind."""

    def __init__(self, bootstrap, topic, labels):
        self.windows = 0
        self._bootstrap, self._topic, self._labels = bootstrap, topic, labels
        self._rng = random.Random(7)
        self._waiting = []
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "log_level": 0})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        """Whatever labels are left, and time going on behind them."""
        self._stop.set()
        self._thread.join()
        end = START + self.windows * WINDOW + WAIT + 120_000
        self._tell(end)
        self._waiting = [
            (end + n, n % LABELLED, {"id": f"later-{n}", "label": 0}) for n in range(40 * LABELLED)
        ]
        self._tell(end + WINDOW)

    def _run(self):
        while not self._stop.wait(1.0):
            window = self.windows
            produce(self._bootstrap, self._topic, range(window, window + 1), partitions=PARTITIONS, rows=ROWS)
            self._waiting += labels_of(window, self._rng)
            self.windows += 1
            self._tell(START + window * WINDOW)

    def _tell(self, before):
        due = sorted((one for one in self._waiting if one[0] < before), key=lambda one: one[0])
        self._waiting = [one for one in self._waiting if one[0] >= before]
        for at, partition, record in due:
            self._producer.produce(
                self._labels, json.dumps(record).encode(), partition=partition, timestamp=at
            )
        assert not self._producer.flush(60)


def records(bootstrap, topic, partitions):
    """(timestamp, offset, record) of everything in a topic that can be read, by code that shares nothing with ours."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "recount", "enable.auto.commit": False})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)
    consumer.assign(places)
    while left:
        for one in consumer.consume(1000, 1.0):
            left -= 1
            try:
                yield one.timestamp()[1], one.offset(), json.loads(one.value())
            except ValueError:
                continue
    consumer.close()


def recounted(bootstrap, topic, labels):
    """End of the window → (predictions, labels, right ones), row by row."""
    newest = {}
    for at, offset, record in records(bootstrap, labels, LABELLED):
        newest[record["id"]] = max(newest.get(record["id"], (-1, -1, -1)), (at, offset, record["label"]))
    found = {}
    for _, _, record in records(bootstrap, topic, PARTITIONS):
        end = START + ((record["ts"] - START) // WINDOW + 1) * WINDOW
        count, known, right = found.get(end, (0, 0, 0))
        label = newest.get(record["id"])
        is_right = label is not None and (record["score"] >= THRESHOLD) == bool(label[2])
        found[end] = count + 1, known + (label is not None), right + is_right
    return found


def measured(ledger):
    """The same of what is in the ledger."""
    found = {}
    for body in ledger.of("performance").values():
        scores = body["scores"][""]
        found[body["end"]] = (
            body["rows"],
            round(scores["labels"]),
            round(scores["accuracy"] * scores["labels"]),
        )
    return found


def with_labels(config, topic):
    settings = yaml.safe_load(config.read_text())
    settings["sources"]["outcomes"] = {
        "topic": topic, "fields": {"id": "id"}, "idle": "3s", "watermark_bound": "10s",
        "dead_letter": {"to": "count"},
    }  # fmt: skip
    model = settings["models"][MODEL]
    model["source"] = "predictions"
    model["labels"] = {"source": "outcomes", "path": "label", "wait": "10m", "threshold": THRESHOLD}
    model["rules"] = {"harm": {"when": "accuracy < 0.75 for 10m", "do": "page"}}
    config.write_text(yaml.safe_dump(settings))


def begin(replicas, *numbers):
    """Start processes, and wait until they work."""
    lives = {number: started(replicas, number) for number in numbers}
    for number in numbers:
        replicas.start(number)
    until(
        lambda: all(started(replicas, number) > lives[number] for number in numbers),
        f"{numbers} to start",
        seconds=120,
    )
    time.sleep(2)


def started(replicas, number):
    log = replicas.folder / f"replica-{number}.log"
    return log.read_text(errors="replace").count('"started"') if log.exists() else 0


def disturb(replicas):
    """Killed, asleep for longer than its session, joined by another, replaced, and all killed at once."""
    begin(replicas, 0, 1)
    replicas.signal(0, signal.SIGKILL)
    replicas.await_end(0)
    begin(replicas, 0)
    replicas.signal(1, signal.SIGSTOP)
    time.sleep(SESSION * 1.5)
    begin(replicas, 2)
    replicas.signal(1, signal.SIGCONT)
    time.sleep(4)
    replicas.signal(2, signal.SIGTERM)
    assert replicas.await_end(2) == 0
    for number in replicas.running:
        replicas.signal(number, signal.SIGKILL)
        replicas.await_end(number)
    for number in range(3):
        replicas.start(number)


def test_replicas_that_are_killed_and_sleep_measure_what_a_recount_says(kafka, tmp_path):
    """Predictions, labels and right answers of every window, corrected and repeated labels among them; the limit opens one
    incident."""
    topic = f"joined-{time.time_ns()}"
    labels = f"{topic}-labels"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    kafka.create_topic(labels, partitions=LABELLED, config={"retention.ms": "-1"})
    with Receiver() as receiver:
        replicas = Replicas(
            tmp_path / "cluster", bootstrap=kafka.bootstrap, topic=topic, reference=make_reference(), receiver=receiver,
            partitions=PARTITIONS,
        )  # fmt: skip
        with_labels(replicas.config, labels)
        traffic = Traffic(kafka.bootstrap, topic, labels)
        try:
            disturb(replicas)
            traffic.close()
            want = recounted(kafka.bootstrap, topic, labels)
            last = max(want)
            with replicas.look() as look:
                replicas.await_all(lambda: last in measured(look.ledger()))
                replicas.await_all(lambda: measured(look.ledger()) == want or time.sleep(1), within=30)
                ledger = look.ledger()
        except RuntimeError as error:
            with replicas.look() as look:
                found = measured(look.ledger())
            wrong = {end: (found.get(end), want[end]) for end in want if found.get(end) != want[end]}
            raise AssertionError(f"measured, recounted: {wrong}") from error
        finally:
            replicas.close()
    assert '"state_divergence"' not in replicas.output
    harm = [body for body in ledger.of("incident").values() if body["rule"] == "harm"]
    assert len(harm) == 1
