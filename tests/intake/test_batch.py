"""Records of the client library to batches, without a Python loop per record."""

from __future__ import annotations

from itertools import pairwise

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given
from hypothesis import strategies as st

from monitor.intake.batch import batches_of, by_source, run_of
from monitor.names import Source
from monitor.pipeline import merged

SOURCE = Source("t", 0)


def record(offset, *, value=b"v", topic="t", partition=0, kind=TIMESTAMP_CREATE_TIME, time=5, headers=None):
    return Message(
        topic=topic,
        partition=partition,
        offset=offset,
        key=b"%d" % offset,
        value=value,
        headers=headers,
        timestamp=(kind, time),
    )


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=30))
def test_records_are_kept_apart_by_partition_in_the_order_they_came(places):
    """Long runs and single records of several topics and partitions alike."""
    records = [record(at, topic=topic, partition=number) for at, (topic, number) in enumerate(places)]
    expected = {}
    for one in records:
        expected.setdefault(Source(one.topic(), one.partition()), []).append(one.offset())
    found = {source: [one.offset() for one in mine] for source, mine in by_source(records).items()}
    assert found == expected
    if len({topic for topic, _ in places}) < 2:
        assert by_source(records, one_topic=True) == by_source(records)


@given(st.sets(st.integers(0, 40)), st.integers(0, 45))
def test_offsets_are_those_of_the_records_with_and_without_holes(offsets, start):
    """Compacted logs and transaction markers leave holes; what lies before the start is left out."""
    records = [record(offset) for offset in sorted(offsets)]
    found = [o for batch in batches_of(run_of(SOURCE, records), start=start) for o in batch.offsets.tolist()]
    assert found == [offset for offset in sorted(offsets) if offset >= start]


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 9)), max_size=20))
def test_a_batch_has_timestamps_of_one_kind(stamps):
    """A topic may be switched to the broker's clock while it is read; a record without a timestamp has -1."""
    kinds = [TIMESTAMP_LOG_APPEND_TIME if appended else TIMESTAMP_CREATE_TIME for appended, _ in stamps]
    records = [record(at, kind=kind, time=stamps[at][1]) for at, kind in enumerate(kinds)]
    batches = batches_of(run_of(SOURCE, records), start=0)
    assert [(batch.log_append, time) for batch in batches for time in batch.timestamps.tolist()] == stamps
    assert all(a.log_append != b.log_append for a, b in pairwise(batches))


def test_keys_and_headers_are_there_when_they_are_asked_for():
    """Also of a part of a batch, and of records that have none."""
    records = [record(at, headers=[("h", b"%d" % at)] if at else None) for at in range(3)]
    (batch,) = batches_of(run_of(SOURCE, records), start=0)
    assert list(batch.keys) == [b"0", b"1", b"2"]
    assert (batch.keys[1:][0], batch.headers[1:][1], batch.headers[0]) == (b"1", [("h", b"2")], None)
    both = merged([batch, *batches_of(run_of(SOURCE, [record(7)]), start=0)])
    assert (list(both.keys), both.offsets.tolist()) == ([b"0", b"1", b"2", b"7"], [0, 1, 2, 7])
    assert both.headers[2] == [("h", b"2")]
