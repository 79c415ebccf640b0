"""Trouble with the consumer group: rows 10 to 13, 39 and 55."""

from __future__ import annotations

import time

import pytest

from monitor.intake.embedded import EmbeddedBroker
from tests.daemon.ask import get, samples, until
from tests.daemon.build import await_done, scene, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.world import ends_well, has_read, is_exact, on_kafka, pieces

OFFSET_COMMIT, OFFSET_FETCH, JOIN, HEARTBEAT = 8, 9, 11, 12
"""Requests of Kafka's protocol."""
LOADING, NOT_COORDINATOR, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 14, 16, 22, 25, 27
AUTHORIZATION, STALE_EPOCH = 30, 113


@pytest.fixture
def brokers():
    with EmbeddedBroker(brokers=3) as running:
        yield running


def test_row_10_the_poll_interval_is_exceeded(make):
    """A loop that sleeps too long loses its partitions: they are dropped at once, counted, and read on from the last
    checkpoint when they return."""
    scene = make(kafka={"properties": {"max.poll.interval.ms": 1500, "session.timeout.ms": 1000}})
    sent = stream(range(6))
    with scene.daemon() as daemon:
        lost = []
        drop = daemon.ingest.lost
        daemon.ingest.lost = lambda sources: (lost.append(sorted(sources)), drop(sources))
        scene.send(sent[: len(sent) // 2])
        until(lambda: sum(r.applied for r in daemon.view().partitions) > 0, "the first records")
        before = samples(daemon.server.url)["rebalances_total",]
        daemon._on_ingest.call(lambda: time.sleep(2.5))
        until(lambda: lost, "the partitions to be lost")
        until(lambda: len(daemon.ingest.partitions) == 3, "the partitions to return")
        scene.send(sent[len(sent) // 2 :])
        await_done(daemon, len(sent))
        assert samples(daemon.server.url)["rebalances_total",] > before
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_row_11_the_coordinator_moves_and_is_loading(tmp_path, brokers, receiver):
    """Joins, heartbeats and commits that no coordinator takes are tried again; commits that are refused for ever
    change no count."""
    made = scene(tmp_path, brokers, receiver=receiver)
    group = f"{made.settings['kafka']['group']}.ingest"
    sent = stream(range(6))
    brokers.fail(JOIN, NOT_COORDINATOR, LOADING)
    brokers.fail(OFFSET_COMMIT, *[NOT_COORDINATOR, LOADING] * 500)
    with made.daemon() as daemon:
        for number, piece in enumerate(pieces(sent, 3)):
            made.send(piece)
            brokers.call("rd_kafka_mock_coordinator_set", b"group", group.encode(), 1 + number % 3)
            brokers.fail(HEARTBEAT, NOT_COORDINATOR, LOADING)
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert get(f"{daemon.server.url}/-/healthy")[0] == 200


@pytest.mark.slow
def test_row_12_a_commit_is_refused_for_every_reason(make, broker, capsys):
    """Whatever a commit is answered, no position moves and nobody is bothered: commits are advisory."""
    scene = make()
    sent = stream(range(8))
    with scene.daemon() as daemon:
        refusals = (ILLEGAL_GENERATION, REBALANCING, UNKNOWN_MEMBER, STALE_EPOCH)
        for refusal, piece in zip(refusals, pieces(sent, 4), strict=True):
            broker.fail(OFFSET_COMMIT, *[refusal] * 3)
            scene.send(piece)
            done = sent[: sent.index(piece[-1]) + 1]
            await_done(daemon, len(done))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert "commit_failed" not in capsys.readouterr().out


def test_row_13_committed_offsets_are_not_to_be_had(make, broker):
    """Where the state ends is where reading goes on, not at the end of the log, whatever the group says."""
    scene = make(sources={"predictions": {"start": "latest"}})
    sent = stream(range(6))
    with scene.daemon() as daemon:
        until(lambda: len(daemon.ingest._begun) == 3, "the partitions to begin")
        scene.send(sent[: len(sent) // 2])
        await_done(daemon, len(sent) // 2)
    scene.send(sent[len(sent) // 2 :])
    broker.fail(OFFSET_FETCH, *[AUTHORIZATION, LOADING, NOT_COORDINATOR] * 200)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), None) == []


def test_row_39_a_callback_raises_inside_a_poll(make):
    """Statistics, log lines and errors whose callbacks have a defect cost no record: the records in hand are read
    again."""
    scene = make(kafka={"properties": {"statistics.interval.ms": 50}})
    sent = stream(range(8))
    raised = []

    def broken(*_):
        if daemon.ingest.partitions and len(raised) < 6:
            raised.append(1)
            raise ZeroDivisionError("a defect")

    with scene.daemon() as daemon:
        listener = daemon.ingest.consumer._listener
        listener._statistics = listener._note_line = broken
        for piece in pieces(sent, 8):
            scene.send(piece)
            time.sleep(0.05)
        await_done(daemon, len(sent))
        until(lambda: len(raised) == 6, "the callback to raise")
        assert samples(daemon.server.url)["internal_errors_total", "ingest"] > 0
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_row_55_two_processes_are_the_same_member(tmp_path, kafka, receiver, protocol):
    """Of two with one group.instance.id one goes on and the other ends, and says why; neither takes it back from the
    other, and what is counted is exact."""
    same = {"group.instance.id": "the-only", "group.protocol": protocol}
    if protocol == "consumer":
        same |= {"session.timeout.ms": None, "heartbeat.interval.ms": None}
    one = on_kafka(tmp_path / "one", kafka, receiver=receiver, kafka={"properties": same})
    two = scene(tmp_path / "two", kafka, receiver=receiver, create=False, kafka={"properties": same})
    two.topic = one.topic
    two.configure(kafka={"group": f"g-{one.topic}"}, sources={"predictions": {"topic": one.topic}})
    sent = stream(range(3))
    one.send(sent)
    with one.process() as first:
        until(lambda: has_read(first, len(sent)), "the first to read all")
        with two.process("--accept-data-loss") as second:
            until(lambda: first.process.poll() is not None or second.process.poll() is not None, "one to end")
            ended, left = (first, second) if first.process.poll() is not None else (second, first)
            assert ended.process.wait(5) == 1
            assert "group.instance.id" in ended.output
            assert "Traceback" not in ended.output
            ends_well(left, sent)
    for made, life in ((one, first), (two, second)):
        if life is left:
            is_exact(made, sent)
