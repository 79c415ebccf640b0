"""What a real broker does to the topic that is read: rows 14, 23, 24, 43 and 44."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.daemon.ask import get, until
from tests.daemon.build import PARTITIONS, START, WINDOW, stream
from tests.daemon.recount import recount, stored_verdicts
from tests.faults.world import (
    BRISK,
    await_read,
    counted,
    ends_well,
    has_judged,
    has_read,
    is_exact,
    lines_of,
    on_kafka,
    partitions_of,
    pieces,
)

pytestmark = pytest.mark.kafka


@pytest.mark.slow
def test_row_14_all_brokers_are_down_and_come_back(tmp_path, frail, receiver):
    """Killed in the middle of the log: the process lives, healthy and not ready, and reads on where it was when the
    broker is back."""
    made = on_kafka(tmp_path, frail, receiver=receiver)
    sent = stream(range(6))
    first, second = pieces(sent, 2)
    made.send(first)
    with made.process(module=BRISK) as life:
        await_read(life, first)
        frail.kill()
        until(lambda: get(f"{life.url}/-/ready")[0] == 503, "not to be ready")
        assert get(f"{life.url}/-/healthy")[0] == 200
        frail.start()
        made.send(second)
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "to be ready again")
        ends_well(life, sent)
    is_exact(made, sent)


@pytest.mark.slow
def test_row_23_records_are_deleted_before_they_are_read(tmp_path, kafka, receiver):
    """Reading goes on at what is left. The window that lost records is told apart from one that is whole, in the
    verdict and in the metrics, and the log says from where to where."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    sent = stream(range(6))
    half = sent[: len(sent) // 2]
    made.send(half)
    with made.process(module=BRISK) as life:
        ends_well(life, half)
    made.send(sent[len(half) :])
    kept = len(half) // PARTITIONS + 60  # half of the fourth window of partition 0 is gone
    place = TopicPartition(made.topic, 0, kept)
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    client.delete_records([place])[place].result(30)
    of_first = [record for record in sent if not record.partition]
    left = [record for record in sent if record.partition or record in of_first[kept:]]
    with made.process(module=BRISK) as life:
        until(lambda: has_read(life, len(sent)), "all that is left to be applied")
        until(lambda: has_judged(life, 6), "the last window")
        (gap,) = lines_of(life, "coverage_gap")
        assert (gap["source"], gap["reason"], gap["expected"]) == (
            f"{made.topic}/0",
            "retention",
            len(half) // 3,
        )
        assert counted(life, "records_skipped_total", "retention", made.topic) == 60
        assert life.end() == 0
    state = made.found()
    found = stored_verdicts(state)
    state.close()
    truth = recount([*half, *[record for record in left if record not in half]])
    assert {end: verdict["rows"] for end, verdict in found.items()} == {
        e: truth.of_window(e) for e in truth.ends
    }
    touched = START + 4 * WINDOW
    assert (found[touched]["state"], found[touched]["reason"]) == ("unknown", "low_coverage")
    assert [end for end, verdict in found.items() if verdict["coverage"] < 1] == [touched]


def in_transaction(kafka, made, producer, records):
    for record in records:
        producer.produce(made.topic, record.value, partition=record.partition, timestamp=record.timestamp)
        producer.poll(0)
    producer.flush(30)


def transactional(kafka, name):
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(30)
    return producer


@pytest.mark.slow
def test_row_43_a_transaction_that_hangs(tmp_path, kafka, receiver):
    """Records behind it cannot be read. The partition is not idle but held, which the API and a metric say; windows
    wait for it. Once it ends, all that was committed is counted."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    with made.process(module=BRISK) as life:
        made.send(first)
        await_read(life, first)
        hanging = transactional(kafka, made.topic)
        hanging.begin_transaction()
        in_transaction(kafka, made, hanging, [record for record in second if not record.partition][:10])
        made.send([record for record in second if record.partition])
        made.send([record for record in second if not record.partition][10:])
        until(lambda: "open transaction" in partitions_of(life)[0]["paused"], "the transaction to be told")
        assert not partitions_of(life)[0]["idle"]
        assert partitions_of(life)[0]["lag"] > 0
        assert counted(life, "partition_paused", "0", made.topic) == 1
        assert not has_judged(life, 3)
        hanging.commit_transaction(30)
        until(lambda: has_read(life, len(sent) + 1), "the records behind it, and the offset of its marker")
        until(lambda: has_judged(life, 4), "the last window")
        assert not any(p["paused"] for p in partitions_of(life))
        assert life.end() == 0
    is_exact(made, sent)


def test_row_44_markers_of_transactions_and_records_that_were_aborted(tmp_path, kafka, receiver):
    """Offsets without records are passed, aborted records are not counted, and a log that ends in them is at its end."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    sent = stream(range(4))
    producer = transactional(kafka, made.topic)
    for number, piece in enumerate(pieces(sent, 8)):
        producer.begin_transaction()
        in_transaction(kafka, made, producer, piece)
        producer.commit_transaction(30)
        producer.begin_transaction()
        in_transaction(kafka, made, producer, pieces(sent, 8)[(number + 1) % 8])
        producer.abort_transaction(30)
    with made.process(module=BRISK) as life:
        until(lambda: sum(p["idle"] for p in partitions_of(life)) == PARTITIONS, "the end of the log")
        assert {p["lag"] for p in partitions_of(life)} == {0}
        until(lambda: has_judged(life, 4), "the last window")
        assert life.end() == 0
    is_exact(made, sent)
