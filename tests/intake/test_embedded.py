from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition

from monitor.errors import IntakeError
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.produce import Producer


def test_groups_commits_and_end_offsets_work(broker, topic):
    """What the demo needs of Kafka is there, through the ordinary client."""
    with Producer({"bootstrap.servers": broker.bootstrap}) as producer:
        for number in range(30):
            producer.send(topic, b"%d" % number, partition=number % 3, timestamp=1000 + number)
        assert producer.flush() == 30
    client = Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    client.subscribe([topic])
    seen = 0
    while seen < 30:
        seen += len(client.consume(30, 1.0))
    place = TopicPartition(topic, 1, 7)
    assert client.commit(offsets=[place], asynchronous=False)[0].offset == 7
    assert client.committed([TopicPartition(topic, 1)], timeout=5)[0].offset == 7
    assert client.get_watermark_offsets(TopicPartition(topic, 1), timeout=5) == (0, 10)
    client.close()


def test_a_partition_keeps_its_newest_five_mebibytes(broker):
    """The limit the demo paces its producer by."""
    broker.create_topic("large")
    with Producer({"bootstrap.servers": broker.bootstrap}) as producer:
        for _ in range(80):
            producer.send("large", bytes(100_000))
            producer.flush()
    client = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none"})
    low, high = client.get_watermark_offsets(TopicPartition("large", 0), timeout=5)
    client.close()
    assert high == 80
    assert 40 <= high - low <= 53


def test_misuse_is_explained():
    """A topic twice, a call after close: an error with words, never a crash of the process."""
    broker = EmbeddedBroker()
    broker.create_topic("once")
    with pytest.raises(IntakeError, match="topic_create"):
        broker.create_topic("once")
    broker.close()
    broker.close()
    with pytest.raises(IntakeError, match="closed"):
        broker.create_topic("later")


def test_records_that_are_refused_are_not_counted():
    """A producer says so when its records did not arrive."""
    with EmbeddedBroker() as broker:
        properties = {"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 300, "log_level": 0}
        with Producer(properties) as producer:
            broker.set_down()
            producer.send("t", b"x")
            with pytest.raises(IntakeError, match="1 records refused"):
                producer.flush(20)
            producer.send("t", b"x")
            with pytest.raises(IntakeError, match="not acknowledged"):
                producer.flush(0.01)
        with (
            Producer(properties | {"message.max.bytes": 1000}) as producer,
            pytest.raises(IntakeError, match="too large"),
        ):
            producer.send("t", bytes(2000))
