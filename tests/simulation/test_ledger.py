"""Level B of the simulation: one process at a time speaks for a model, and what it decided is delivered."""

from __future__ import annotations

import pytest

from monitor.clock import ManualClock
from monitor.errors import DriftlineError, StateUnsettled
from monitor.state.kafka import owner
from monitor.state.kafka.keys import WriterId
from monitor.state.kafka.logs import Place
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.log import Entry
from tests.simulation.blocks import in_ci
from tests.simulation.ledger import LedgerRun
from tests.simulation.logs import Faults, SimulatedBroker
from tests.simulation.mutants import LEDGER
from tests.simulation.world import Wrong, told

SCHEDULES = 50


@pytest.mark.parametrize("block", in_ci(6))
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


@pytest.mark.parametrize("is_hasty", [False, True])
def test_who_takes_over_must_be_faster_than_tombstones_go(
    monkeypatch: pytest.MonkeyPatch, is_hasty: bool
) -> None:
    """Asleep between an entry and its removal, while the owner before tidies up and compaction takes both.

    While the tombstones are kept, which is 24 hours, the entry stays removed. This is why.
    """
    broker = SimulatedBroker(1, {"ledger": 1}, faults=Faults(is_hasty=is_hasty))
    broker.fetch, place, clock = 1, Place("ledger", 0), ManualClock()
    before = LedgerOwner.take(broker.connect("before"), place, WriterId(1), clock=clock)
    for name, body in (("gone", {"x": 1}), ("gone", None), ("last", {"x": 2})):
        before.append("m", [Entry("incident", name, body)])
    monkeypatch.setattr(owner, "TIDY_FROM", 1)
    read = iter(range(100))

    def pause(name: str) -> None:
        if name == "next" and next(read) == 5:  # it has met the entry, and nothing else of the model
            before._tidy()
            before._tidy()
            before._write("m", [])  # compaction spares the last record
            for _ in range(3):
                broker.compact(place, broker.end(place))

    broker.pause = pause
    successor = LedgerOwner.take(broker.connect("next"), place, WriterId(2), clock=clock)
    assert ("gone" in successor.entries("m", None)["incident"]) is is_hasty


def test_what_came_of_a_write_without_an_answer_is_looked_at() -> None:
    """The next decision rests on what is there, however short ago the last look was."""
    found = set()
    for seed in range(20):
        broker, place = SimulatedBroker(seed, {"ledger": 1}), Place("ledger", 0)
        held = LedgerOwner.take(broker.connect("p"), place, WriterId(1), clock=ManualClock())
        broker.faults = Faults(unsettled=1.0)
        with pytest.raises(StateUnsettled):
            held.append("m", [Entry("incident", "i", {})])
        broker.faults = Faults()
        held.check(every=60.0)
        is_there = broker.end(place) == 2
        assert bool(held.entries("m", None)) is is_there
        found.add(is_there)
    assert found == {False, True}
