"""Brokers that do not take what is appended to the state, or take it and do not say so: rows 17 and 18."""

from __future__ import annotations

from collections import Counter

import pytest

from monitor.clock import SystemClock
from monitor.state.kafka import appender
from monitor.state.kafka.appender import Appender
from monitor.state.kafka.broker import ReadingBroker
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


@pytest.mark.timeout(180)
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
@pytest.mark.timeout(180)
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
        broker.call("rd_kafka_mock_broker_set_rtt", 1, 800)
        made.send(second)
        until(lambda: repeated(made), "records of the state to be there twice")
        broker.call("rd_kafka_mock_broker_set_rtt", 1, 0)
        await_judged(daemon, sent, idle=3)
    assert wrong(made, sent) == []


def repeated(made):
    """Records of the state that stand in the log more than once."""
    logs = ReadingBroker({"bootstrap.servers": made.bootstrap}, clock=SystemClock())
    try:
        places = [Place(topics(made).state, number) for number in range(3)]
        found = Counter(record[1:] for place in places for record in logs.read(place, 0) if record.value)
    finally:
        logs.close()
    return [record for record, count in found.items() if count > 1]
