"""What people and brokers do to the topics of a daemon whose state is in Kafka: rows 5, 14, 17, 22, 26 and 54."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from monitor.names import Source
from monitor.state.kafka import keys, manifest
from monitor.state.kafka.broker import DEADLINE
from monitor.state.kafka.keys import partition_of_source
from monitor.state.kafka.logs import Place
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, stream
from tests.faults.shared_state import Operator, await_judged, left, reports, running, shared, topics, wrong
from tests.faults.test_cluster_state import newer
from tests.faults.world import BRISK, ends_well, lines_of, partitions_of, pieces

pytestmark = pytest.mark.slow


def durable(life):
    """How many records are, as the API says."""
    return sum(one["applied"] for one in partitions_of(life))


def test_row_17_the_state_topic_takes_no_record(kafka, tmp_path, receiver):
    """Records are too large for it: nothing more is read, which is told with the reason, and once the topic takes
    records again all of it is counted, once."""
    scene, operator = shared(tmp_path, kafka, receiver=receiver), Operator(kafka.bootstrap)
    sent = stream(range(3))
    first, second = pieces(sent, 2)
    state = topics(scene).state
    with running(scene) as daemon:
        scene.send(first)
        until(lambda: sum(one.applied for one in reports(daemon).values()) == len(first), "the first half")
        operator.set(state, "max.message.bytes", "300")
        scene.send(second)
        until(lambda: any(one.paused for one in reports(daemon).values()), "a partition to be paused")
        told = {one["paused"] for one in api(daemon.server.url, "partitions")} - {""}
        assert all("not acknowledged" in reason and state in reason for reason in told)
        assert sum(one.applied for one in reports(daemon).values()) < len(sent)
        operator.set(state, "max.message.bytes", str(8 << 20))
        await_judged(daemon, sent, idle=3)
    assert wrong(scene, sent) == []


def test_row_05_ended_in_the_middle_of_a_checkpoint(kafka, tmp_path, receiver):
    """The brokers take no checkpoint when SIGTERM comes: it ends within its budget, leaves nothing that counts by
    half, and the next process reads again what was not durable."""
    scene, operator = shared(tmp_path, kafka, receiver=receiver), Operator(kafka.bootstrap)
    sent = stream(range(3))
    first, second = pieces(sent, 2)
    state = topics(scene).state
    with scene.process() as life:
        scene.send(first)
        until(lambda: durable(life) == len(first), "the first half")
        operator.set(state, "max.message.bytes", "300")
        scene.send(second)
        until(lambda: '"checkpoint_refused"' in life.output, "a checkpoint to be refused")
        begin = time.monotonic()
        status = life.end(within=60)
        assert time.monotonic() - begin < 45
        assert status == 0, life.output
    operator.set(state, "max.message.bytes", str(8 << 20))
    with left(scene) as log:
        assert sum(marker.applied for marker in log.markers().values()) == len(first)
    with running(scene) as daemon:
        await_judged(daemon, sent, idle=3)
    assert wrong(scene, sent) == []


def test_row_14_the_brokers_are_down_that_hold_the_state(frail, tmp_path, receiver):
    """What was counted cannot be made durable for longer than a record of the state may wait: the process lives, is not
    ready, gives the write up, and makes all of it durable once the brokers are back."""
    scene, operator = shared(tmp_path, frail, receiver=receiver), Operator(frail.bootstrap)
    sent = stream(range(3))
    first, second = pieces(sent, 2)
    state = topics(scene).state
    with scene.process(module=BRISK) as life:
        scene.send(first)
        until(lambda: durable(life) == len(first), "the first half")
        operator.set(state, "max.message.bytes", "300")
        scene.send(second)
        until(lambda: lines_of(life, "checkpoint_refused"), "a checkpoint to be refused")
        frail.kill()
        until(lambda: get(f"{life.url}/-/ready")[0] == 503, "not to be ready")
        time.sleep(1.5 * DEADLINE)  # a write is given up; what the API tells of partitions stands still
        assert get(f"{life.url}/-/healthy")[0] == 200
        assert durable(life) < len(sent)
        frail.start()
        operator.set(state, "max.message.bytes", str(8 << 20))
        ends_well(life, sent)
    assert wrong(scene, sent) == []


def uneven(folder, kafka, receiver):
    """A scene whose partitions are not all in one partition of the state topic: the scene, that partition, and the
    partitions in it."""
    for number in range(20):
        scene = shared(folder / str(number), kafka, receiver=receiver)
        places = [partition_of_source(Source(scene.topic, n), 3) for n in range(3)]
        if len(set(places)) > 1:
            return scene, places[0], {n for n in range(3) if places[n] == places[0]}
    raise AssertionError("all in one")


def closing(scene, partition):
    """The markers of a partition of the state topic, by key."""
    with left(scene) as log:
        records = list(log._logs.read(Place(topics(scene).state, partition), 0))
    newest = {record.key: record.value for record in records if record.key.startswith(keys.MARKERS)}
    return {key: value for key, value in newest.items() if value is not None}


def write(scene, partition, records):
    """Append to a partition of the state topic."""
    producer = Producer({"bootstrap.servers": scene.bootstrap})
    for key, value in records.items():
        producer.produce(topics(scene).state, value, key, partition)
    assert producer.flush(30) == 0


@pytest.mark.parametrize("what", ["emptied", "damaged"])
def test_row_22_the_state_of_some_partitions_is_gone(kafka, tmp_path, receiver, what):
    """They are not read, and stand paused with what to do on the page, in the API and the metrics, while the others
    go on; with the loss accepted they begin anew."""
    (scene, place, gone), operator = uneven(tmp_path, kafka, receiver), Operator(kafka.bootstrap)
    kept = {0, 1, 2} - gone
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    with running(scene) as daemon:
        scene.send(first)
        await_judged(daemon, first, idle=3)
    if what == "emptied":
        operator.empty(topics(scene).state, place)
    else:
        write(scene, place, {key: value[:-1] for key, value in closing(scene, place).items()})
    reason = "its state is gone" if what == "emptied" else "no checkpoint is whole"
    scene.send(second)
    with running(scene) as daemon:
        until(
            lambda: {n for n, one in reports(daemon).items() if one.paused} == gone, "the refusal to be told"
        )
        half = len(sent) // 3
        until(lambda: all(reports(daemon)[n].applied == half for n in kept), "the others to go on")
        for one in api(daemon.server.url, "partitions"):
            if one["partition"] in gone:
                assert reason in one["paused"]
                assert "--accept-data-loss" in one["paused"]
        found = samples(daemon.server.url)
        paused = {
            int(key[1]): value
            for key, value in found.items()
            if key[0] == "partition_paused" and key[2] == scene.topic
        }
        assert paused == {n: float(n in gone) for n in range(3)}
        last = max(verdict.end for verdict in daemon.evaluate.verdicts(MODEL))
        assert last < max(one.timestamp for one in sent)  # held for those that are not read
    with running(scene, accept_loss=True) as daemon:
        await_judged(daemon, sent, idle=3)
    assert wrong(scene, sent) == []


def test_row_54_state_that_a_newer_driftline_has_stored(kafka, tmp_path, receiver):
    """Partitions that it has counted are not read, not even with the loss accepted, and what to do is told; the others
    go on. Nothing of its state is touched: what it can read again is gone on from, exactly."""
    scene, place, theirs = uneven(tmp_path, kafka, receiver)
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    each = len(sent) // 3
    with running(scene) as daemon:
        scene.send(first)
        await_judged(daemon, first, idle=3)
    ours = closing(scene, place)
    stored = {key: newer(manifest._HEAD.size + 4, value, key) for key, value in ours.items()}
    write(scene, place, stored)
    scene.send(second)
    for accept_loss in (False, True):
        with running(scene, accept_loss=accept_loss) as daemon:
            until(
                lambda: {n for n, one in reports(daemon).items() if one.paused} == theirs,
                "the refusal to be told",
            )
            assert all("newer driftline" in reports(daemon)[n].paused for n in theirs)
            until(
                lambda: all(reports(daemon)[n].applied == each for n in {0, 1, 2} - theirs),
                "the others to go on",
            )
    assert closing(scene, place).items() >= stored.items()
    write(scene, place, ours)
    with running(scene) as daemon:
        await_judged(daemon, sent, idle=3)
    assert wrong(scene, sent) == []


def test_row_22_the_state_topic_was_deleted(kafka, tmp_path, receiver):
    """It is made anew at the start, and empty: nothing is read and nothing judged anew, until the loss is accepted."""
    scene, operator = shared(tmp_path, kafka, receiver=receiver), Operator(kafka.bootstrap)
    sent = stream(range(2))
    state = topics(scene).state
    with running(scene) as daemon:
        scene.send(sent)
        await_judged(daemon, sent, idle=3)
    operator.delete(state)
    with running(scene) as daemon:
        until(lambda: len(daemon.ingest.refused) == 3, "all partitions to be refused")
        until(lambda: all(one.paused for one in reports(daemon).values()), "the refusals to be told")
        assert not daemon.ingest.partitions
    with running(scene, accept_loss=True) as daemon:
        await_judged(daemon, sent, idle=3)
    assert wrong(scene, sent) == []


def test_row_26_partitions_are_added(kafka, tmp_path, receiver, monkeypatch):
    """They are read from their beginning, and from then on a window waits for them as for the others."""
    monkeypatch.setattr("monitor.expected.EVERY", 0.5)
    quick = {"topic.metadata.refresh.interval.ms": 500}
    scene, operator = (
        shared(tmp_path, kafka, receiver=receiver, kafka={"properties": quick}),
        Operator(kafka.bootstrap),
    )
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    more = [one for one in second if one.partition < 2]
    added = [type(one)(5, one.value, one.timestamp) for one in second if one.partition == 2]
    with running(scene) as daemon:
        scene.send(first)
        await_judged(daemon, first, idle=3)
        operator.grow(scene.topic, 6)
        until(lambda: len(daemon.ingest.partitions) == 6, "the new partitions to be assigned")
        scene.send([*more, *added])
        await_judged(daemon, [*first, *more, *added], idle=6)
        assert {one.source.partition for one in daemon.view().partitions} == set(range(6))
        assert all(verdict.coverage == 1 for verdict in daemon.evaluate.verdicts(MODEL))
    assert wrong(scene, [*first, *more, *added]) == []
