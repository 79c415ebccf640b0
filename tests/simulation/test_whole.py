"""Level C of the simulation: replicas over one state log come to what one replica would come to."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

import pytest

from monitor.clock import ManualClock
from monitor.errors import DriftlineError
from monitor.judgement import Judgement
from monitor.names import Source
from monitor.state.kafka.log import KafkaLog
from tests.simulation.blocks import in_ci
from tests.simulation.inputs import MODELS, TOPIC, input_of
from tests.simulation.ledger import PARTITIONS, TOPICS
from tests.simulation.logs import SimulatedBroker
from tests.simulation.mutants import WHOLE
from tests.simulation.whole import LATER, WholeRun, drift, evaluating, expected_of, reported
from tests.simulation.world import Wrong, changed, told

SCHEDULES = 25


@pytest.mark.parametrize("block", in_ci(12))
def test_replicas_come_to_what_one_would_come_to(block: int) -> None:
    """Every window has the counts of the log; incidents and pages are those of an undisturbed run."""
    for seed in range(block * SCHEDULES, (block + 1) * SCHEDULES):
        with told(seed, "whole"):
            WholeRun(seed).run()


def test_a_new_cluster_judges_what_was_counted_before_anybody_judged() -> None:
    """Whoever judges first finds everything counted already, and all of it was: the first windows are whole."""
    broker, clock = SimulatedBroker(1, PARTITIONS), ManualClock(LATER)
    inputs = [input_of(0, number) for number in range(2)]
    owned: dict[int, int] = {}
    state = KafkaLog(broker.connect("p"), topics=TOPICS, owned=lambda: owned, clock=clock)
    for one in inputs:
        state.checkpoint(one.source, list(one.newest.values()), one.markers[one.end])
    with changed((Judgement, "_verdict", drift)):
        loop = evaluating(state, clock, [one.source for one in inputs])
        loop.tick()
        owned.update(dict.fromkeys(range(PARTITIONS["ledger"]), 1))
        for _ in range(5):
            for one in inputs:
                state.report(reported(one.markers[one.end], one, clock.now_ms()))
            loop.tick()
            clock.advance(1.0)
    found = {(name, one.window, one.end): one for name in MODELS for one in loop.verdicts(name)}
    assert len(found) == len(expected_of(0, 2).verdicts)
    assert {one.coverage for one in found.values()} == {1.0}


@pytest.mark.parametrize("mistake", WHOLE)
def test_a_mistake_in_the_protocol_is_found(mistake: str) -> None:
    """Within some schedules; otherwise a run without findings would mean nothing."""
    for seed in range(150):
        try:
            with changed(WHOLE[mistake]):
                WholeRun(seed).run()
        except (DriftlineError, Wrong) as error:
            print(f"found in {seed + 1} schedules: {error}")
            return
    pytest.fail(f"not found in 150 schedules: {mistake}")


def test_a_schedule_can_be_seen_again() -> None:
    """By another process, with other hashes of names: it takes the same steps and writes the same records."""
    command = [sys.executable, "-m", "bench.simulate", "--level", "whole", "--replay", "4"]
    seen = []
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        seen.append(done.stdout.splitlines()[-1])
    run = WholeRun(4)
    run.run()
    assert run._prunes
    assert set(seen) == {f"digest {zlib.crc32(repr(run.world.broker.history).encode()):08x}"}


@pytest.mark.parametrize("partition", [0, 2])
def test_who_does_not_speak_for_unnamed_rejects_leaves_them_alone(partition: int) -> None:
    """Tidying up raises nothing in any replica, whichever models it was given."""
    broker, clock = SimulatedBroker(1, PARTITIONS), ManualClock(LATER)
    state = KafkaLog(broker.connect("p"), topics=TOPICS, owned=lambda: {partition: 1}, clock=clock)
    evaluating(state, clock, [Source(TOPIC, 0)]).forget()
    assert state.terms(["", *MODELS])


def test_the_undisturbed_run_has_something_to_tell() -> None:
    """Several windows per model, some of which drift, and incidents that open and end."""
    expected = [expected_of(seed, 2) for seed in range(6)]
    assert all(len(one.verdicts) >= 6 for one in expected)
    assert {name for one in expected for name, _ in one.verdicts} == set(MODELS)
    bodies = [body for one in expected for body in one.incidents.values()]
    assert {body["state"] for body in bodies} == {"firing", "resolved"}
    assert sum(len(one.intents) for one in expected) >= len(bodies)
