"""Topics of ours are deleted, or never were, while the daemon runs: row 37 and what goes beyond row 22."""

from __future__ import annotations

import re

import pytest

from monitor.names import Source
from monitor.state.kafka import keys
from tests.daemon.ask import get, samples, until
from tests.daemon.build import PARTITIONS, START, Sent, stream
from tests.faults.shared_state import Operator, shared, wrong
from tests.faults.world import BRISK, await_read, counted, ends_well, lines_of, partitions_of, pieces

pytestmark = pytest.mark.slow


def with_rejects(sent, count=30):
    """The same log with records in it that cannot be read."""
    return [*sent[: len(sent) // 2], *[Sent(0, b"{broken", START)] * count, *sent[len(sent) // 2 :]]


def durable(life):
    return sum(one["applied"] for one in partitions_of(life))


def lacking(url):
    return samples(url)["topics_lacking",]


def marked(kafka, scene):
    """Source → offset of its newest marker in the topic of the state, -1 where it has none."""
    found = dict.fromkeys((Source(scene.topic, n) for n in range(PARTITIONS)), -1)
    for record in records_of(kafka, f"{scene.topic}-own.state"):
        key = keys.decode_state(record.key())
        if isinstance(key, keys.MarkerKey):
            found[key.source] = record.offset()
    return found


def dead_letters(kafka, topic):
    """Partition and offset of every letter, told apart."""
    headers = [
        {name: value.decode() for name, value in record.headers()} for record in records_of(kafka, topic)
    ]
    return {(one["__driftline.errors.partition"], one["__driftline.errors.offset"]) for one in headers}


def records_of(kafka, topic):
    """All that a topic holds."""
    from confluent_kafka import Consumer, TopicPartition

    client = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "letters", "enable.partition.eof": True}
    )
    places = [
        TopicPartition(topic, n, 0) for n in client.list_topics(topic, timeout=10).topics[topic].partitions
    ]
    client.assign(places)
    found, ended = [], 0
    while ended < len(places):
        record = client.poll(10)
        assert record is not None
        if record.error():
            ended += 1
            continue
        found.append(record)
    client.close()
    return found


@pytest.mark.parametrize("name", ["own", "beside"])
def test_row_37_the_topic_of_dead_letters_is_deleted(kafka, tmp_path, receiver, name):
    """Not ready, with the topic and the command that creates it in the log, once; and once it was created all goes on
    by itself, with every letter there and every record counted."""
    scene, operator = shared(tmp_path, kafka, receiver=receiver), Operator(kafka.bootstrap)
    topic = f"{scene.topic}-own.dlq" if name == "own" else f"{scene.topic}-letters"
    scene.configure(
        sources={"predictions": {"dead_letter": {"to": "topic", "topic": topic, "limit": "100%"}}}
    )
    if name == "beside":
        kafka.create_topic(topic)
    first, second = pieces(stream(range(3)), 2)
    sent = [*first, *with_rejects(second)]
    with scene.process(module=BRISK) as life:
        scene.send(first)
        until(lambda: durable(life) == len(first), "the first half")
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "to be ready")
        operator.delete(topic)
        scene.send(sent[len(first) :])
        until(lambda: lines_of(life, "checkpoint_refused"), "a checkpoint to be refused")
        until(lambda: lines_of(life, "topic_lacking"), "the topic to be named")
        status, text = get(f"{life.url}/-/ready")
        assert (status, topic in text) == (503, True)
        assert lacking(life.url) == 1
        assert get(f"{life.url}/-/healthy")[0] == 200
        failed = counted(life, "dead_letters_failed_total", topic)
        until(lambda: counted(life, "dead_letters_failed_total", topic) >= failed + 60, "two more refusals")
        (line,) = lines_of(life, "topic_lacking")
        assert line["topic"] == topic
        create(kafka, line["run"])
        until(lambda: lines_of(life, "topic_lacks_no_more"), "the topic to be found")
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "to be ready")
        assert lacking(life.url) == 0
        ends_well(life, sent)
        assert len(lines_of(life, "topic_lacking")) == len(lines_of(life, "checkpoint_refused")) == 1
    assert wrong(scene, sent) == []
    assert len(dead_letters(kafka, topic)) == 30


@pytest.mark.parametrize("name", ["state", "sketches", "progress", "ledger"])
def test_row_22_a_topic_of_the_state_is_deleted_while_a_replica_runs(kafka, tmp_path, receiver, name):
    """Not ready, with the command that creates it in the log, once; once it was created the replica that holds what was in
    it writes that once more, also of partitions without a new record, and the next one goes on from there."""
    scene, operator = shared(tmp_path, kafka, receiver=receiver), Operator(kafka.bootstrap)
    topic = f"{scene.topic}-own.{name}"
    first, second = pieces(stream(range(4)), 2)
    with scene.process(module=BRISK) as life:
        scene.send(first)
        await_read(life, first)
        marks = marked(kafka, scene)
        assert len(marks) == PARTITIONS
        operator.delete(topic)
        until(lambda: lines_of(life, "topic_lacking"), "the topic to be named")
        status, text = get(f"{life.url}/-/ready")
        assert (status, topic in text) == (503, True)
        (line,) = lines_of(life, "topic_lacking")
        create(kafka, line["run"])
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "to be ready")
        until(lambda: lines_of(life, "topics_made_anew"), "what was in it to be written")
        if name in {"state", "sketches"}:
            before = marks if name == "sketches" else {}
            until(
                lambda: all(marked(kafka, scene)[source] > before.get(source, -1) for source in marks),
                "each partition to be stored without a new record",
            )
        assert len(lines_of(life, "topic_lacking")) == len(lines_of(life, "topics_made_anew")) == 1
        if name != "sketches":  # one that starts later lacks panes that were complete before
            life.process.kill()
            life.process.wait(20)
        scene.send(second)
        if name == "sketches":
            ends_well(life, [*first, *second])
    if name != "sketches":
        with scene.process(module=BRISK) as life:
            ends_well(life, [*first, *second])
    left = wrong(scene, [*first, *second])
    if name == "sketches":
        left = [one for one in left if not re.fullmatch(r"pane \d+: 0 rows, .*", one)]
    assert left == []


def create(kafka, command):
    """Do what the command says, as Kafka's own program would."""
    words = command.split()
    at = {name: words[words.index(f"--{name}") + 1] for name in ("topic", "partitions", "replication-factor")}
    config = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--config")
    assert words[0] == "kafka-topics.sh"
    assert "--create" in words
    assert words[words.index("--bootstrap-server") + 1] == kafka.bootstrap
    assert at["replication-factor"] == "1"
    kafka.create_topic(at["topic"], partitions=int(at["partitions"]), config=config)
