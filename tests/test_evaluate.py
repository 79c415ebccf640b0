"""The evaluate loop over a simulated state log: effects, their order, and what is tidied away."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.context import Context
from monitor.deliver.plan import AlertsPlan
from monitor.errors import StateError
from monitor.evaluate import FORGET_EVERY, KEPT, Evaluate
from monitor.incident.intend import acknowledge
from monitor.names import REASONS, SketchKey
from monitor.plan import Maintenance
from monitor.retrain.guards import Guard
from monitor.sketch import Sketch
from monitor.state.log import AGREE, Counted, Ledger, Marker
from monitor.state.simulated import SimulatedLog
from monitor.verdict import State
from tests.test_judgement import MINUTE, PATIENCE, START, WINDOWS, A, progress, sketch
from tests.test_partition import LAYOUT, PLAN

DAY = 86_400_000


def marker(applied: int, live: int) -> Marker:
    return Marker(A, applied, 0, live, (live,) * AGREE, {"m": live, "": live})


def unnamed(pane: int) -> Sketch:
    """Rejects that name no model."""
    none = np.zeros(0, np.int64)
    return Sketch(
        key=SketchKey("", "", "", "", "", pane, A), applied=1, rows=0, errors=0, counts=none,
        sums=none.reshape(0, 3), extremes=np.zeros((0, 2)), latency=none, violations=none,
        rejects=np.ones(len(REASONS), np.int64), first=-1, last=-1,
    )  # fmt: skip


def evaluate(state: SimulatedLog, clock: ManualClock) -> Evaluate:
    plan = replace(PLAN, windows=WINDOWS[:1])
    return Evaluate(
        {"m": Context(plan, LAYOUT, None, {})},
        state=state, clock=clock, alerts=AlertsPlan(), patience=PATIENCE,
        expected=lambda _topic: (A,), topics={"s": "predictions"},
    )  # fmt: skip


def test_old_sketches_are_pruned_even_of_no_model_and_after_windows_were_renamed() -> None:
    """Verdicts of a window that is gone, and rejects that name no model, keep nothing alive."""
    clock = ManualClock(START)
    state = SimulatedLog(0, clock=clock)
    old = replace(sketch(0, 5), key=sketch(0, 5).key._replace(pane=START - 4 * DAY))
    state.checkpoint(A, [old, sketch(0, 5), unnamed(START - KEPT - MINUTE)], marker(1, START))
    state.report(progress(A, 7))
    loop = evaluate(state, clock)
    while loop.tick():
        pass
    assert len(state.changes(["m", ""], 0)[1]) == 3
    clock.advance(FORGET_EVERY)
    loop.tick()
    (left,) = state.changes(["m", ""], 0)[1]
    assert left.key.pane == START


def test_a_full_disk_does_not_end_the_loop_when_it_tidies_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing old sketches is a write like any other: refused, it is tried again later."""
    clock = ManualClock(START)
    state = SimulatedLog(0, clock=clock)
    state.checkpoint(A, [sketch(0, 5)], marker(1, START))
    state.report(progress(A, 7))
    loop = evaluate(state, clock)
    loop.tick()

    def full(*_arguments: object) -> int:
        raise StateError("no space left - state.db - free disk space")

    monkeypatch.setattr(state, "prune", full)
    clock.advance(FORGET_EVERY)
    loop.tick()
    assert loop.tick() == 0


def test_partitions_that_count_by_another_configuration_are_waited_for() -> None:
    """Replicas are replaced one by one: what is counted the old way says nothing of the new windows, and a
    window in which the new way began is not whole."""
    clock = ManualClock(START)
    state = SimulatedLog(0, clock=clock)
    state.checkpoint(A, [sketch(0, 500), sketch(5, 500)], marker(1, START))
    state.report(replace(progress(A, 7), counted={"m": Counted("old")}))
    loop = evaluate(state, clock)
    assert loop.tick() == 0
    state.report(replace(progress(A, 8), counted={}))  # a replica that does not know the model
    assert loop.tick() == 0
    state.report(replace(progress(A, 12), counted={"m": Counted(PLAN.config, START + MINUTE)}))
    assert loop.tick() == 2
    first, second = loop.verdicts("m")
    assert first.coverage == 0
    assert second.coverage == 1


class Other(SimulatedLog):
    """Speaks for the models that it is told to speak for."""

    ours: dict[str, int]

    def terms(self, models: Collection[str]) -> Mapping[str, int]:
        return {name: self.ours[name] for name in models if name in self.ours}


def test_models_come_and_go_with_their_term() -> None:
    """What others decided meanwhile is read anew, and nothing is judged twice."""
    clock = ManualClock(START)
    state = Other(0, clock=clock)
    state.ours = {}
    state.checkpoint(A, [sketch(0, 500)], marker(1, START))
    state.report(progress(A, 7))
    loop = evaluate(state, clock)
    assert loop.tick() == 0
    assert loop.models == {}
    assert loop.speaks_for(["m"]) == ()
    state.ours = {"m": 1}
    assert loop.tick() == 1
    before = loop._judgements["m"]
    assert loop.is_restored
    state.ours = {"m": 2}
    assert loop.tick() == 0
    assert loop._judgements["m"] is not before
    assert len(loop.verdicts("m")) == 1
    state.ours = {}
    loop.tick()
    assert loop.models == {}


class Slow(SimulatedLog):
    """Somebody acknowledges while a verdict is being committed, between its read and its write."""

    meanwhile: Any = None

    def ledger(self, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        found = super().ledger(model, kinds=kinds)
        if self.meanwhile is not None and kinds == ():
            act, self.meanwhile = self.meanwhile, None
            act.start()
            act.join(0.2)
        return found


def test_an_acknowledgement_is_not_lost_to_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both change the incident; whoever comes second reads what the first has written."""
    clock = ManualClock(START)
    state = Slow(0, clock=clock)
    state.checkpoint(A, [sketch(0, 5), sketch(5, 5)], marker(1, START))
    loop = evaluate(state, clock)
    judged = loop._judgements["m"]._verdict
    monkeypatch.setattr(
        loop._judgements["m"],
        "_verdict",
        lambda *given: replace(judged(*given), state=State.DRIFT, reason=None, alpha=0.1),
    )
    state.report(progress(A, 7))
    assert loop.tick() == 1
    ((identity, _),) = state.ledger("m").of("incident").items()

    def decide() -> None:
        with loop.deciding:
            ledger = SimulatedLog.ledger(state, "m")
            state.append(
                "m", acknowledge(ledger, identity, by="kim", alerts=AlertsPlan(), now=clock.now_ms())
            )

    state.meanwhile = person = threading.Thread(target=decide)
    state.report(progress(A, 12))
    assert loop.tick() == 1
    person.join()
    body = state.ledger("m").of("incident")[identity]
    assert (body["acked_by"], body["last"]) == ("kim", START + 10 * MINUTE)
    assert state.ledger("m").of("clock")["incidents"]["count"] == 3


def test_the_incidents_of_a_removed_model_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody judges it any more, so nothing else would ever resolve them."""
    clock = ManualClock(START)
    state = SimulatedLog(0, clock=clock)
    state.checkpoint(A, [sketch(0, 5)], marker(1, START))
    state.report(progress(A, 7))
    loop = evaluate(state, clock)
    judged = loop._judgements["m"]._verdict
    monkeypatch.setattr(
        loop._judgements["m"],
        "_verdict",
        lambda *given: replace(judged(*given), state=State.DRIFT, reason=None, alpha=0.1),
    )
    assert loop.tick() == 1
    loop.renew({}, alerts=AlertsPlan(), patience=PATIENCE, topics={"s": "predictions"})
    (body,) = state.ledger("m").of("incident").values()
    assert (body["state"], body["closed_because"]) == ("resolved", "superseded")
    assert loop.tick() == 0


def test_a_ledger_that_cannot_be_read_silences_one_model_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are judged meanwhile; it is judged as soon as it can be read."""
    clock = ManualClock(START)
    state = Other(0, clock=clock)
    state.ours = {}
    state.checkpoint(A, [sketch(0, 500)], marker(1, START))
    state.report(progress(A, 7))
    plan = replace(PLAN, windows=WINDOWS[:1])
    loop = Evaluate(
        {name: Context(replace(plan, name=name), LAYOUT, None, {}) for name in ("bad", "m")},
        state=state, clock=clock, alerts=AlertsPlan(), patience=PATIENCE,
        expected=lambda _topic: (A,), topics={"s": "predictions"},
    )  # fmt: skip
    state.ours = {"bad": 1, "m": 1}
    whole = state.ledger

    def broken(model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        if model == "bad":
            raise StateError("no answer - ledger - see that the broker is up")
        return whole(model, kinds=kinds)

    monkeypatch.setattr(state, "ledger", broken)
    assert loop.tick() == 1
    assert not loop.is_restored
    monkeypatch.undo()
    loop.tick()
    assert loop.is_restored


@pytest.mark.parametrize(
    ("changes", "held"), [({}, None), ({"paused": "rejects are 61 %"}, Guard.HEALTH), (None, Guard.HEALTH)]
)
def test_retraining_waits_while_we_do_not_see_everything(
    changes: dict[str, str] | None, held: Guard | None
) -> None:
    """A partition that is paused, or that nobody reports on, may hold rows that change the verdict."""
    clock = ManualClock(START)
    state = SimulatedLog(0, clock=clock)
    state.checkpoint(A, [sketch(0, 5)], marker(1, START))
    loop = evaluate(state, clock)
    if changes is not None:
        state.report(replace(progress(A, 7), **changes))
    loop.tick()
    assert loop._held(PLAN, START) is held
    quiet = replace(PLAN, maintenance=(Maintenance(begin=START - 1, until=START),))
    assert loop._held(quiet, START) is Guard.MAINTENANCE
    assert loop._held(quiet, START + 1) is held
