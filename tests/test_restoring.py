"""Judgements that are read from the ledger a part at a time, beside those that are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from monitor.clock import ManualClock
from monitor.context import Context
from monitor.deliver.plan import AlertsPlan
from monitor.evaluate import RESTORE, Evaluate
from monitor.state.kafka.keys import partition_of_model
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.logs import Place, Record
from monitor.state.simulated import SimulatedLog
from tests.simulation.ledger import PARTITIONS, TOPICS
from tests.simulation.logs import SimulatedBroker
from tests.test_evaluate import marker
from tests.test_judgement import MINUTE, PATIENCE, START, WINDOWS, A, progress, sketch
from tests.test_partition import LAYOUT, PLAN

VERDICTS = 12


class Slow(SimulatedLog):
    """Whose verdicts take seconds each to be read."""

    clock: ManualClock
    read = 0

    def bodies(self, model: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for found in super().bodies(model, kind):
            self.clock.advance(2.0)
            self.read += 1
            yield found


def started(state: Any, clock: ManualClock, *models: str) -> Evaluate:
    plan = replace(PLAN, windows=WINDOWS[:1])
    return Evaluate(
        {name: Context(replace(plan, name=name), LAYOUT, None, {}) for name in models},
        state=state, clock=clock, alerts=AlertsPlan(), patience=PATIENCE,
        expected=lambda _topic: (A,), topics={"s": "predictions"},
    )  # fmt: skip


def judged(model: str) -> Slow:
    """A ledger of many verdicts of one model."""
    state = Slow(0)
    state.clock = ManualClock(START)
    sketches = [sketch(5 * window, 50) for window in range(VERDICTS)]
    sketches = [replace(one, key=one.key._replace(model=model)) for one in sketches]
    state.checkpoint(A, sketches, replace(marker(1, START), live={model: START}))
    state.report(progress(A, 5 * VERDICTS + 2))
    loop = started(state, state.clock, model)
    assert loop.tick() == VERDICTS
    return state


def test_many_verdicts_are_read_over_several_turns() -> None:
    """No turn takes much longer than it may, the loop is seen to live, and in the end all of it is known, though
    sketches came meanwhile; nothing is judged twice."""
    state = judged("m")
    clock = state.clock
    loop = started(state, clock, "m")
    turns = judged_since = 0
    while not loop.is_restored:
        begin, before = clock.monotonic(), state.read
        judged_since += loop.tick()
        assert clock.monotonic() - begin <= RESTORE + 2.0
        assert clock.monotonic() - loop.last_tick <= 2.0
        assert 0 < state.read - before <= 3 or loop.is_restored
        turns += 1
        if turns == 1:
            state.checkpoint(A, [sketch(5 * VERDICTS, 40)], replace(marker(2, START), live={"m": START}))
            state.report(progress(A, 5 * VERDICTS + 7))
    assert turns > 2
    assert judged_since + loop.tick() == 1
    found = loop.verdicts("m")
    assert [one.end for one in found] == [START + 5 * (n + 1) * MINUTE for n in range(VERDICTS + 1)]
    assert {one.revision for one in found} == {0}
    assert found[-1].rows == 40


def test_others_are_judged_while_one_is_restored() -> None:
    """A model with little to remember does not wait for one with much."""
    state = judged("much")
    other = replace(sketch(0, 9), key=sketch(0, 9).key._replace(model="some"))
    state.checkpoint(A, [other], replace(marker(3, START), live={"some": START}))
    loop = started(state, state.clock, "much", "some")
    loop.tick()
    assert len(loop.verdicts("some")) > 0
    assert "much" not in loop.models


def test_what_is_restored_for_a_term_that_is_over_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others decided in between, so it is begun anew."""
    state = judged("m")
    loop = started(state, state.clock, "m")
    begun = loop._restoring["m"]
    state.term += 1
    loop.tick()
    assert loop._restoring["m"] is not begun


def test_a_model_that_becomes_ours_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sketches of other partitions are not read again for it."""
    clock = ManualClock(START)
    broker = SimulatedBroker(1, PARTITIONS, clock=clock)
    owned = {partition_of_model("m", PARTITIONS["ledger"]): 1}
    other = next(name for name in "abcdefgh" if partition_of_model(name, PARTITIONS["ledger"]) not in owned)
    logs = broker.connect("p")
    state = KafkaLog(logs, topics=TOPICS, owned=lambda: owned, clock=clock)
    both = [replace(sketch(0, 5), key=sketch(0, 5).key._replace(model=name)) for name in ("m", other)]
    state.checkpoint(A, both, replace(marker(1, START), live={"m": START, other: START}))
    state.report(progress(A, 7))
    begun: list[Place] = []
    read = logs.read

    def noted(place: Place, start: int) -> Iterator[Record]:
        if start == 0 and place.topic == TOPICS.sketches:
            begun.append(place)
        return read(place, start)

    monkeypatch.setattr(logs, "read", noted)
    loop = started(state, clock, "m", other)
    assert loop.tick() == 1
    del begun[:]
    number = partition_of_model(other, PARTITIONS["ledger"])
    owned[number] = 2
    assert loop.tick() == 1
    assert begun == [Place(TOPICS.sketches, number)]
