"""Trouble with fetching: rows 15, 16, 24, 25 and 27."""

from __future__ import annotations

import ctypes
import time

import pytest

from monitor.intake import watchdog
from monitor.intake.embedded import EmbeddedBroker
from monitor.names import Source
from tests.daemon.ask import get, until
from tests.daemon.build import await_done, scene, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.world import pieces

FETCH = 1
CORRUPT, UNKNOWN_TOPIC, NO_LEADER, NOT_LEADER, STORAGE = 2, 3, 5, 6, 56


@pytest.fixture
def brokers():
    with EmbeddedBroker(brokers=3) as running:
        yield running


def blind(brokers, topic, partition, upto):
    """Let fetches of a partition go to a follower that knows of nothing behind `upto`; None: as before."""
    name = topic.encode()
    brokers.call("rd_kafka_mock_partition_set_follower", name, partition, -1 if upto is None else 3)
    if upto is not None:
        brokers.call(
            "rd_kafka_mock_partition_set_follower_wmarks",
            name,
            partition,
            ctypes.c_int64(0),
            ctypes.c_int64(upto),
        )


def test_row_15_leaders_change_followers_serve_and_a_broker_goes(tmp_path, brokers, receiver):
    """Whoever serves a partition, and whoever leaves for good: nobody notices."""
    made = scene(tmp_path, brokers, receiver=receiver)
    name, sent = made.topic.encode(), stream(range(8))
    with made.daemon() as daemon:
        for number, piece in enumerate(pieces(sent, 4)):
            made.send(piece)
            for partition in range(3):
                leader = 1 + (number + partition) % 3 if number < 2 else 1 + (number + partition) % 2
                brokers.call("rd_kafka_mock_partition_set_leader", name, partition, leader)
            if number == 1:
                brokers.call("rd_kafka_mock_partition_set_follower", name, 0, 2)
            if number == 2:
                brokers.call("rd_kafka_mock_partition_set_follower", name, 0, -1)
                brokers.call("rd_kafka_mock_broker_decommission", 3)
            time.sleep(0.3)
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert get(f"{daemon.server.url}/-/healthy")[0] == 200


@pytest.mark.slow
def test_row_27_a_partition_is_silently_not_fetched(tmp_path, brokers, receiver, monkeypatch):
    """Its log grows and nothing of it comes: it is assigned anew, and read on; where that does not help the process
    ends with the reason, instead of judging without it."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY", 0.5)
    made = scene(tmp_path, brokers, receiver=receiver)
    sent = stream(range(4))
    half, third = sent[: len(sent) * 3 // 4], Source(made.topic, 2)
    with made.daemon() as daemon:
        made.send(half)
        await_done(daemon, len(half))
        consumer = daemon.ingest.consumer
        blind(brokers, made.topic, 2, len(half) // 3)
        made.send(sent[len(half) :])
        until(lambda: consumer.query(third)[1] == len(sent) // 3, "the end to be known")
        anew = []
        fetch = consumer._fetch_anew
        consumer._fetch_anew = lambda sources: (anew.extend(sources), fetch(sources))
        until(lambda: anew, "the partition to be assigned anew")
        until(daemon.stopping.is_set, "the daemon to give up")
        assert "no record comes of" in daemon.failure
    blind(brokers, made.topic, 2, None)
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
