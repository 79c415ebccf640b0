"""Brokers that do not take what is appended to the state, take it and do not say so, or give back something else: rows
17, 18 and 21."""

from __future__ import annotations

import ctypes
import json
from collections import Counter

import pytest
from confluent_kafka import Producer

from monitor import metrics
from monitor.clock import SystemClock
from monitor.names import Source
from monitor.state.kafka import appender
from monitor.state.kafka.appender import Appender
from monitor.state.kafka.broker import Broker, ReadingBroker
from monitor.state.kafka.keys import MarkerKey, SlotKey, decode_state
from monitor.state.kafka.logs import Place
from tests.daemon.ask import samples, until
from tests.daemon.build import scene as scene_of
from tests.daemon.build import stream
from tests.faults.shared_state import await_judged, reports, running, shared, topics, wrong
from tests.faults.world import pieces

PRODUCE = 0
TIMED_OUT, NOT_ENOUGH_REPLICAS, NOT_ENOUGH_AFTER_APPEND, OUT_OF_ORDER, TOO_LARGE = 7, 19, 20, 45, 10


def await_applied(daemon, count):
    until(
        lambda: sum(one.applied for one in reports(daemon).values()) == count,
        f"{count} records to be applied",
    )


@pytest.fixture
def made(tmp_path, broker, receiver, monkeypatch):
    """A scene with its topics, whose state lies in the embedded cluster."""
    monkeypatch.setattr(
        "monitor.state.kafka.admin.ensure_topics", lambda *_, **__: None
    )  # it cannot be asked for topics
    scene = shared(tmp_path, broker, receiver=receiver, make=scene_of)
    for name, partitions in zip(topics(scene), (3, 2, 1, 2), strict=True):
        broker.create_topic(name, partitions=partitions)
    return scene


def test_row_17_appends_are_refused_for_every_reason(made, broker, monkeypatch):
    """Time-outs, too few replicas, records that are too large, and what ends an idempotent producer for good: what
    was not acknowledged is written again by another writer, and counted once."""
    opened = []
    begin = Appender._open
    monkeypatch.setattr(Appender, "_open", lambda self: opened.append(begin(self)) or opened[-1])
    sent = stream(range(4))
    with running(made) as daemon:
        before = samples(daemon.server.url)["internal_errors_total", "ingest"]
        refusals = (
            [TIMED_OUT] * 3,
            [NOT_ENOUGH_REPLICAS, NOT_ENOUGH_AFTER_APPEND],
            [OUT_OF_ORDER],
            [TOO_LARGE],
        )
        done = 0
        for codes, piece in zip(refusals, pieces(sent, 4), strict=True):
            made.send(piece)
            broker.fail(PRODUCE, *codes)
            done += len(piece)
            await_applied(daemon, done)
        await_judged(daemon, sent, idle=3)
        assert samples(daemon.server.url)["internal_errors_total", "ingest"] == before
    assert len(opened) > 1
    assert wrong(made, sent) == []


@pytest.mark.slow
def test_row_18_the_answers_are_lost_after_the_append(made, broker, monkeypatch):
    """What was appended is not confirmed in time, and the client sends it again: it is in the log twice, and counted
    once."""
    hasty = {**appender.APPENDING, "socket.timeout.ms": 500}
    monkeypatch.setattr(appender, "APPENDING", hasty)
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    with running(made) as daemon:
        made.send(first)
        await_applied(daemon, len(first))
        late(
            broker, 9, 2_000
        )  # the client looks for requests that are late once a second; ours have some of them
        made.send(second)
        until(lambda: repeated(made), "records of the state to be there twice")
        await_judged(daemon, sent, idle=3)
    assert wrong(made, sent) == []


def late(broker, count, milliseconds):
    """So many answers to appends, of whoever comes first, come so late; each append is done at once."""
    fates = [value for _ in range(count) for value in (0, milliseconds)]
    broker.call("rd_kafka_mock_broker_push_request_error_rtts", 1, PRODUCE, ctypes.c_size_t(count), *fates)


def stored(made):
    """All records of the state as (its partition, record), oldest first."""
    logs = ReadingBroker({"bootstrap.servers": made.bootstrap}, clock=SystemClock())
    try:
        return [
            (number, record)
            for number in range(3)
            for record in logs.read(Place(topics(made).state, number), 0)
        ]
    finally:
        logs.close()


def repeated(made):
    """Records of the state that stand in the log more than once."""
    found = Counter(record[1:] for _, record in stored(made) if record.value)
    return [record for record, count in found.items() if count > 1]


def hurt(made, kind, before):
    """Cut short, of what a process has stored of the first partition after `before`, its marker or all of one sketch
    that the marker counts."""
    mine = Source(made.topic, 0)
    newest = {record.key: (number, record.value) for number, record in stored(made)}
    theirs = {record.key for _, record in before}
    names = {key: decode_state(key) for key, (_, value) in newest.items() if value and key not in theirs}
    found = {key: name for key, name in names.items() if isinstance(name, kind)}
    if kind is MarkerKey:
        chosen = [key for key, name in found.items() if name.source == mine]
    else:
        last = max(
            (name.sketch for name in found.values() if name.sketch.source == mine), key=lambda s: s.pane
        )
        chosen = [key for key, name in found.items() if name.sketch == last]
    assert chosen
    producer = Producer({"bootstrap.servers": made.bootstrap})
    for key in chosen:
        number, value = newest[key]
        producer.produce(topics(made).state, value[: len(value) // 2], key, number)
    assert producer.flush(30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MarkerKey, SlotKey])
def test_row_21_what_is_stored_does_not_verify(made, monkeypatch, capsys, kind):
    """The newest checkpoint of a partition is void: the next process says so, goes on from the one before it, which stands
    beside it still, and counts what lies between once more, exactly; the others go on where they were."""
    sent = stream(range(6))
    first, second, third = pieces(sent, 3)
    with running(made) as daemon:
        made.send(first)
        await_judged(daemon, first, idle=3)
    before, send = stored(made), Broker.send
    with monkeypatch.context() as lost, running(made) as daemon:  # what would take the first's away
        lost.setattr(Broker, "send", lambda self, records: send(self, [one for one in records if one.value]))
        made.send(second)
        await_judged(daemon, [*first, *second], idle=3)
    hurt(made, kind, before)
    capsys.readouterr()
    fallbacks = metrics.STATE_FALLBACKS_TOTAL._value.get()
    with running(made) as daemon:
        until(lambda: len(daemon.ingest.partitions) == 3, "all to be recovered")
        assert samples(daemon.server.url)["state_fallbacks_total",] == fallbacks + 1
        made.send(third)
        await_judged(daemon, sent, idle=3)
        assert daemon.state.divergences == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (fell,) = [line for line in lines if line["event"] == "state_fell_back"]
    assert (fell["source"], fell["applied"]) == (f"{made.topic}/0", len(first) // 3)
    places = {line["source"]: line["offset"] for line in lines if line["event"] == "partition_recovered"}
    done = len(first) // 3
    assert places == {f"{made.topic}/{n}": done if n == 0 else 2 * done for n in range(3)}
    assert wrong(made, sent) == []
