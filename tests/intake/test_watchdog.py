from __future__ import annotations

import pytest

from monitor.clock import ManualClock
from monitor.errors import IntakeError
from monitor.intake.watchdog import ANEW, LOOK_EVERY, LOOK_SECONDS, Watchdog
from monitor.names import Source

ONE, TWO = Source("t", 1), Source("t", 2)


class World:
    """Two partitions, and a broker that says what it is told to."""

    def __init__(self):
        self.clock = ManualClock()
        self.positions = {ONE: 10, TWO: 20}
        self.ends = {ONE: 10, TWO: 20}
        self.highs = {ONE: 10, TWO: 20}
        self.asked = []
        self.dog = Watchdog(self.clock, self.end, lambda source: self.highs[source])

    def end(self, source):
        self.asked.append(source)
        return self.ends[source]

    def look(self, *, paused=(), after=LOOK_EVERY, drained=True):
        self.clock.advance(after)
        return self.dog.look(self.positions, paused, drained=drained)


@pytest.fixture
def world():
    return World()


def test_a_silent_partition_is_assigned_anew_once_and_then_is_the_end(world):
    """Three looks until it is assigned anew, three more until the process ends; its end is known meanwhile."""
    world.look()
    world.ends[ONE] = 15
    assert [world.look() for _ in range(ANEW)] == [[]] * (ANEW - 1) + [[ONE]]
    assert (world.dog.end(ONE), world.dog.end(TWO)) == (15, -1)
    assert [world.look() for _ in range(ANEW - 1)] == [[]] * (ANEW - 1)
    with pytest.raises(IntakeError, match="no record comes of t/1 from offset 10, though it ends at 15"):
        world.look()


def test_a_partition_that_moves_is_not_silent(world):
    """However far behind it is, and it is not even asked about."""
    world.ends[ONE] = 10**9
    for _ in range(4 * ANEW):
        world.positions[ONE] += 1
        assert world.look() == []
    assert set(world.asked) == {TWO}


def test_moving_once_begins_anew(world):
    """What was assigned anew and is read on has all its looks again."""
    world.look()
    world.ends[ONE] = 15
    assert [world.look() for _ in range(ANEW)][-1] == [ONE]
    world.positions[ONE] = 12
    world.look()
    assert world.dog.end(ONE) == -1
    assert [world.look() for _ in range(ANEW)][-1] == [ONE]


def test_pauses_and_brokers_that_do_not_answer_do_not_count(world):
    """We hold the one back ourselves, and of the other nobody knows."""
    world.ends = {ONE: 15, TWO: -1}
    for _ in range(4 * ANEW):
        assert world.look(paused={ONE}) == []
    assert world.dog.held == frozenset()


def test_a_poll_that_comes_late_is_one_look(world):
    """Hours in a full pipeline are no silence of the broker's."""
    world.look()
    world.ends[ONE] = 15
    assert world.look(after=3600) == []
    world.positions[ONE] = 15
    assert world.look(after=3600) == []


def test_behind_the_others_is_not_silent(world):
    """While polls leave something behind a partition may wait for its turn, however long that takes; what was
    counted before begins anew."""
    world.look()
    world.ends[ONE] = 15
    for _ in range(ANEW - 1):
        world.look()
    for _ in range(4 * ANEW):
        assert world.look(drained=False) == []
    assert [world.look() for _ in range(ANEW)][-1] == [ONE]


def test_an_open_transaction_is_told_apart(world):
    """There is nothing to be read, and yet the log goes on: held, not silent; until it is committed."""
    world.look()
    world.highs[ONE] = 15
    for _ in range(3 * ANEW):
        assert world.look() == []
        assert world.dog.held == {ONE}
    world.ends[ONE] = world.positions[ONE] = 15
    world.look()
    assert world.dog.held == frozenset()


def test_slow_answers_are_waited_for_no_longer_than_a_moment(world):
    """Who was not asked comes first in the next look."""

    def slow(source):
        world.asked.append(source)
        world.clock.advance(2 * LOOK_SECONDS)
        return -1

    world.dog = Watchdog(world.clock, slow, lambda source: -1)
    world.look()
    for _ in range(4):
        world.look()
    assert world.asked == [ONE, TWO, ONE, TWO]
