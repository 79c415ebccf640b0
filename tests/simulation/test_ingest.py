"""Level A of the simulation: what is counted survives whatever happens to those who count."""

from __future__ import annotations

import gc

import pytest

from monitor.errors import DriftlineError
from tests.simulation.blocks import in_ci
from tests.simulation.ingest import IngestRun
from tests.simulation.inputs import MINUTE, differences, input_of
from tests.simulation.mutants import INGEST
from tests.simulation.world import Wrong, told

SCHEDULES = 50
"""In one test, so that several workers share them."""


@pytest.mark.parametrize("block", in_ci(8))
def test_every_record_is_counted_once_whatever_happens(block: int) -> None:
    """Crashes, zombies, lost answers, compaction: the fold of a prefix is recovered, and all is counted."""
    for seed in range(block * SCHEDULES, (block + 1) * SCHEDULES):
        with told(seed, "ingest"):
            IngestRun(seed).run()


@pytest.mark.parametrize("mistake", INGEST)
def test_a_mistake_in_the_protocol_is_found(mistake: str) -> None:
    """Within a few schedules; otherwise a run without findings would mean nothing."""
    for seed in range(40):
        try:
            IngestRun(seed, protocol=INGEST[mistake]()).run()
        except (DriftlineError, Wrong) as error:
            print(f"found in {seed + 1} schedules: {error}")
            return
    pytest.fail(f"not found in 40 schedules: {mistake}")


def test_no_tombstone_is_needed_to_recover() -> None:
    """They only tidy up: whether they are lost, late or gone before they were read, the manifest tells."""
    for seed in range(1_000, 1_030):
        with told(seed, "ingest"):
            run = IngestRun(seed)
            run.world.is_hasty = True
            run.run()


def test_a_schedule_can_be_seen_again() -> None:
    """The same seed takes the same steps, writes the same records and ends the same."""
    seen = set()
    for _ in range(3):
        gc.collect()
        run = IngestRun(5)
        run.run()
        seen.add((run.world.schedule.steps, run.world.broker.appended, str(run.world.broker.history)))
    assert len(seen) == 1


def test_the_count_by_plain_python_agrees_with_the_fold() -> None:
    """On many inputs; and one row more or less is noticed."""
    for seed in range(100, 110):
        truth = input_of(seed, 0)
        assert not differences(truth, truth.newest)
    fewer = {
        key: sketch for key, sketch in truth.newest.items() if key.pane != truth.markers[truth.end].live["m"]
    }
    assert differences(truth, fewer)
    assert truth.recount.rejects["m"] > 0
    assert len({pane // (2 * MINUTE) for _, _, pane in truth.recount.rows}) > 3
