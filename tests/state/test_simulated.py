"""What the simulated log does beyond the conformance suite: it dies on request and on chance."""

from __future__ import annotations

import pytest

from monitor.state.log import Entry, StateLog
from monitor.state.simulated import POINTS, SimulatedCrash, SimulatedLog
from tests.state.cases import SOURCE, make_marker, make_progress, make_sketch


def history(seed):
    """What becomes durable when every step may die."""
    log: StateLog = SimulatedLog(seed, rate=0.1)
    seen = []
    for n in range(1, 60):
        try:
            log.checkpoint(SOURCE, [make_sketch(seed=n, applied=n)], make_marker(applied=n))
            log.append("fraud", [Entry("clock", "a", {"n": n})])
            log.claim("fraud", "page", n)
        except SimulatedCrash as crash:
            seen.append((n, str(crash)))
            log.restart()
    return seen, log.ledger("fraud"), log.crashes


def test_crashes_are_a_function_of_the_seed():
    """Equal seeds die at equal places; another seed dies elsewhere."""
    assert history(1) == history(1)
    assert history(1) != history(2)
    assert history(1)[2] > 5


def test_every_point_is_reached():
    """Chance alone hits each place where a process can die."""
    hit = {point for seed in range(8) for _, point in history(seed)[0]}
    assert hit == set(POINTS)


def test_dead_process_answers_nothing():
    """Between the crash and the restart every call dies; then progress is gone, the rest is there."""
    log = SimulatedLog(0)
    log.checkpoint(SOURCE, [], make_marker())
    log.report(make_progress())
    log.crash_at("append.before")
    with pytest.raises(SimulatedCrash):
        log.append("fraud", [])
    with pytest.raises(SimulatedCrash):
        log.recover(SOURCE)
    log.restart()
    assert log.recover(SOURCE).marker == make_marker()
    assert log.changes([], 0)[2] == ()


def test_unknown_point_is_refused():
    """A misspelt point is an error, not a crash that never comes."""
    with pytest.raises(ValueError, match="no such point"):
        SimulatedLog(0).crash_at("checkpoint.midway")


def test_forgotten_source_is_gone():
    """`forget` removes the marker, the sketches and the progress of one source partition."""
    log = SimulatedLog(0)
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    log.report(make_progress())
    log.forget(SOURCE)
    assert log.recover(SOURCE) is None
    assert log.changes(["fraud"], 0)[1:] == ((), ())
