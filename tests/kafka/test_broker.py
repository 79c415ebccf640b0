"""The broker of the tests is a real one."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid

import pytest
from confluent_kafka import Consumer, Producer

from tests.kafka.broker import KafkaBroker


def produce(bootstrap, topic, values, *, partition=0):
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0


def consume(bootstrap, topic, count):
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 0,
    }
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    values = []
    for _ in range(60):
        values += [record.value() for record in consumer.consume(100, 1.0)]
        if len(values) >= count:
            break
    consumer.close()
    return values


def test_records_go_through_a_group(kafka):
    """What is produced is consumed by a member of a group, from every partition."""
    topic = f"t-{uuid.uuid4().hex}"
    kafka.create_topic(topic, partitions=2)
    produce(kafka.bootstrap, topic, [b"a", b"b"])
    produce(kafka.bootstrap, topic, [b"c"], partition=1)
    assert sorted(consume(kafka.bootstrap, topic, 3)) == [b"a", b"b", b"c"]


def test_broker_survives_a_kill(kafka):
    """A broker that is killed and started again serves what it had acknowledged."""
    if not isinstance(kafka, KafkaBroker):
        pytest.skip("an external broker is not ours to kill")
    topic = f"t-{uuid.uuid4().hex}"
    kafka.create_topic(topic)
    produce(kafka.bootstrap, topic, [b"kept"])
    kafka.kill()
    kafka.start()
    assert consume(kafka.bootstrap, topic, 1) == [b"kept"]


def test_prometheus_tools_run(prometheus_tools):
    """Both programs start and name their version."""
    for tool in prometheus_tools:
        assert (
            subprocess.run([tool, "--version"], check=False, capture_output=True, timeout=30).returncode == 0
        )


def test_alertmanager_takes_and_shows_an_alert(alertmanager):
    """An alert that was posted can be read back."""
    body = json.dumps([{"labels": {"alertname": "FixtureWorks"}}]).encode()
    url = f"{alertmanager.url}/api/v2/alerts"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert "FixtureWorks" in [alert["labels"]["alertname"] for alert in json.load(answer)]
