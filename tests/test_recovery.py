"""Recovering beside the polling: what was begun for an assignment that is over never counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import pytest

from monitor.clock import SystemClock
from monitor.errors import StateDamaged, StateError, StateMissing
from monitor.names import Source
from monitor.recovery import Recovered, Recovery, refused_progress
from monitor.state.alone import Alone
from monitor.state.kafka.shared import Shared
from monitor.state.log import Checkpoint
from tests.faults.cluster import COUNTS, SOURCES, Replica
from tests.simulation.logs import SimulatedBroker

A, B = Source("predictions", 0), Source("predictions", 1)


def until(recovery: Recovery, count: int) -> list[Recovered]:
    """The next `count` that are ready."""
    found: list[Recovered] = []
    deadline = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline
        found += recovery.finished(nothing)
        time.sleep(0.001)
    return found


def nothing(sources: Collection[Source]) -> dict[Source, int]:
    """The group has committed nothing."""
    return dict.fromkeys(sources, -1)


class Only(Alone):
    """A state log that recovers, and does no more."""

    term = 1

    def __init__(self, recover: Callable[[Source], Checkpoint | None]) -> None:
        self._recover = recover

    def recover(self, source: Source) -> Checkpoint | None:
        return self._recover(source)

    def expect(self, source: Source) -> None:
        """Nothing follows from it."""


def opened(recover: Callable[[Source], Checkpoint | None], *, accept_loss: bool = False) -> Recovery:
    state: Any = Only(recover)
    return Recovery(state, clock=SystemClock(), beside=True, accept_loss=accept_loss)


def test_partitions_become_ready_one_after_the_other() -> None:
    """What an operator has to mend is handed out, and the others go on."""

    def recover(source: Source) -> None:
        if source == A:
            raise StateDamaged("broken - here - mend it")

    recovery = opened(recover)
    recovery.begin([A, B])
    first, second = until(recovery, 2)
    assert isinstance(first.error, StateDamaged)
    assert second == Recovered(B, None, None)
    assert not recovery.waiting
    recovery.close()


def test_what_was_begun_for_a_former_assignment_is_dropped() -> None:
    """Taken away and given back before the first recovery has ended: only the second counts."""
    gate, begun, calls = threading.Event(), threading.Event(), []

    def recover(source: Source) -> None:
        calls.append(source)
        begun.set()
        gate.wait(20)

    recovery = opened(recover)
    recovery.begin([A])
    assert begun.wait(20)
    recovery.forget([A])
    recovery.begin([A])
    assert list(recovery.waiting) == [A]
    gate.set()
    assert until(recovery, 1) == [Recovered(A, None, None)]
    assert calls == [A, A]
    assert recovery.finished(nothing) == []
    recovery.close()


def test_what_was_recovered_of_a_partition_that_went_meanwhile_is_let_go() -> None:
    """The state log holds nothing of a partition that is not ours, and what waits for its turn is not read at all."""
    broker = SimulatedBroker(0, COUNTS)
    Replica(broker, "former").work(SOURCES[0])
    state = Replica(broker, "ours").log
    gate, reads = threading.Event(), threading.Event()
    recover = state._recover

    def slowly(source: Source, shared: Shared | None) -> Checkpoint | None:
        reads.set()
        gate.wait(20)
        return recover(source, shared)

    state._recover = slowly
    recovery = Recovery(state, clock=SystemClock(), beside=True, accept_loss=False)
    recovery.begin(SOURCES[:3])
    assert reads.wait(20)
    for source in SOURCES[:2]:
        recovery.forget([source])
        state.release(source)
    gate.set()
    assert [found.source for found in until(recovery, 1)] == [SOURCES[2]]
    assert list(state._writers) == [SOURCES[2]]
    recovery.close()


def test_a_log_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it answers, or the partition is gone."""
    monkeypatch.setattr("monitor.recovery.AGAIN", 0.01)
    tries = []

    def recover(source: Source) -> None:
        tries.append(source)
        if len(tries) < 3:
            raise StateError("no answer - broker - start it")

    recovery = opened(recover)
    recovery.begin([A])
    assert until(recovery, 1)[0].error is None
    assert len(tries) == 3
    recovery.close()


def test_one_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of each may lie on another broker."""
    monkeypatch.setattr("monitor.recovery.AGAIN", 0.01)

    def recover(source: Source) -> None:
        if source == A:
            raise StateError("no answer - broker - start it")

    recovery = opened(recover)
    recovery.begin([A, B])
    assert until(recovery, 1) == [Recovered(B, None, None)]
    assert list(recovery.waiting) == [A]
    recovery.close()


def test_what_was_consumed_and_has_no_state_is_refused() -> None:
    """Asked for with the knowledge that there must be something; with the loss accepted it is not asked for."""

    def recover(source: Source) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise StateMissing("gone - here - restore it")

    calls: list[Source] = []
    recovery = opened(recover)
    recovery.begin([A])
    found: list[Recovered] = []
    while not found:
        found = recovery.finished(lambda sources: dict.fromkeys(sources, 7))
    assert isinstance(found[0].error, StateMissing)
    recovery.close()
    calls.clear()
    accepting = opened(recover, accept_loss=True)
    accepting.begin([A])
    assert until(accepting, 1) == [Recovered(A, None, None)]
    accepting.close()


def test_a_defect_is_handed_on() -> None:
    """Not lost in a thread that nobody looks at."""

    def recover(_source: Source) -> None:
        raise ZeroDivisionError

    recovery = opened(recover)
    recovery.begin([A])
    assert isinstance(until(recovery, 1)[0].error, ZeroDivisionError)
    recovery.close()


def test_a_refused_partition_counts_as_paused() -> None:
    """Nobody waits for it as if it were only slow."""
    assert refused_progress(A, "damaged", now=5).paused == "damaged"
