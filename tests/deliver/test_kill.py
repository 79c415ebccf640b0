"""Killed with SIGKILL around a send: everything arrives, under no other id than its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.clock import SystemClock
from monitor.deliver.receiver import Receiver
from monitor.incident.intend import intend
from monitor.incident.track import track
from monitor.plan import RetrainPlan
from monitor.state.local import LocalLog
from tests.incident.cases import plan, routes, verdict

DELIVER = """
import sys, threading
from pathlib import Path
from monitor.clock import SystemClock
from monitor.deliver.start import build_integrations
from monitor.deliver.watch import Watch
from monitor.state.local import LocalLog
from tests.incident.cases import routes

clock = SystemClock()
alerts = routes(pagerduty=sys.argv[2], target=sys.argv[3])
watch = Watch(LocalLog(Path(sys.argv[1]), clock=clock), clock, lambda: ("flights",))
for loop in build_integrations(alerts, watch, clock):
    loop.tick()
    loop.tick()  # the first look may find the claim of the process that died
"""


def deliver(directory, url, *, failpoint=""):
    """One look at the outbox by a process of its own, which may die at a named place."""
    environment = {**os.environ, "DRIFTLINE_FAILPOINT": failpoint, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-W", "error", "-c", DELIVER, str(directory), f"{url}/v2/enqueue", url]
    return subprocess.run(command, check=False, env=environment, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(
    "failpoint",
    ["claim.after:1", "send.before:1", "send.inside:1", "append.inside:1", "send.after:1"],
)
def test_a_kill_around_a_send_loses_nothing(tmp_path, failpoint):
    """The next process finishes what the killed one left; receivers can deduplicate what came twice."""
    clock = SystemClock()
    model_plan = plan(retrain=RetrainPlan(mode="auto", target="pipeline"))
    with Receiver() as receiver:
        alerts = routes(pagerduty=f"{receiver.url}/v2/enqueue", target=receiver.url)
        log = LocalLog(tmp_path, clock=clock)
        transitions = track({}, verdict(0), model_plan)
        ledger = log.ledger("flights")
        entries = intend(transitions, ledger, plan=model_plan, alerts=alerts, now=clock.now_ms()).entries
        log.append("flights", entries)
        log.close()
        (incident,) = (entry.id for entry in entries if entry.kind == "incident")
        assert deliver(tmp_path, receiver.url, failpoint=failpoint) == -signal.SIGKILL
        assert deliver(tmp_path, receiver.url) == 0
        ids = {got.headers["webhook-id"] for got in receiver.requests if "webhook-id" in got.headers}
        keys = {got.json()["dedup_key"] for got in receiver.requests if got.path == "/v2/enqueue"}
    assert ids == {f"rt_{incident}"}
    assert len(keys) == 1
    assert 2 <= len(receiver.requests) <= 3
    log = LocalLog(tmp_path, clock=clock)
    left = log.ledger("flights")
    log.close()
    assert left.of("intent") == {}
    assert {body["state"] for body in left.of("outcome").values()} == {"sent"}
