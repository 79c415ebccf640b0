"""Trouble with fetching: rows 15, 16 and 27."""

from __future__ import annotations

import ctypes
import time

import pytest
from confluent_kafka import Producer

from monitor.intake import unreadable, watchdog
from monitor.intake.embedded import EmbeddedBroker
from monitor.names import Source
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import ROWS, START, WINDOW, await_done, scene, stream, verdicts
from tests.daemon.recount import differences, recount, tally_differences
from tests.faults.world import pieces
from tests.intake.raw import append, batch

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


def send(brokers, topic, records):
    """As the scene does, and wait for as long as it takes."""
    producer = Producer({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
    for record in records:
        producer.produce(topic, record.value, None, record.partition, timestamp=record.timestamp)
    assert producer.flush(120) == 0


@pytest.mark.slow
def test_row_16_fetches_are_refused_and_take_seconds(tmp_path, brokers, receiver):
    """Answers that say that a batch is corrupt, that nobody leads or knows the partition, and answers that take one second
    and ten: what they would have held is asked for again, and nothing is passed."""
    calm = {"session.timeout.ms": 60_000, "heartbeat.interval.ms": 1000, "fetch.error.backoff.ms": 20}
    made = scene(tmp_path, brokers, receiver=receiver, kafka={"properties": calm})
    sent = stream(range(6))
    refusals = ([CORRUPT, UNKNOWN_TOPIC] * 4, [NO_LEADER, CORRUPT, STORAGE], [CORRUPT], [NOT_LEADER] * 4)
    with made.daemon() as daemon:
        consumer, gaps = daemon.ingest.consumer, []
        consumer._troubles.gap = gaps.append
        for rtt, refused, piece in zip((0, 1000, 10_000, 0), refusals, pieces(sent, 4), strict=True):
            for number in range(1, 4):
                brokers.call("rd_kafka_mock_broker_set_rtt", number, rtt)
            brokers.fail(FETCH, *refused)
            send(brokers, made.topic, piece)
            read = sent.index(piece[-1]) + 1
            until(
                lambda read=read: sum(one.applied for one in daemon.view().partitions) == read,
                "a quarter", seconds=200,
            )  # fmt: skip
            assert get(f"{daemon.server.url}/-/healthy")[0] == 200
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert gaps == []


def test_row_16_a_batch_is_corrupt(tmp_path, brokers, receiver, monkeypatch):
    """Its checksum is wrong each time: the partition waits before it, which is told with the offset, and nothing is judged
    without it. To skip it is a setting: then all that lies behind it is counted, how much was passed is told, and the
    window that it belonged to is partial, with those that were held for it."""
    monkeypatch.setattr(unreadable, "AGAIN", 0.5)
    made = scene(tmp_path, brokers, receiver=receiver, kafka={"properties": {"fetch.error.backoff.ms": 20}})
    sent = stream(range(5))
    mine = [one for one in sent if one.partition == 1]
    at, behind = 2 * ROWS + 30, 2 * ROWS + 70  # in the third window
    bad = mine[at:behind]
    left = [one for one in sent if one not in bad]
    with made.daemon() as daemon:
        url = daemon.server.url
        made.send([one for one in sent if one.partition != 1] + mine[:at])
        append(
            brokers, made.topic, 1, batch([one.value for one in bad], timestamp=bad[-1].timestamp, flip=100)
        )
        made.send(mine[behind:])
        until(
            lambda: [bool(one["paused"]) for one in api(url, "partitions")] == [False, True, False],
            "the stop",
        )
        told = api(url, "partitions")[1]
        assert told["paused"].startswith(f"offset {at} cannot be read: ")
        until(lambda: api(url, "partitions")[1]["applied"] == at, "what lies before it")
        assert samples(url)["partition_paused", "1", made.topic] == 1
        assert not api(url, "partitions")[1]["idle"]
        assert max(verdicts(daemon), default=0) <= START + 2 * WINDOW
        assert get(f"{url}/-/healthy")[0] == 200
        made.configure(sources={"predictions": {"unreadable": "skip"}})
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        await_done(daemon, len(sent))
        truth, found = recount(left), verdicts(daemon)
        assert tally_differences(daemon.state, truth) == []
        assert {end: one["rows"] for end, one in found.items()} == {
            end: truth.of_window(end) for end in truth.ends
        }
        assert max(end for end, one in found.items() if one["coverage"] < 1) == START + 3 * WINDOW
        assert samples(url)["records_skipped_total", "unreadable", made.topic] == len(bad)
        assert api(url, "partitions")[1]["paused"] == ""


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
        fetch = consumer._steering.fetch_anew
        consumer._steering.fetch_anew = lambda sources: (anew.extend(sources), fetch(sources))
        until(lambda: anew, "the partition to be assigned anew")
        until(daemon.stopping.is_set, "the daemon to give up")
        assert "no record comes of" in daemon.failure
    blind(brokers, made.topic, 2, None)
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
