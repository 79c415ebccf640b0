from __future__ import annotations

import pytest

from monitor.clock import SystemClock
from monitor.errors import IntakeError
from monitor.intake.range import read_range, sources_of
from monitor.intake.sample import sample
from monitor.intake.span import SpanReader
from monitor.names import Source
from tests.intake.keeper import fill


def properties(broker):
    return {"bootstrap.servers": broker.bootstrap, "fetch.wait.max.ms": 50}


def timed(broker, topic, times):
    from monitor.intake.produce import Producer

    with Producer(properties(broker)) as producer:
        for number, time in enumerate(times):
            producer.send(topic, b"%d" % number, partition=number % 3, timestamp=time)
        producer.flush()


def read(broker, topic, **rest):
    return list(read_range(properties(broker), topic, **rest))


@pytest.mark.parametrize("direct", [False, True])
def test_a_whole_topic_is_read_once(broker, topic, direct):
    """Every partition in offset order, up to the end that was sampled at the start, either way."""
    timed(broker, topic, range(1000, 4000))
    batches = read_range(properties(broker), topic, direct=direct)
    found = [next(batches)]
    timed(broker, topic, [1])  # too late
    found.extend(batches)
    for partition in range(3):
        offsets = [o for b in found if b.source == Source(topic, partition) for o in b.offsets.tolist()]
        assert offsets == list(range(1000))
        values = [v for b in found if b.source == Source(topic, partition) for v in b.values]
        assert values == [b"%d" % number for number in range(partition, 3000, 3)]
    assert sources_of(properties(broker), topic) == tuple(Source(topic, p) for p in range(3))


def test_a_range_of_time_is_half_open(broker, topic):
    """From `since` on and before `until`, whatever order the records came in."""
    timed(broker, topic, [5, 10, 20, 30, 25, 15, 10, 20, 29, 31, 9])
    found = {t for b in read(broker, topic, since_ms=10, until_ms=30) for t in b.timestamps.tolist()}
    assert found == {10, 15, 20, 25, 29}
    assert read(broker, topic, since_ms=1_000_000) == []


@pytest.mark.parametrize("direct", [False, True])
def test_deleted_records_are_passed_over(broker, topic, direct):
    """A read begins at the oldest record that is left, also when it was deleted meanwhile."""
    fill(broker, topic, [b"x"] * 100, partition=0)
    broker.delete_records(topic, 0, before=60)
    assert sum(map(len, read(broker, topic))) == 40
    reader = SpanReader(properties(broker), clock=SystemClock(), direct=direct)
    batches = [b for found in reader.read({Source(topic, 0): (10, 100)}) for b in found]
    assert next(b.offsets[0] for b in batches) == 60
    assert sum(map(len, batches)) == 40
    reader.close()


def test_a_span_stops_before_its_end(broker, topic):
    """Records beyond the span are dropped, and several spans end one by one."""
    fill(broker, topic, [b"x"] * 300)
    reader = SpanReader(properties(broker), clock=SystemClock())
    spans = {Source(topic, 0): (10, 20), Source(topic, 1): (0, 100), Source(topic, 2): (5, 5)}
    found = {}
    for batches in reader.read(spans):
        for batch in batches:
            found.setdefault(batch.source, []).extend(batch.offsets.tolist())
    assert found == {Source(topic, 0): list(range(10, 20)), Source(topic, 1): list(range(100))}
    reader.close()


def test_a_topic_that_is_not_there_is_named(broker):
    """A misspelt topic is an error of the user's, at once."""
    with pytest.raises(IntakeError, match="no-such-topic"):
        read(broker, "no-such-topic")


def test_a_broker_that_does_not_answer_is_given_up(monkeypatch):
    """Nobody listens: the read ends with an error that says where."""
    monkeypatch.setattr("monitor.intake.span.QUERY_SECONDS", 0.5)
    with pytest.raises(IntakeError, match="brokers that can be reached"):
        list(read_range({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "t", clock=SystemClock()))


def test_a_sample_is_the_newest_records_oldest_first(broker, topic):
    """Partitions give alike; null values are left out."""
    timed(broker, topic, range(1000, 1300))
    fill(broker, topic, [None], partition=0, timestamp=5000)
    found = sample(topic, properties(broker), count=30, timeout=10)
    assert [time for _, time in found] == sorted(time for _, time in found)
    assert len(found) == 29
    assert found[-1] == (b"299", 1299)
    assert len(sample(topic, properties(broker), count=1000, timeout=10)) == 300


def test_a_sample_of_a_lopsided_or_empty_topic(broker, topic):
    """What one partition lacks the others give; nothing gives nothing."""
    assert sample(topic, properties(broker), count=10, timeout=10) == []
    fill(broker, topic, [b"a"] * 50, partition=2)
    fill(broker, topic, [b"b"] * 2, partition=1)
    found = [value for value, _ in sample(topic, properties(broker), count=20, timeout=10)]
    assert (found.count(b"a"), found.count(b"b")) == (18, 2)
