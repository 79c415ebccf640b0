"""The real thing keeps the promises that the protocol is built on."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from monitor.clock import SystemClock
from monitor.errors import StateError, StateMissing, StateUnsettled
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.kafka.properties import APPENDING, merged

SHORT = 2.0
"""Seconds that the impatient wait for a broker that does not answer."""
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
    "max.compaction.lag.ms": "500",
}


def connect(bootstrap, **given) -> Broker:
    return Broker({"bootstrap.servers": bootstrap, "log_level": 0}, clock=SystemClock(), **given)


@pytest.fixture
def broker(kafka):
    opened = connect(kafka.bootstrap)
    yield opened
    opened.close()


@pytest.fixture
def topic(kafka, request):
    name = f"logs.{request.node.name}"
    kafka.create_topic(name, partitions=3, config={"max.message.bytes": str(8 << 20)})
    return name


def numbered(place, count, start=0):
    return [Write(place, b"k%d" % n, b"v%d" % n) for n in range(start, start + count)]


def test_what_was_written_is_read_back_in_order(broker, topic):
    """Offsets are those of the records; a read begins at any of them and ends where the log ended."""
    place = Place(topic, 1)
    offsets = broker.write(numbered(place, 2500))
    assert offsets == list(range(2500))
    assert broker.end(place) == 2500
    assert list(broker.read(place, 0)) == [Record(n, b"k%d" % n, b"v%d" % n) for n in range(2500)]
    assert [record.offset for record in broker.read(place, 2498)] == [2498, 2499]
    assert list(broker.read(place, 2500)) == list(broker.read(Place(topic, 0), 0)) == []
    assert broker.partitions(topic) == 3


def test_one_write_reaches_several_places(broker, topic):
    """Offsets come in the order of the records, whatever partition each is of."""
    writes = [Write(Place(topic, n % 3), b"k", b"%d" % n) for n in range(9)]
    assert broker.write(writes) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert broker.write([]) == []
    for partition in range(3):
        found = [record.value for record in broker.read(Place(topic, partition), 0)]
        assert found == [b"%d" % n for n in range(partition, 9, 3)]


def test_tombstones_and_empty_values_differ(broker, topic):
    """None is a tombstone, an empty value is a value; what has no key is nobody's and passed over."""
    place = Place(topic, 0)
    broker.write([Write(place, b"a", None), Write(place, b"a", b""), Write(place, b"", b"x")])
    assert list(broker.read(place, 0)) == [Record(0, b"a", None), Record(1, b"a", b"")]


def test_a_read_ends_where_the_log_ended_when_it_was_asked_for(broker, topic):
    """What is appended while it is read belongs to the next read."""
    place = Place(topic, 0)
    broker.write(numbered(place, 10))
    reading = broker.read(place, 0)
    broker.write(numbered(place, 10, start=10))
    assert [record.offset for record in reading] == list(range(10))
    assert [record.offset for record in broker.read(place, 10)] == list(range(10, 20))


def test_a_read_may_be_left_in_the_middle(broker, topic):
    """The reader is used again, for another place, and nothing of the first comes with it."""
    first, second = Place(topic, 0), Place(topic, 1)
    broker.write(numbered(first, 500) + numbered(second, 5))
    for _ in range(5):
        reading = broker.read(first, 0)
        assert next(reading).offset == 0
        reading.close()
        assert [record.offset for record in broker.read(second, 0)] == list(range(5))


def test_threads_read_and_write_at_once(broker, topic):
    """Each thread finds what it has written, whatever the others do meanwhile."""
    places = [Place(topic, n % 3) for n in range(6)]

    def work(number: int) -> None:
        for turn in range(10):
            mine = b"%d/%d" % (number, turn)
            (offset,) = broker.write([Write(places[number], mine, mine)])
            assert next(iter(broker.read(places[number], offset))) == Record(offset, mine, mine)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_what_is_sent_arrives(broker, topic):
    """Nobody waits for it, and it keeps its turn among the records of this process."""
    place = Place(topic, 2)
    broker.send([Write(place, b"a", None), Write(place, b"b", b"1")])
    assert broker.write([Write(place, b"c", b"2")]) == [2]
    assert [record.key for record in broker.read(place, 0)] == [b"a", b"b", b"c"]


def test_a_start_that_retention_has_overtaken(kafka, broker, topic):
    """The read begins with the first record that is left."""
    place = Place(topic, 0)
    broker.write(numbered(place, 100))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for deleted in admin.delete_records([TopicPartition(*place, 60)]).values():
        deleted.result(10)
    assert [record.offset for record in broker.read(place, 0)] == list(range(60, 100))
    for deleted in admin.delete_records([TopicPartition(*place, 100)]).values():
        deleted.result(10)
    assert list(broker.read(place, 0)) == []


def test_compaction_leaves_holes_at_the_end_too(kafka, broker, request):
    """A read ends by its position: the last offsets may belong to nothing."""
    name = f"logs.{request.node.name}"
    kafka.create_topic(name, config=COMPACTED)
    place = Place(name, 0)
    broker.write([Write(place, b"kept", b"1"), *(Write(place, b"gone", b"%d" % n) for n in range(50))])
    broker.write([Write(place, b"gone", None)])
    until, turn = time.monotonic() + 60, 0
    while any(record.key == b"gone" for record in broker.read(place, 0)) and time.monotonic() < until:
        turn += 1
        broker.write([Write(place, b"kept", b"%d" % turn), Write(place, b"last", None)])
        time.sleep(0.3)
    found = list(broker.read(place, 0))
    assert b"gone" not in {record.key for record in found}
    assert broker.end(place) > len(found) + 50


def test_a_topic_that_is_not_there(broker, topic):
    """StateMissing, at once, for a topic and for a partition."""
    with pytest.raises(StateMissing, match=r"no such topic or partition - logs\.nowhere - "):
        broker.partitions("logs.nowhere")
    for place in (Place("logs.nowhere", 0), Place(topic, 7)):
        with pytest.raises(StateMissing, match=f"no such topic or partition - {place} - "):
            broker.read(place, 0)


def test_a_topic_that_was_not_there_for_a_moment_is_found(broker, kafka, topic, request):
    """Among others that were: what the library remembers of it, up to a quarter of an hour, is not believed."""
    assert broker.end(Place(topic, 0)) == 0
    place = Place(f"logs.{request.node.name}.later", 0)
    for _ in range(3):
        with pytest.raises(StateMissing, match=f"no such topic or partition - {place} - "):
            broker.end(place)
    kafka.create_topic(place.topic)
    until = time.monotonic() + 10
    while True:  # until all of the cluster knows of it
        try:
            assert broker.end(place) == 0
            return
        except StateMissing:
            assert time.monotonic() < until
        time.sleep(0.1)


def test_a_record_that_is_refused_costs_no_other(broker, topic):
    """A record too large is unsettled; those of other threads are acknowledged all the same."""
    large, small = Place(topic, 0), Place(topic, 1)
    noise = random.Random(0).randbytes(9 << 20)  # what is compressed to less is not too large
    stop = threading.Event()

    def others() -> int:
        written = 0
        while not stop.is_set():
            written += len(broker.write(numbered(small, 20)))
        return written

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(others)
        for _ in range(3):
            with pytest.raises(StateUnsettled, match=r"1 of 2 records not acknowledged .*too large"):
                broker.write([Write(large, b"a", b"1"), Write(large, b"b", noise)])
        stop.set()
        written = running.result(30)
    assert broker.end(small) == written
    assert {record.key for record in broker.read(large, 0)} == {b"a"}


def test_properties_that_the_library_refuses(kafka):
    """StateError when it is made, not in the middle of the work."""
    with pytest.raises(StateError, match="no kafka client - kafka - No such configuration property"):
        Broker({"bootstrap.servers": kafka.bootstrap, "no.such": "1"}, clock=SystemClock())


def test_properties_of_the_configuration_do_not_decide_on_durability():
    """Neither under the library's other names; everything else passes."""
    given = {
        "acks": "0",
        "request.required.acks": "0",
        "compression.codec": "zstd",
        "delivery.timeout.ms": "1",
        "group.instance.id": "x",
        "security.protocol": "SSL",
        "socket.nagle.disable": False,
    }
    found = merged(given, APPENDING)
    assert found.items() >= {**APPENDING, "security.protocol": "SSL", "socket.nagle.disable": False}.items()
    assert not found.keys() & {"request.required.acks", "compression.codec", "delivery.timeout.ms"}
    assert "group.instance.id" not in found


def test_after_close(kafka, topic):
    """Every call says that it comes too late; closing takes no time."""
    broker = connect(kafka.bootstrap)
    place = Place(topic, 0)
    broker.write(numbered(place, 3))
    reading = broker.read(place, 0)
    assert next(reading).offset == 0
    broker.close()
    assert [record.offset for record in reading] == [1, 2]
    broker.send(numbered(place, 1))
    for call in (
        lambda: broker.write(numbered(place, 1)),
        lambda: broker.end(place),
        lambda: broker.read(place, 0),
        lambda: broker.partitions(topic),
    ):
        with pytest.raises(StateError):
            call()


def test_a_broker_that_does_not_answer(frail):
    """Every call gives up in time; once the broker answers again everything goes on by itself, and what
    was not acknowledged may be there or not."""
    frail.create_topic("paused")
    broker, place = connect(frail.bootstrap, deadline=SHORT, patience=SHORT), Place("paused", 0)
    try:
        broker.write(numbered(place, 5))
        assert len(list(broker.read(place, 0))) == 5
        reading = broker.read(place, 0)
        frail.pause()
        time.sleep(0.5)  # until all of its threads have stopped
        began = time.monotonic()
        with pytest.raises(StateUnsettled, match=r"5 of 5 records not acknowledged \(.*\) - paused/0 - "):
            broker.write(numbered(place, 5, start=5))
        with pytest.raises(StateError, match=r"cannot be read \(.*\) - paused/0 - brokers that answer"):
            list(reading)
        with pytest.raises(StateError):
            broker.end(place)
        with pytest.raises(StateError):
            broker.partitions("paused")
        broker.send(numbered(place, 5))
        assert time.monotonic() - began < 4 * SHORT + 8
        frail.resume()
        offset = _insist(lambda: broker.write(numbered(place, 1, start=10)))[-1]
        found = _insist(lambda: list(broker.read(place, 0)))
        assert [record.key for record in found if record.offset == offset] == [b"k10"]
        assert [record.key for record in found[:5]] == [b"k%d" % n for n in range(5)]
    finally:
        frail.resume()
        broker.close()


def test_a_broker_that_dies_and_comes_back(frail):
    """A write that waits while the broker starts again is either acknowledged or unsettled, and what was
    acknowledged is there."""
    frail.create_topic("killed")
    broker, place = connect(frail.bootstrap, deadline=SHORT, patience=SHORT), Place("killed", 0)
    acknowledged, stop = [], threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            key = b"w%d" % number
            number += 1
            try:
                broker.write([Write(place, key, key)])
            except StateUnsettled:
                continue
            acknowledged.append(key)

    writing = threading.Thread(target=write)
    try:
        writing.start()
        time.sleep(1.0)
        frail.kill()
        before = len(acknowledged)
        frail.start()
        _until(lambda: len(acknowledged) > before + 5)
        stop.set()
        writing.join(30)
        found = {record.key for record in _insist(lambda: list(broker.read(place, 0)))}
        assert found >= set(acknowledged)
    finally:
        stop.set()
        broker.close()


def test_a_fatal_error_of_the_client_is_no_end(kafka, broker, topic):
    """The next write goes through another client."""
    place = Place(topic, 0)
    broker.write(numbered(place, 1))
    line = broker._appender._line
    line.fatal = "as if"
    assert broker.write(numbered(place, 1, start=1)) == [1]
    assert broker._appender._line is not line


def _insist(call):
    """Repeat a call until the broker answers."""
    until = time.monotonic() + 60
    while True:
        try:
            return call()
        except (StateError, KafkaException):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _until(is_so) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
