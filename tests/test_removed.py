"""What becomes of models that a process finds in the ledger and not in its configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.clock import ManualClock
from monitor.context import Context
from monitor.deliver.plan import AlertsPlan, PagerDutyPlan
from monitor.evaluate import Evaluate
from monitor.incident.intend import intend
from monitor.incident.model import Incident
from monitor.incident.track import track
from monitor.removed import LOOK_EVERY, SETTLED
from monitor.secret import Secret
from monitor.state.kafka.log import KafkaLog
from monitor.state.local import LocalLog
from monitor.state.log import Counted, Progress, StateLog
from tests.incident.cases import plan, verdict
from tests.simulation.ledger import PARTITIONS, TOPICS
from tests.simulation.logs import SimulatedBroker
from tests.test_judgement import PATIENCE, START, A, progress
from tests.test_partition import LAYOUT, PLAN

MODEL = plan().name
ALERTS = AlertsPlan(pagerduty=PagerDutyPlan(routing_key=Secret("key")))


def drifted(state: StateLog, now: int) -> str:
    """Leave a model with an open incident that was paged; the id of the incident."""
    found = track({}, verdict(1, "drift"), plan())
    assert found
    state.append(MODEL, intend(found, state.ledger(MODEL), plan=plan(), alerts=ALERTS, now=now).entries)
    return found[0].incident.id


def started(state: StateLog, clock: ManualClock, *models: str) -> Evaluate:
    contexts = {name: Context(replace(PLAN, name=name), LAYOUT, None, {}) for name in models}
    return Evaluate(
        contexts, state=state, clock=clock, alerts=ALERTS, patience=PATIENCE,
        expected=lambda _topic: (A,), topics={"s": "predictions"},
    )  # fmt: skip


def incident(state: StateLog) -> Incident:
    (body,) = state.ledger(MODEL).of("incident").values()
    return Incident.from_json(body)


def lived(loop: Evaluate, clock: ManualClock, seconds: float, *reports: Progress) -> None:
    for _ in range(int(seconds // LOOK_EVERY)):
        for report in reports:
            loop._state.report(replace(report, observed=clock.now_ms()))
        loop.tick()
        clock.advance(LOOK_EVERY)


def actions(state: StateLog) -> list[str]:
    return sorted(str(body["action"]) for body in state.ledger(MODEL).of("intent").values())


def test_a_restart_without_a_model_closes_its_incidents(tmp_path) -> None:
    """Somebody was paged and would wait for ever; what was to be delivered before is delivered still."""
    clock = ManualClock(START)
    before = LocalLog(tmp_path, clock=clock)
    drifted(before, clock.now_ms())
    before.close()
    state = LocalLog(tmp_path, clock=clock)
    mine = replace(progress(A, 7), counted={"m": Counted(PLAN.config)})
    loop = started(state, clock, "m")
    loop.tick()
    assert loop.removed == {MODEL}
    assert loop.speaks_for(loop.removed) == (MODEL,)
    lived(loop, clock, SETTLED, mine)
    assert incident(state).firing
    lived(loop, clock, 2 * LOOK_EVERY, mine)
    assert not incident(state).firing
    assert incident(state).note == "the model was removed from the configuration"
    assert actions(state) == ["resolve", "trigger"]
    assert loop.outbox["pagerduty"] == 2
    state.close()


@pytest.fixture
def cluster():
    clock = ManualClock(START)
    broker = SimulatedBroker(1, PARTITIONS, clock=clock)
    states = [
        KafkaLog(
            broker.connect(name), topics=TOPICS, owned=lambda owned=owned: owned, clock=clock, stall=PATIENCE.stall
        )
        for name, owned in (("old", {}), ("new", {}))
    ]  # fmt: skip
    return clock, states


def share(state: KafkaLog, *, generation: int) -> None:
    """The group gives everything to this one."""
    state._owned().update(dict.fromkeys(range(PARTITIONS["ledger"]), generation))
    state.attend()


@pytest.mark.parametrize("says", ["the model", "nothing of models"])
def test_replicas_that_count_a_model_still_keep_its_incidents_open(cluster, says) -> None:
    """While they are replaced one by one the new one may speak for it already; when the last old one is gone, and
    some time has passed, the incident is closed, once."""
    clock, (old, new) = cluster
    share(old, generation=1)
    identity = drifted(old, clock.now_ms())
    share(new, generation=2)
    loop = started(new, clock, "m")
    theirs = replace(progress(A, 7), counted={MODEL: Counted("c")} if says == "the model" else None)
    lived(loop, clock, 3 * SETTLED, theirs)
    assert incident(new).firing
    lived(loop, clock, SETTLED + PATIENCE.stall / 1000 - LOOK_EVERY)
    assert incident(new).firing
    lived(loop, clock, 3 * LOOK_EVERY)
    closed = incident(new)
    assert (closed.id, closed.firing) == (identity, False)
    lived(loop, clock, SETTLED)
    assert incident(new) == closed


def test_a_model_that_comes_back_is_not_closed(cluster) -> None:
    """The change was taken back: what nobody counted for a moment is judged again by the next owner."""
    clock, (old, new) = cluster
    share(old, generation=1)
    drifted(old, clock.now_ms())
    share(new, generation=2)
    loop = started(new, clock, "m")
    lived(loop, clock, SETTLED)
    loop._state.report(replace(progress(A, 7), counted={MODEL: Counted("c")}, observed=clock.now_ms()))
    lived(loop, clock, SETTLED)
    assert incident(new).firing


def test_a_refused_partition_does_not_keep_incidents_open(cluster) -> None:
    """Whoever holds a partition that cannot be read counts nothing of it."""
    clock, (_, new) = cluster
    share(new, generation=1)
    drifted(new, clock.now_ms())
    loop = started(new, clock, "m")
    refused = Progress(A, applied=0, end=-1, watermark=-1, idle=False, paused="damaged", observed=0)
    lived(loop, clock, SETTLED + 2 * LOOK_EVERY, refused)
    assert not incident(new).firing
