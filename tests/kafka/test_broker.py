"""The broker of the tests is a real one."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
import uuid

from confluent_kafka import Consumer, Producer

from tests.kafka.shared import Running, shared_broker


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


def test_broker_survives_a_kill(frail):
    """A broker that is killed and started again serves what it had acknowledged."""
    topic = f"t-{uuid.uuid4().hex}"
    frail.create_topic(topic)
    produce(frail.bootstrap, topic, [b"kept"])
    frail.kill()
    frail.start()
    assert consume(frail.bootstrap, topic, 1) == [b"kept"]


def test_workers_share_a_broker(tmp_path):
    """The first starts it and may be gone long before the last, with which it ends; who comes after that starts another."""
    started = []

    def begin(folder):
        started.append(subprocess.Popen(["sleep", "60"]))
        return Running(f"127.0.0.1:{len(started)}", started[-1].pid)

    first, second = (shared_broker(tmp_path, begin=begin) for _ in range(2))
    assert first.__enter__().bootstrap == second.__enter__().bootstrap == "127.0.0.1:1"
    first.__exit__(None, None, None)
    assert started[0].poll() is None
    second.__exit__(None, None, None)
    assert started[0].wait(10) == -signal.SIGKILL
    with shared_broker(tmp_path, begin=begin) as third:
        assert third.bootstrap == "127.0.0.1:2"
    assert started[1].wait(10) == -signal.SIGKILL


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
