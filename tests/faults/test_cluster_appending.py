"""Brokers that do not take what is appended to the state: row 17 on a simulated cluster."""

from __future__ import annotations

import pytest

from monitor.state.kafka.appender import Appender
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


@pytest.mark.timeout(180)
def test_row_17_appends_are_refused_for_every_reason(tmp_path, broker, receiver, monkeypatch):
    """Time-outs, too few replicas, records that are too large, and what ends an idempotent producer for good: what
    was not acknowledged is written again by another writer, and counted once."""
    opened = []
    begin = Appender._open
    monkeypatch.setattr(Appender, "_open", lambda self: opened.append(begin(self)) or opened[-1])
    monkeypatch.setattr(
        "monitor.state.kafka.admin.ensure_topics", lambda *_, **__: None
    )  # it cannot be asked for topics
    scene = shared(tmp_path, broker, receiver=receiver, make=scene_of)
    for name, partitions in zip(topics(scene), (3, 2, 1, 2), strict=True):
        broker.create_topic(name, partitions=partitions)
    sent = stream(range(4))
    with running(scene) as daemon:
        before = samples(daemon.server.url)["internal_errors_total", "ingest"]
        refusals = (
            [TIMED_OUT] * 3,
            [NOT_ENOUGH_REPLICAS, NOT_ENOUGH_AFTER_APPEND],
            [OUT_OF_ORDER],
            [TOO_LARGE],
        )
        done = 0
        for codes, piece in zip(refusals, pieces(sent, 4), strict=True):
            scene.send(piece)
            broker.fail(PRODUCE, *codes)
            done += len(piece)
            await_applied(daemon, done)
        await_judged(daemon, sent, idle=3)
        assert samples(daemon.server.url)["internal_errors_total", "ingest"] == before
    assert len(opened) > 1
    assert wrong(scene, sent) == []
