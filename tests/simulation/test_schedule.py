from __future__ import annotations

import threading

import pytest

from monitor.state.simulated import SimulatedCrash
from tests.simulation.schedule import Baton, Schedule


def traced(seed: int) -> list[str]:
    """Three tasks that write down their steps; one is stopped for a while and one is killed."""
    schedule, trace = Schedule(seed), []

    def run(name: str) -> None:
        try:
            for step in range(12):
                trace.append(f"{name}{step}")
                schedule.pause()
        finally:
            trace.append(f"{name}.")

    a, b, _ = (schedule.start(name, lambda name=name: run(name)) for name in "abc")
    schedule.stop(a)
    schedule.run(9)
    assert "a0" not in trace
    schedule.kill(b)
    schedule.go_on(a)
    schedule.run(1_000)
    assert schedule.tasks == []
    return trace


def test_a_seed_gives_one_order_and_seeds_give_many() -> None:
    """What failed once fails again, and a thousand seeds are a thousand runs."""
    orders = {tuple(traced(seed)) for seed in range(40)}
    assert all(tuple(traced(seed)) in orders for seed in range(10))
    assert len(orders) > 25
    assert all({"a11", "c11", "a.", "c."} <= set(order) for order in orders)


def test_what_a_task_raises_comes_out_of_the_world_and_nothing_is_left() -> None:
    """An assertion inside a process fails the test; threads do not outlive it."""
    before, schedule = threading.active_count(), Schedule(1)

    def fail() -> None:
        schedule.pause()
        assert not schedule.steps

    def wait() -> None:
        while True:
            schedule.pause()

    schedule.start("a", fail)
    schedule.start("b", wait)
    with pytest.raises(AssertionError):
        schedule.run(1_000)
    schedule.close()
    for thread in threading.enumerate():
        if thread.name in {"a", "b"}:
            thread.join(5)
    assert threading.active_count() == before


def test_a_crash_ends_one_task_only() -> None:
    """The others go on."""
    schedule, steps = Schedule(3), []

    def die() -> None:
        raise SimulatedCrash("dead")

    schedule.start("a", die)
    schedule.start("b", lambda: steps.append(1))
    schedule.run(10)
    assert steps == [1]


def test_a_lock_that_is_held_over_a_pause_stops_nobody_else() -> None:
    """Two threads of a process take turns; a third one, without the lock, goes on meanwhile."""
    for seed in range(20):
        schedule, trace = Schedule(seed, stay=0.2), []
        lock = Baton(schedule)

        def hold(name: str, schedule=schedule, lock=lock, trace=trace) -> None:
            with lock, lock:
                trace.append(name)
                for _ in range(3):
                    schedule.pause()
                trace.append(name)

        for name in "ab":
            schedule.start(name, lambda name=name: hold(name))
        schedule.run(1_000)
        assert "".join(trace) in {"aabb", "bbaa"}
        assert lock.acquire(blocking=False)
