"""Replicas on a real Kafka, disturbed at a moment that is known to be reached: rows 5, 8 and 20."""

from __future__ import annotations

import signal
import time

import pytest

from monitor.clock import SystemClock
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.keys import partition_of_source
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.logs import Place
from tests.daemon.ask import until
from tests.faults.moments import PARTITIONS, world
from tests.faults.shared_state import Operator

pytestmark = pytest.mark.slow

READ = 3
"""Records of the state that a recovery has read when it is held."""
HASTY = {
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "500",
    "delete.retention.ms": "100",
}
"""What compacts a topic within seconds, and takes its tombstones soon after."""


@pytest.mark.kafka
def test_row_08_partitions_move_in_the_middle_of_their_recovery(kafka, tmp_path):
    """A replica that is in the middle of recovering four partitions gives two of them to another, which is killed in
    the middle of recovering these: they come back. What was read for an assignment that is over counts for nothing."""
    with world(kafka, tmp_path / "w") as moments:
        moments.produce(5)
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        with moments.replicas.look() as look:
            until(lambda: look.applied() > 0, "a checkpoint", seconds=60)
        moments.end(0, signal.SIGKILL)
        moments.hold.touch()
        moments.replicas.start(0)
        moments.await_held(0)
        released, back = moments.await_event(0, "partitions_released"), len(moments.held(0))
        moments.replicas.start(1)
        released()
        moments.await_held(1)
        again = moments.await_event(0, "partitions_assigned")
        moments.end(1, signal.SIGKILL)
        again()
        moments.produce(5)
        moments.hold.unlink()
        until(lambda: len(moments.held(0)) > back, "the recovery of what came back", seconds=60)


@pytest.mark.kafka
def test_row_05_ended_while_a_recovery_is_under_way(kafka, tmp_path):
    """SIGTERM at that very moment: it ends with 0 and soon, and who comes next counts exactly."""
    with world(kafka, tmp_path / "w") as moments:
        moments.produce(5)
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        moments.end(0, signal.SIGTERM)
        moments.hold.touch()
        moments.replicas.start(0)
        moments.await_held(0)
        moments.produce(3)
        begin = time.monotonic()
        assert moments.end(0, signal.SIGTERM) == 0
        assert time.monotonic() - begin < 30
        assert moments.void() == []
        moments.hold.unlink()
        moments.replicas.start(0)


@pytest.mark.kafka
@pytest.mark.parametrize(("moment", "victim"), [("revoked", 0), ("assigned", 1)])
def test_row_05_ended_in_the_middle_of_a_rebalance(kafka, tmp_path, moment, victim):
    """SIGTERM comes while partitions move, to the one that is about to let them go or to the one that is about to take
    them: it ends with 0 and soon, every marker that there is closes a whole checkpoint, and all is counted once."""
    with world(kafka, tmp_path / "w", at=moment) as moments:
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        moments.produce(5)
        with moments.replicas.look() as look:
            until(lambda: look.applied() > 0, "a checkpoint", seconds=60)
        moments.hold.touch()
        moments.replicas.start(1)
        moments.await_held(victim)
        moments.produce(3)
        moments.replicas.signal(victim, signal.SIGTERM)
        until(lambda: moments.is_stopping(victim), "the signal to be heeded")
        moments.hold.unlink()
        begin = time.monotonic()
        assert moments.replicas.await_end(victim) == 0
        assert time.monotonic() - begin < 30
        assert moments.void() == []


def held_in(moments):
    """The partition of the state topic that replica 0 reads."""
    topic, _, partition = moments.held(0)[-1].split()[0].rpartition("/")
    return Place(topic, int(partition))


def overtaken(moments, place):
    """Take over the sources of a partition of the state topic, outside of the group, and go on until nothing is left of
    what was there before, nor any tombstone. Where it ended before, and how far each source is."""
    for name, value in HASTY.items():
        Operator(moments.bootstrap).set(place.topic, name, value)
    with moments.logs() as logs:
        log = KafkaLog(logs, topics=topics_of(moments.replicas.prefix), owned=dict, clock=SystemClock())
        end = logs.end(place)
        mine = [one for one in log.sources() if partition_of_source(one, PARTITIONS) == place.partition]
        markers = {source: log.recover(source).marker for source in mine}

        def is_gone():
            for source, marker in markers.items():
                log.checkpoint(source, [], marker)
            return all(one.offset >= end and one.value is not None for one in logs.read(place, 0))

        until(is_gone, "all that was there to be compacted away", seconds=90)
    return end, {str(source): marker.applied for source, marker in markers.items()}


@pytest.mark.kafka
def test_row_20_compaction_and_expiry_while_a_recovery_reads(kafka, tmp_path):
    """A recovery is in the middle of its read when another, of which it knows nothing, takes the partitions over: what
    it has read is compacted away, and so are the tombstones that would say so. It ends with the other's checkpoint,
    whole, and none of what is no more is counted."""
    with world(kafka, tmp_path / "w", at="read") as moments:
        joined = moments.await_event(0, "partitions_assigned")
        moments.replicas.start(0)
        joined()
        with moments.replicas.look() as look:
            for _ in range(4):
                before = look.applied()
                moments.produce(2)
                until(lambda before=before: look.applied() > before, "a checkpoint", seconds=60)
        moments.end(0, signal.SIGKILL)
        moments.hold.write_text(str(READ))
        moments.replicas.start(0)
        moments.await_held(0, passes=READ)
        place = held_in(moments)
        end, markers = overtaken(moments, place)
        moments.produce(2)
        recovered = moments.await_event(0, "partition_recovered", more=PARTITIONS)
        moments.hold.unlink()
        recovered()
        told = {line["source"]: line["offset"] for line in moments.lines(0, "partition_recovered")}
        assert markers == {source: told[source] for source in markers}
        offsets = [int(line.split()[1]) for line in moments.held(0) if line.startswith(f"{place} ")]
        before = [offset for offset in offsets if offset < end]
        assert READ <= len(before) < end / 2  # the rest was gone when it came there
        assert max(offsets) >= end
