"""Real Prefect and Airflow servers, and what they once said, spoken again.

`DRIFTLINE_RECORD=1 pytest -m 'slow or night' tests/pipelines` writes tests/contract/recorded anew.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from monitor.clock import ManualClock
from monitor.deliver.attempt import Outcome
from monitor.deliver.event import event_of
from monitor.deliver.follow import Follower
from monitor.deliver.receiver import Receiver
from monitor.deliver.target import Target
from monitor.incident.model import Incident
from monitor.plan import RetrainPlan
from tests.conftest import _missing
from tests.deliver.outbox import Outbox
from tests.incident.cases import plan, routes, verdict
from tests.pipelines.environment import NotInstalled
from tests.pipelines.exchange import Player, Recorder, recorded
from tests.pipelines.servers import Airflow, Prefect, Server

KINDS = {one.name: one for one in (Prefect(), Airflow())}
ENDS = {"prefect3": ("SCHEDULED", "COMPLETED"), "airflow3": ("queued", "success")}


def live_and_follow(kind: Prefect | Airflow, url: str, server: Server | None) -> None:
    """One request from drift to the end of its run; then the same once more, and one to what is not there."""
    alerts = replace(routes(), targets={"pipeline": kind.plan(url)})
    retrain = RetrainPlan(mode="auto", target="pipeline", cooldown=0, max_per_day=9)
    box = Outbox(alerts, ManualClock(1_792_000_000_000), model_plan=plan(clear_after=1, retrain=retrain))
    assert box.target().probe().outcome is Outcome.SENT
    box.judge(verdict(0))
    box.webhook().tick()
    assert box.outcomes() == [("retrain", "sent")]
    ((request, outcome),) = box.entries("outcome").items()
    begun, ended = ENDS[kind.name]
    assert outcome["run"]["state"] == begun
    follower = Follower(box.target(), box.watch, box.clock)
    follower.tick()
    box.judge(verdict(1, "ok"), verdict(2))
    assert box.entries("clock")["retrain"]["suppressed"] == {"already_running": 1}
    if server is not None:
        kind.finish(server, outcome["run"]["id"])
    follower.tick()
    after = box.entries("outcome")[request]["run"]
    assert after == {**outcome["run"], "state": ended, "over": True}
    incident = Incident.from_json(box.entries("retrain")[request]["evidence"])
    event = event_of(request, incident, alerts, created=box.clock.now_ms())
    again = box.target().ask(event)
    assert (again.outcome, again.run and again.run.id) == (Outcome.SENT, outcome["run"]["id"])
    lost = Target(kind.plan(url, "nothing"), alerts, box.clock).ask(event)
    assert (lost.outcome, lost.reason, lost.lost) == (Outcome.RETRY, "clientError", False)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_it_is_asked_as_the_real_one_was(name):
    """Every request is the one that the server took, and every answer is understood as then."""
    with Receiver() as receiver:
        player = Player(recorded(name), receiver)
        try:
            live_and_follow(KINDS[name], receiver.url, None)
        finally:
            assert player.wrong == []
        assert len(receiver.requests) == len(player.said)


@pytest.mark.timeout(1200)  # the environment is made the first time
@pytest.mark.parametrize(
    "name",
    [pytest.param("prefect3", marks=pytest.mark.slow), pytest.param("airflow3", marks=pytest.mark.night)],
)
def test_a_real_server_starts_one_run(name, tmp_path):
    """It answers as it did when its answers were recorded."""
    kind = KINDS[name]
    try:
        starting = kind.start(tmp_path)
        server = starting.__enter__()
    except NotInstalled as error:
        _missing(name.rstrip("23"), str(error))
    try:
        with Receiver() as receiver:
            recorder = Recorder(server.url, receiver)
            live_and_follow(kind, receiver.url, server)
    finally:
        starting.__exit__(None, None, None)
    if os.environ.get("DRIFTLINE_RECORD"):
        recorder.store(name)
    said = [(one["method"], one["status"], one["answer"].keys()) for one in recorder.said]
    assert said == [(one["method"], one["status"], one["answer"].keys()) for one in recorded(name)]
