from __future__ import annotations

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.columns import Reject
from monitor.errors import DeadLetterError
from monitor.intake.dead_file import FileDeadLetters
from monitor.intake.dead_letter import (
    PREFIX,
    STAGES,
    TIMESTAMP,
    Counted,
    Limit,
    error_fields,
    open_dead_letters,
)
from monitor.intake.dead_topic import TopicDeadLetters
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.range import read_range
from monitor.names import Reason
from monitor.plan import DeadLetterPlan
from tests.intake.records import NOW, batch

VALUES = [b"good", b"\xff\x00bad", None, b""]
HEADERS = [None, [("h", b"\x00v"), ("h", None)], [], None]
KEYS = [b"k0", b"\x80", None, b""]
BATCH = batch(VALUES, headers=HEADERS, keys=KEYS)
REJECTS = [
    Reject(1, Reason.DECODE, "broken - here - must be whole", "m"),
    Reject(2, Reason.BAD_TIME, "x"),
    Reject(3, Reason.DEPTH, "y" * 5000),
]
ERRORS = {
    PREFIX + name: text
    for name, text in {
        "topic": "topic",
        "partition": "3",
        "offset": "101",
        "class.name": "driftline",
        "stage": "decode",
        "reason": "decode",
        "exception.message": "broken - here - must be whole",
        "model": "m",
    }.items()
}


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_every_reason_has_a_stage():
    """No reject is without one, and texts are bounded."""
    assert STAGES.keys() == set(Reason)
    assert error_fields(BATCH, REJECTS[0]) == ERRORS
    assert len(error_fields(BATCH, REJECTS[2])[PREFIX + "exception.message"]) == 1024


def test_a_file_keeps_the_original_bytes(tmp_path):
    """Key, value and headers come back byte for byte, null and empty told apart."""
    path = tmp_path / "deep" / "dlq.jsonl"
    sink = FileDeadLetters(path, max_bytes=100_000)
    sink.put(BATCH, REJECTS)
    assert not path.exists()
    sink.flush()
    first, second, third = lines(path)
    assert b64decode(first["value"]) == VALUES[1]
    assert b64decode(first["key"]) == KEYS[1]
    assert [(name, value and b64decode(value)) for name, value in first["headers"]] == HEADERS[1]
    assert (first["timestamp"], first["timestamp_type"], first["offset"]) == (NOW, "CreateTime", 101)
    assert first["errors"] == ERRORS
    assert (second["value"], second["key"], second["headers"]) == (None, None, [])
    assert (third["value"], third["key"], third["headers"]) == ("", "", None)


def test_a_full_file_holds_the_partition_and_goes_on_when_it_is_moved_away(tmp_path):
    """At the cap flush raises, nothing is torn, and nothing of what was put is lost."""
    path = tmp_path / "dlq.jsonl"
    sink = FileDeadLetters(path, max_bytes=2500)
    sink.put(BATCH, REJECTS[:2])
    sink.flush()
    size = path.stat().st_size
    sink.put(BATCH, REJECTS[:2] * 2)
    for _ in range(2):
        with pytest.raises(DeadLetterError, match="move the file away"):
            sink.flush()
    assert path.stat().st_size == size
    path.rename(tmp_path / "old.jsonl")
    sink.flush()
    assert len(lines(path)) == 4


def test_a_line_torn_by_a_crash_spoils_only_itself(tmp_path):
    """What follows begins on a line of its own."""
    path = tmp_path / "dlq.jsonl"
    path.write_bytes(b'{"topic":"t","val')
    sink = FileDeadLetters(path, max_bytes=100_000)
    sink.put(BATCH, REJECTS[:1])
    sink.flush()
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"topic":"t","val'
    assert json.loads(whole)["offset"] == 101


def test_a_file_that_cannot_be_written_holds_the_partition(tmp_path):
    """The reason is the system's; after it is mended all is there."""
    path = tmp_path / "taken"
    path.mkdir()
    sink = FileDeadLetters(path, max_bytes=100_000)
    sink.put(BATCH, REJECTS)
    with pytest.raises(DeadLetterError, match="directory"):
        sink.flush()
    path.rmdir()
    sink.flush()
    assert len(lines(path)) == 3


def test_many_rejects_do_not_wait_in_memory(tmp_path):
    """Beyond 8 MiB they are handed to the system before the flush."""
    path = tmp_path / "dlq.jsonl"
    sink = FileDeadLetters(path, max_bytes=1 << 30)
    large = batch([bytes(1_000_000)] * 10)
    sink.put(large, [Reject(index, Reason.OVERSIZE, "large") for index in range(10)])
    assert path.stat().st_size > 8 << 20
    sink.flush()
    assert len(lines(path)) == 10


def test_what_cannot_be_held_stops_the_offset_for_good(tmp_path, monkeypatch):
    """When the file takes nothing and memory is full, rejects are let go and flush never passes."""
    monkeypatch.setattr("monitor.intake.dead_file.HELD_BYTES", 1000)
    sink = FileDeadLetters(tmp_path / "dlq.jsonl", max_bytes=100_000)
    sink.put(BATCH, REJECTS[:2] * 2)
    for _ in range(2):
        with pytest.raises(DeadLetterError, match="restart"):
            sink.flush()


def topic_records(broker, topic):
    found = []
    for part in read_range({"bootstrap.servers": broker.bootstrap}, topic):
        found.extend(zip(part.values, part.keys, part.headers, part.timestamps.tolist(), strict=True))
    return sorted(found, key=lambda record: dict(record[2])[f"{PREFIX}offset"])


def test_a_topic_gets_the_untouched_record_with_headers(broker, topic):
    """Own headers first, then ours. The letter is as old as the rejection, which retention goes by; how old the
    record was stands beside it."""
    sink = TopicDeadLetters(topic, {"bootstrap.servers": broker.bootstrap})
    sink.put(BATCH, REJECTS)
    sink.flush()
    first, second, third = topic_records(broker, topic)
    assert first[:2] == (VALUES[1], KEYS[1])
    assert first[2][:2] == HEADERS[1]
    assert {name: value.decode() for name, value in first[2][2:]} == {**ERRORS, TIMESTAMP: str(NOW)}
    assert first[3] > NOW + 365 * 86_400_000
    assert second[:2] == (None, None)
    assert third[:2] == (b"", b"")
    sink.close()


def test_a_topic_that_is_away_holds_the_partition_and_loses_nothing(monkeypatch):
    """flush raises until the records are acknowledged, then each is there at least once."""
    monkeypatch.setattr("monitor.intake.dead_topic.FLUSH_SECONDS", 0.5)
    with EmbeddedBroker() as broker:
        broker.create_topic("dlq")
        properties = {
            "bootstrap.servers": broker.bootstrap,
            "message.timeout.ms": 300,
            "reconnect.backoff.max.ms": 100,
        }
        sink = TopicDeadLetters("dlq", properties)
        broker.set_down()
        sink.put(BATCH, REJECTS)
        for _ in range(3):
            with pytest.raises(DeadLetterError, match="not acknowledged"):
                sink.flush()
        broker.set_up()
        for attempt in range(40):
            try:
                sink.flush()
                break
            except DeadLetterError:
                assert attempt < 39
        assert {dict(record[2])[f"{PREFIX}offset"] for record in topic_records(broker, "dlq")} == {
            b"101",
            b"102",
            b"103",
        }
        sink.close()


def test_a_record_larger_than_the_topic_allows_does_not_stop_the_daemon(broker, topic):
    """It is sent without its value, with its size, so that it is neither lost in silence nor in the way."""
    sink = TopicDeadLetters(topic, {"bootstrap.servers": broker.bootstrap})
    large = batch([bytes(3000), b"small"])
    broker.fail(0, 10)  # Produce: MESSAGE_TOO_LARGE
    sink.put(large, [Reject(0, Reason.OVERSIZE, "large")])
    sink.flush()
    ((value, _, headers, _),) = topic_records(broker, topic)
    assert value is None
    assert dict(headers)[f"{PREFIX}value.bytes"] == b"3000"
    sink.close()


def test_the_plan_chooses_the_sink(broker, tmp_path):
    """file, topic and count; names have defaults."""
    properties = {"bootstrap.servers": broker.bootstrap}
    counted = open_dead_letters(DeadLetterPlan(to="count"), topic="t", properties=properties)
    assert isinstance(counted, Counted)
    counted.put(BATCH, REJECTS)
    counted.flush()
    counted.close()
    filed = open_dead_letters(DeadLetterPlan(), topic="t", properties={}, base=str(tmp_path))
    assert isinstance(filed, FileDeadLetters)
    filed.put(BATCH, REJECTS)
    filed.flush()
    filed.close()
    assert len(lines(tmp_path / "dead-letters.jsonl")) == 3
    sent = open_dead_letters(DeadLetterPlan(to="topic"), topic="t", properties=properties)
    assert isinstance(sent, TopicDeadLetters)
    sent.put(BATCH, REJECTS)
    sent.flush()
    sent.close()
    assert len(topic_records(broker, "t.dead-letters")) == 3


@given(
    st.lists(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=40),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    st.sampled_from([1, 10, 50]),
)
def test_the_limit_agrees_with_its_naive_twin(batches, share, over):
    """The share over the batches that hold the last records; a batch that is refused counts nothing."""
    limit, history = Limit(share, over), []
    for rejects, records in batches:
        window = [(rejects, records)]
        for old in reversed(history):
            if sum(n for _, n in window) >= over:
                break
            window.append(old)
        bad, all_records = sum(r for r, _ in window), max(sum(n for _, n in window), over)
        expected = share < 1 and bad / all_records > share
        assert limit.exceeds(rejects, records) == expected
        if not expected:
            history.append((rejects, records))


def test_a_bad_deploy_is_stopped_and_a_single_bad_record_is_not():
    """One reject at the very start passes; everything rejected does not."""
    assert not Limit(0.05, 1000).exceeds(1, 1)
    assert Limit(0.05, 1000).exceeds(51, 51)
    assert Limit(0.05, 1000).exceeds(5000, 5000)
    assert not Limit(1.0, 1000).exceeds(5000, 5000)
