"""Recovering beside the polling: what was begun for an assignment that is over never counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from monitor.clock import SystemClock
from monitor.errors import StateDamaged, StateError
from monitor.names import Source
from monitor.recovery import Recovered, Recovery, refused_progress
from monitor.state.log import Checkpoint

A, B = Source("predictions", 0), Source("predictions", 1)


def until(recovery: Recovery, count: int) -> list[Recovered]:
    """The next `count` that are ready."""
    found: list[Recovered] = []
    deadline = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline
        found += recovery.finished()
        time.sleep(0.001)
    return found


def opened(recover: Callable[[Source], Checkpoint | None]) -> Recovery:
    return Recovery(recover, clock=SystemClock())


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
    gate, calls = threading.Event(), []

    def recover(source: Source) -> None:
        calls.append(source)
        gate.wait(20)

    recovery = opened(recover)
    recovery.begin([A])
    recovery.forget([A])
    recovery.begin([A])
    assert list(recovery.waiting) == [A]
    gate.set()
    assert until(recovery, 1) == [Recovered(A, None, None)]
    assert calls == [A, A]
    assert recovery.finished() == []
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
