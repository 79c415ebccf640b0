from __future__ import annotations

import contextlib

import pytest

from monitor.errors import StateMissing, StateUnsettled
from monitor.state.kafka.logs import Place, Write
from monitor.state.simulated import SimulatedCrash
from tests.simulation.logs import Faults, SimulatedBroker, SimulatedLogs

A, B = Place("t", 0), Place("t", 1)


def connected(seed: int = 1, **faults: float) -> tuple[SimulatedBroker, SimulatedLogs]:
    broker = SimulatedBroker(seed, {"t": 2}, faults=Faults(**faults))
    return broker, broker.connect("p")


def writes(place: Place, keys: str) -> list[Write]:
    return [Write(place, key.encode(), bytes([at])) for at, key in enumerate(keys)]


def keys(broker: SimulatedBroker, place: Place) -> str:
    return b"".join(record.key for record in broker.records(place)).decode()


def test_a_partition_keeps_the_order_and_the_two_are_mixed() -> None:
    """Offsets come back in the order of the records, whatever the order between partitions."""
    orders = set()
    for seed in range(20):
        broker, logs = connected(seed)
        seen: list[str] = []
        broker.pause = lambda name, broker=broker, seen=seen: seen.append(f"{broker.end(A)}{broker.end(B)}")
        assert logs.write([*writes(A, "ab"), *writes(B, "cd")]) == [0, 1, 0, 1]
        assert (keys(broker, A), keys(broker, B)) == ("ab", "cd")
        orders.add(tuple(seen))
    assert len(orders) == 6
    with pytest.raises(StateMissing):
        logs.partitions("other")
    assert logs.partitions("t") == 2


def test_a_write_that_is_not_acknowledged_has_every_outcome() -> None:
    """Nothing, some or all of it is there, now or later, also after what was written next."""
    now, later = set(), set()
    for seed in range(300):
        broker, logs = connected(seed, unsettled=1.0)
        with pytest.raises(StateUnsettled):
            logs.write(writes(A, "ab"))
        now.add(keys(broker, A))
        broker.faults = Faults()
        logs.write(writes(A, "c"))
        broker.settle()
        later.add(keys(broker, A))
    assert now == {"", "a", "ab"}
    assert later == {"c", "ca", "cab", "ac", "acb", "abc"}


def test_a_crash_comes_before_between_or_after_and_is_final() -> None:
    """What was given away may still arrive; every call after the death raises again."""
    found = set()
    for seed in range(100):
        broker, logs = connected(seed, crash=1.0)
        with pytest.raises(SimulatedCrash):
            logs.write(writes(A, "ab"))
        found.add(keys(broker, A))
        with pytest.raises(SimulatedCrash):
            logs.end(A)
        with pytest.raises(SimulatedCrash):
            logs.send(writes(A, "z"))
        broker.settle()
        assert "z" not in keys(broker, A)
    assert found == {"", "a", "ab"}


def test_a_read_ends_where_the_log_ended_when_it_was_called() -> None:
    """What is written while it is read waits for the next read."""
    _, logs = connected()
    logs.write(writes(A, "ab"))
    reading = logs.read(A, 0)
    logs.write(writes(A, "c"))
    assert [record.key for record in reading] == [b"a", b"b"]
    assert [record.offset for record in logs.read(A, 2)] == [2]


def test_compaction_keeps_the_newest_and_the_last() -> None:
    """Below the cut one record per key is left, in its place, and offsets stay."""
    broker, logs = connected()
    logs.write(writes(A, "abacab"))
    broker.compact(A, 4)
    assert [record.offset for record in broker.records(A)] == [1, 2, 3, 4, 5]
    broker.compact(A, 99)
    assert [record.offset for record in broker.records(A)] == [1, 3, 4, 5]
    assert [record.offset for record in logs.read(A, 0)] == [1, 3, 4, 5]


def test_a_tombstone_stays_for_those_who_began_before() -> None:
    """A reader that has seen the older record meets the tombstone, unless it is too slow."""
    for is_hasty in (False, True):
        broker, logs = connected(is_hasty=is_hasty)
        logs.write(writes(A, "a"))
        logs.write([Write(A, b"a", None), *writes(A, "b")])
        reading = logs.read(A, 0)
        broker.compact(A, 2)
        broker.compact(A, 2)
        assert keys(broker, A) == ("b" if is_hasty else "ab")
        assert [record.key for record in reading] == ([b"b"] if is_hasty else [b"a", b"b"])
        broker.compact(A, 2)
        assert keys(broker, A) == "b"


def test_retention_takes_the_oldest() -> None:
    """A reader begins with the first record that is left."""
    broker, logs = connected()
    logs.write(writes(A, "ab"))
    broker.expire(A, 1)
    logs.write(writes(A, "c"))
    broker.expire(A, 0)
    assert [record.offset for record in logs.read(A, 0)] == [2]


def test_what_is_sent_may_be_lost_or_late_and_never_raises() -> None:
    """Tombstones and progress need not be durable."""
    found = set()
    for seed in range(60):
        broker, logs = connected(seed, dropped=0.3, late=0.5, crash=1.0, unsettled=1.0)
        logs.send(writes(A, "a"))
        broker.faults = Faults()
        logs.write(writes(A, "b"))
        with contextlib.suppress(IndexError):
            broker.settle()
        found.add(keys(broker, A))
    assert found == {"b", "ab", "ba"}
