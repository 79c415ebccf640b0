"""Records straight out of librdkafka: what they hold, what comes past the queue, and when there is no way to it."""

from __future__ import annotations

import ctypes
import gc
import weakref
from contextlib import suppress
from pathlib import Path

import confluent_kafka
import pytest

from monitor.clock import SystemClock
from monitor.intake import consumer as intake
from monitor.intake import fetch
from monitor.intake.consumer import Consumer
from monitor.intake.library import NotFoundError, handle_of, is_known, library
from monitor.intake.packed import Packed
from monitor.names import Source
from tests.intake.keeper import QUICK, Keeper, connect, drain, fill, until

RECORDS = [
    (b"value", b"key", [("h", b"v")]),
    (None, None, None),
    (b"", b"", [("same", b"1"), ("same", None), ("größe", b""), ("same", b"\xff\x00")]),
    (b"\x00\n\xff" * 50, None, None),
    (b"last", b"k" * 300, [("h" * 200, b"v" * 5000)]),
]


def numbered(count, start=0):
    return [b"%d" % number for number in range(start, start + count)]


def resident():
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def stray(consumer, source):
    """Let the records of a partition go to the client library's own queue."""
    queue = consumer._queue
    functions = library()
    functions.rd_kafka_queue_get_consumer.restype = ctypes.c_void_p
    functions.rd_kafka_queue_get_consumer.argtypes = [ctypes.c_void_p]
    own = functions.rd_kafka_queue_get_consumer(queue._handle)
    theirs = functions.rd_kafka_queue_get_partition(queue._handle, source.topic.encode(), source.partition)
    functions.rd_kafka_queue_forward(theirs, own)
    functions.rd_kafka_queue_destroy(theirs)
    functions.rd_kafka_queue_destroy(own)


def off(consumer, source):
    """Let the records of a partition come nowhere, as after a fetch that ended unseen."""
    functions, handle = library(), consumer._queue._handle
    theirs = functions.rd_kafka_queue_get_partition(handle, source.topic.encode(), source.partition)
    functions.rd_kafka_queue_forward(theirs, None)
    functions.rd_kafka_queue_destroy(theirs)


def test_records_are_taken_from_librdkafka_itself_here(broker, topic):
    """With the library that is installed the shorter way is there, and what it gives is read in place."""
    keeper = Keeper()
    fill(broker, topic, [b"x"], partition=0)
    consumer, plain = connect(broker, topic, keeper), connect(broker, topic, Keeper(), direct=False)
    assert (consumer.is_direct, plain.is_direct) == (True, False)
    plain.close()
    batches = []
    until(lambda: batches, lambda: batches.extend(consumer.poll(10, 0.1)))
    assert isinstance(batches[0].values, Packed)
    consumer.close()


def test_the_installed_librdkafka_was_looked_at():
    """A newer one: see that rdkafka_msgset_reader.c still hands out values where they lie, with the number of
    headers behind them, and raise `library._KNOWN`. Until then every record is asked for its headers."""
    assert is_known()


@pytest.mark.parametrize("known", [True, False])
def test_every_kind_of_record_arrives_as_it_was_sent(connect, broker, topic, known, monkeypatch):
    """Null and empty values and keys, several headers of one name, without a value, not of ASCII."""
    monkeypatch.setattr(fetch, "is_known", lambda: known)
    for value, key, headers in RECORDS:
        fill(broker, topic, [value], partition=2, key=key, headers=headers, timestamp=77)
    batches = []
    consumer = connect(broker, topic, Keeper())
    until(lambda: sum(map(len, batches)) == len(RECORDS), lambda: batches.extend(consumer.poll(10, 0.1)))
    found = [pair for batch in batches for pair in zip(batch.values, batch.keys, batch.headers, strict=True)]
    assert found == RECORDS
    assert all((batch.timestamps == 77).all() and not batch.log_append for batch in batches)
    consumer.close()


def test_records_of_several_topics_and_partitions_are_kept_apart(broker, topic):
    """They come mixed out of one queue."""
    broker.create_topic(f"{topic}-two", partitions=2)
    keeper = Keeper()
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap, **QUICK},
        group=topic,
        topics={topic: "earliest", f"{topic}-two": "earliest"},
        assignments=keeper,
        clock=SystemClock(),
    )
    fill(broker, topic, numbered(300))
    for partition in range(2):
        fill(broker, f"{topic}-two", numbered(100), partition=partition)
    drain(consumer, keeper, 500)
    assert keeper.taken[Source(f"{topic}-two", 1)] == numbered(100)
    consumer.close()


def test_what_comes_past_the_queue_is_fetched_again(broker, topic):
    """Neither lost nor doubled nor out of order, more than are looked at at once and while others flow."""
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    fill(broker, topic, numbered(300))
    drain(consumer, keeper, 300)
    for turn in range(3):
        for partition in range(turn + 1):
            stray(consumer, Source(topic, partition))
        fill(broker, topic, numbered(6000))
        drain(consumer, keeper, 300 + 6000 * (turn + 1))
    consumer.close()


def test_a_partition_that_was_taken_off_the_queue_comes_back(broker, topic):
    """Whatever the library forgets: a queue that nothing comes from is looked after."""
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    fill(broker, topic, numbered(300))
    drain(consumer, keeper, 300)
    off(consumer, Source(topic, 1))
    fill(broker, topic, numbered(300))
    drain(consumer, keeper, 600)
    consumer.close()


def test_a_partition_comes_back_while_others_flow(broker, topic, monkeypatch):
    """No poll is empty meanwhile, so that nobody would miss it."""
    monkeypatch.setattr(intake, "FORWARD_SECONDS", 0.1)
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    fill(broker, topic, numbered(300))
    drain(consumer, keeper, 300)
    off(consumer, Source(topic, 1))
    fill(broker, topic, numbered(100), partition=1)
    fill(broker, topic, numbered(20_000), partition=0)

    def turn():
        batches = consumer.poll(10, 0.5)
        assert batches
        keeper.take(batches)

    until(lambda: keeper.next[Source(topic, 1)] == 200, turn)
    consumer.close()


def test_an_error_behind_the_copy_loses_none(connect, broker, topic, monkeypatch):
    """What raises when some partitions were seen already leaves all of them where they were."""
    make, made = intake.batches_of, []

    def fail(run, *, start):
        made.append(run.source)
        if len(made) in {2, 4, 7}:
            raise MemoryError
        return make(run, start=start)

    monkeypatch.setattr(intake, "batches_of", fail)
    fill(broker, topic, numbered(900))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)

    def turn():
        with suppress(MemoryError):
            keeper.take(consumer.poll(900, 0.2))

    until(lambda: keeper.records >= 900, turn)
    assert keeper.records == 900
    assert len(made) >= 7
    consumer.close()


def test_a_topic_is_named_while_its_records_are_held(broker, topic, monkeypatch):
    """They may be all that keeps its name: it was deleted, and its partitions given up."""
    fill(broker, topic, numbered(30))
    keeper, steps, gather = Keeper(), [], fetch.g.gather
    consumer = connect(broker, topic, keeper)
    name = consumer._queue._topic
    monkeypatch.setattr(fetch.g, "gather", lambda *given: (steps.append("copied"), gather(*given)))
    monkeypatch.setattr(consumer._queue, "_topic", lambda pointer: (steps.append("named"), name(pointer))[1])
    until(lambda: "copied" in steps, lambda: keeper.take(consumer.poll(5, 0.1)))
    assert steps[0] == "named"
    consumer.close()


@pytest.mark.slow(25)
def test_members_come_and_go_while_records_flow(connect, broker, topic):
    """Every offset is handed out once and in order, however often a partition changes hands and returns."""
    shared = {}
    one = Keeper()
    one.next = shared
    first = connect(broker, topic, one)
    sent, others = 0, []

    def flow(*turns):
        nonlocal sent
        fill(broker, topic, numbered(300))
        sent += 300
        for turn in turns:
            turn()

    for _ in range(3):
        two = Keeper()
        two.next = shared
        others.append(two)
        second = connect(broker, topic, two)
        turns = (lambda: one.take(first.poll(70, 0.02)), lambda c=second, k=two: k.take(c.poll(70, 0.02)))
        until(lambda k=two: k.records > 200, lambda turns=turns: flow(*turns))
        second.close()
        until(lambda: len(first.assigned()) == 3, turns[0])
    until(lambda: one.records + sum(k.records for k in others) >= sent, turns[0])
    assert one.records + sum(k.records for k in others) == sent
    first.close()


def test_a_seek_drops_what_is_queued(connect, broker, topic):
    """Back and forth while records of before the seek lie in the queue, and while paused."""
    fill(broker, topic, numbered(900), partition=0)
    keeper, source = Keeper(), Source(topic, 0)
    consumer = connect(broker, topic, keeper)
    until(lambda: keeper.records >= 100, lambda: keeper.take(consumer.poll(50, 0.05)))
    for offset in (0, 500, 3, 850, 0):
        consumer.seek(source, offset)
        keeper.next[source] = offset
        end = offset + 40
        until(lambda e=end: keeper.next[source] >= e, lambda: keeper.take(consumer.poll(20, 0.05)))
        consumer.pause(source)
        assert consumer.poll(100, 0.05) == []
        consumer.resume(source)
    until(lambda: keeper.next[source] == 900, lambda: keeper.take(consumer.poll(1000, 0.05)))
    consumer.close()


def test_an_error_while_records_are_copied_loses_none(broker, topic, monkeypatch):
    """The library has its memory back, and the records are fetched again."""
    fill(broker, topic, numbered(300))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    raised = []

    class Full:
        def empty(self, *_):
            raised.append(1)
            raise MemoryError

    pool = consumer._queue._pool
    monkeypatch.setattr(consumer._queue, "_pool", Full())

    def turn():
        try:
            keeper.take(consumer.poll(50, 0.05))
        except MemoryError:
            if len(raised) == 3:
                consumer._queue._pool = pool

    until(lambda: keeper.records >= 300, turn)
    assert (keeper.records, len(raised)) == (300, 3)
    consumer.close()


def test_closing_does_not_wait_for_what_is_queued(broker, topic):
    """With thousands of records fetched and not taken; what was taken stays readable."""
    fill(broker, topic, numbered(30_000))
    consumer = connect(broker, topic, Keeper())
    batches = []
    until(lambda: batches, lambda: batches.extend(consumer.poll(10, 0.1)))
    consumer.close()
    assert [value for batch in batches for value in batch.values][:2] == [b"0", b"3"]
    with pytest.raises(RuntimeError):
        consumer.poll(10, 0.0)


def test_a_consumer_that_was_not_closed_is_collected(broker, topic):
    """The queue goes before the client, which would wait for it for ever."""
    fill(broker, topic, numbered(3000))
    held = [connect(broker, topic, Keeper())]
    until(lambda: held[0].poll(10, 0.1), lambda: None)
    gone = weakref.ref(held.pop())
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("thing", [bytearray(100), object(), 2**70, "text", [1, 2, 3]])
def test_what_is_no_client_is_refused(thing):
    """Whatever lies where the pointer should be; a wrong address ends nothing."""
    with pytest.raises(NotFoundError):
        handle_of(thing, "driftline")


def test_another_name_is_refused(broker):
    """Also one that only begins alike, or has signs that patterns know."""
    client = confluent_kafka.Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "g", "client.id": "a.b"}
    )
    assert handle_of(client, "a.b") > 0
    for name in ("a", "a.", "a.b#consumer", "axb", ".*", ""):
        with pytest.raises(NotFoundError):
            handle_of(client, name)
    client.close()
    with pytest.raises(NotFoundError):
        handle_of(client, "a.b")


def test_without_a_way_to_the_library_the_client_library_hands_out(broker, topic, monkeypatch):
    """Nothing but speed is lost."""

    def refuse(*_):
        raise NotFoundError("not here")

    monkeypatch.setattr(fetch, "handle_of", refuse)
    fill(broker, topic, numbered(300))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    assert not consumer.is_direct
    drain(consumer, keeper, 300)
    consumer.close()


@pytest.mark.night
def test_memory_stays_flat(broker, topic):
    """Five million records with keys and headers, read again and again: nothing of the library's is kept."""
    count = 20_000
    fill(broker, topic, numbered(count), partition=0, key=b"key", headers=[("h", b"v")])
    source, keeper = Source(topic, 0), Keeper()
    consumer = connect(broker, topic, keeper)
    drain(consumer, keeper, count)

    def again(times):
        for _ in range(times):
            consumer.seek(source, 0)
            left = count
            while left:
                left -= sum(map(len, consumer.poll(10_000, 0.02)))

    again(10)
    before = resident()
    again(5_000_000 // count)
    assert resident() - before < 16 << 20
    consumer.close()
