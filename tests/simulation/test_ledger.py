"""Level B of the simulation: one process at a time speaks for a model, and what it decided is delivered."""

from __future__ import annotations

import pytest

from monitor.errors import DriftlineError
from tests.simulation.ledger import LedgerRun
from tests.simulation.mutants import LEDGER
from tests.simulation.world import Wrong, told

SCHEDULES = 50


@pytest.mark.parametrize("block", range(6))
def test_what_is_decided_is_decided_once_and_delivered(block: int) -> None:
    """Whoever speaks for a model believes what the rules say, and sends nothing that it did not claim."""
    for seed in range(block * SCHEDULES, (block + 1) * SCHEDULES):
        with told(seed, "ledger"):
            LedgerRun(seed).run()


@pytest.mark.parametrize("mistake", LEDGER)
def test_a_mistake_in_the_protocol_is_found(mistake: str) -> None:
    """Within a few schedules; otherwise a run without findings would mean nothing."""
    for seed in range(120):
        try:
            LedgerRun(seed, **LEDGER[mistake]).run()
        except (DriftlineError, Wrong) as error:
            print(f"found in {seed + 1} schedules: {error}")
            return
    pytest.fail(f"not found in 120 schedules: {mistake}")
