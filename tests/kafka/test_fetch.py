"""The consumer on a real broker: holes in the log, transactions, the broker's clock, records of 10 MB."""

from __future__ import annotations

import time
import uuid
from functools import partial

import pytest
from confluent_kafka import Producer

from monitor.names import Source
from tests.intake import keeper
from tests.intake.keeper import Keeper, until

BIG = 10 << 20


@pytest.fixture(params=[True, False], ids=["direct", "plain"])
def connect(request):
    """Both ways of taking records."""
    return partial(keeper.connect, direct=request.param)


@pytest.fixture
def topic():
    return f"fetch-{uuid.uuid4().hex}"


class Gatherer(Keeper):
    """Takes offsets with holes between them, in order all the same, and keeps them with their values."""

    def __init__(self, positions=()):
        super().__init__(positions)
        self.pairs = []
        self.batches = []

    def take(self, batches):
        for batch in batches:
            offsets = batch.offsets.tolist()
            assert offsets == sorted(set(offsets))
            assert offsets[0] >= self.next[batch.source]
            self.next[batch.source] = offsets[-1] + 1
            self.pairs += zip(offsets, batch.values, strict=True)
            self.batches.append(batch)


def send(kafka, topic, values, *, keys=None, **properties):
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, **properties})
    for number, value in enumerate(values):
        producer.produce(topic, value, key=keys[number] if keys else None, partition=0)
        producer.poll(0)
    assert producer.flush(30) == 0


def read_all(connect, kafka, topic, enough, **properties):
    found = Gatherer({Source(topic, 0): 0})
    consumer = connect(kafka, topic, found, properties=properties)
    try:
        until(lambda: enough(found, consumer), lambda: found.take(consumer.poll(1000, 0.1)))
    finally:
        consumer.close()
    return found


def test_offsets_of_a_compacted_log_have_holes(connect, kafka, topic):
    """What is left is handed out at its own offsets, tombstones as null values."""
    kafka.create_topic(
        topic,
        config={
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.001",
            "segment.ms": "100",
            "min.compaction.lag.ms": "0",
            "max.compaction.lag.ms": "100",
        },
    )
    count = 400
    values = [None if n % 100 == 99 else b"%d" % n for n in range(count)]
    send(kafka, topic, values, keys=[b"%d" % (n % 7) for n in range(count)])
    deadline = time.monotonic() + 60
    while True:
        time.sleep(0.5)  # a segment is cleaned once it was closed, which takes another record
        send(kafka, topic, [b"last"], keys=[b"last"])
        found = read_all(connect, kafka, topic, lambda f, _: f.pairs and f.pairs[-1][1] == b"last")
        if len(found.pairs) < count / 2 or time.monotonic() > deadline:
            break
    assert len(found.pairs) < count / 2
    assert all(value == values[offset] for offset, value in found.pairs if offset < count)
    assert (399, None) in found.pairs


def test_records_of_transactions_come_when_they_are_committed(connect, kafka, topic):
    """Markers are offsets without records, aborted records never come, and the position passes both."""
    kafka.create_topic(topic)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "log_level": 0, "linger.ms": 0}
    )
    producer.init_transactions(30)
    for turn in range(6):
        producer.begin_transaction()
        for number in range(10):
            producer.produce(topic, b"%d-%d" % (turn, number), partition=0)
        if turn % 2:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    source = Source(topic, 0)
    found = read_all(connect, kafka, topic, lambda _, c: c.position(source) == 66)
    assert [value for _, value in found.pairs] == [
        b"%d-%d" % (turn, n) for turn in (0, 2, 4) for n in range(10)
    ]
    assert [offset for offset, _ in found.pairs] == [22 * half + n for half in range(3) for n in range(10)]


def test_timestamps_of_the_broker_are_told_apart(connect, kafka, topic):
    """A topic that is switched to the broker's clock gives batches of either kind."""
    kafka.create_topic(topic, config={"message.timestamp.type": "LogAppendTime"})
    before = time.time() * 1000
    send(kafka, topic, [b"a", b"b"])
    found = read_all(connect, kafka, topic, lambda f, _: len(f.pairs) == 2)
    assert all(batch.log_append and (batch.timestamps >= before).all() for batch in found.batches)


def test_a_record_of_ten_megabytes_arrives(connect, kafka, topic):
    """Between small ones, several of them, in the order they were sent."""
    kafka.create_topic(topic, config={"max.message.bytes": str(2 * BIG)})
    values = [b"small", bytes(range(256)) * (BIG // 256), b"", b"x" * BIG, b"small"]
    send(kafka, topic, values, **{"message.max.bytes": 2 * BIG})
    found = read_all(connect, kafka, topic, lambda f, _: len(f.pairs) == 5)
    assert [value for _, value in found.pairs] == values


@pytest.mark.night
def test_a_group_on_a_real_broker_hands_partitions_back_and_forth(connect, kafka, topic):
    """Each offset once and in order while a second member comes and goes."""
    kafka.create_topic(topic, partitions=3)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    shared, sent = {}, 0
    one = Keeper()
    one.next = shared
    first = connect(kafka, topic, one)
    others = []

    def flow():
        nonlocal sent
        for number in range(200):
            producer.produce(topic, b"%d" % number, partition=number % 3)
        assert producer.flush(30) == 0
        sent += 200

    for _ in range(3):
        two = Keeper()
        two.next = shared
        others.append(two)
        second = connect(kafka, topic, two)
        until(
            lambda k=two: k.records > 500,
            flow,
            lambda: one.take(first.poll(500, 0.02)),
            lambda k=two, c=second: k.take(c.poll(500, 0.02)),
        )
        second.close()
        until(lambda: len(first.assigned()) == 3, lambda: one.take(first.poll(500, 0.02)))
    until(
        lambda: one.records + sum(k.records for k in others) >= sent,
        lambda: one.take(first.poll(500, 0.1)),
    )
    assert one.records + sum(k.records for k in others) == sent
    first.close()
