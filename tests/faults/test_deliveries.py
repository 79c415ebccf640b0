"""Killed around a send, drift that flaps, and addresses that must not be asked: rows 48, 50 and 51."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from monitor.clock import ManualClock
from monitor.deliver.plan import HttpPlan
from monitor.deliver.receiver import Answer
from monitor.errors import RequestError
from monitor.http import request
from monitor.plan import RetrainPlan
from tests.daemon.ask import get, until
from tests.daemon.build import MODEL, SECRET, Sent, merged, stream, with_retraining
from tests.daemon.test_kill import finish, killed_at, scene_of
from tests.deliver.outbox import Outbox
from tests.faults.world import BRISK, alerts_of, ends_well, lines_of
from tests.incident.cases import DAY, HOUR, plan, routes, verdict


@pytest.mark.slow(30)
def test_row_48_killed_between_decision_and_send_and_between_send_and_outcome(make, receiver):
    """What was decided is sent by the next life, and what was sent unrecorded is sent again under the same id."""
    scene, sent = scene_of(make, receiver)
    for point in ("append.after:5", "send.before:1", "send.inside:1"):
        killed_at(scene, point)
    finish(scene, sent, receiver)
    requests = [r.headers["webhook-id"] for r in receiver.requests if r.path == "/hooks/retrain"]
    assert len(set(requests)) == 1


def test_row_50_a_drift_that_flaps_with_each_window_makes_no_storm(receiver):
    """Six days of a drift that comes and goes every two hours: one request a day at most, never two at once."""
    retrain = RetrainPlan(mode="auto", target="pipeline", cooldown=DAY, max_per_day=1)
    clock = ManualClock(1_792_000_000_000)
    box = Outbox(routes(target=receiver.url), clock, model_plan=plan(clear_after=1, retrain=retrain))
    loop = box.webhook()
    receiver.answer(*[Answer(500)] * 3)  # the first request is still on its way when the next is due
    opened, asked, waiting = set(), [], 0
    for hour in range(6 * 24):
        box.judge(verdict(hour, "ok" if hour % 2 else "drift"))
        opened |= box.entries("incident").keys()
        waiting = max(waiting, len(box.entries("intent")))
        before = len(receiver.requests)
        for _ in range(4):
            loop.tick()
            clock.advance(HOUR / 4000)
        if len(receiver.requests) > before and receiver.requests[-1].headers["webhook-id"] not in asked:
            asked.append(receiver.requests[-1].headers["webhook-id"])
    assert len(opened) == 72
    assert 5 <= len(asked) <= 6
    assert waiting == 1
    assert len(receiver.requests) == len(asked) + 3
    suppressed = box.entries("clock")["retrain"]["suppressed"]
    assert suppressed["cooldown"] + suppressed.get("already_running", 0) == 72 - len(asked)


PRIVATE = (
    "https://10.0.0.8/hooks",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:127.0.0.1]/hooks",
    "https://[64:ff9b::a9fe:a9fe]/hooks",
    "https://2130706433/hooks",
    "https://0x7f.1/hooks",
)
TOKEN = "t0ken-that-nobody-may-see"
ODD = "${env:HOME}{{ 7 * 7 }}\r\nX-Evil: 1"


@pytest.mark.slow
def test_row_51_private_addresses_are_not_asked_and_secrets_not_told(make, receiver, monkeypatch):
    """Targets at private addresses in every disguise are refused before anything is sent, a redirect to one is not
    followed, and a name that moves gains nothing; what is said of it holds no token. Texts of records are no
    templates."""
    inside = {"preset": "webhook", "secret": SECRET, "token": TOKEN, "insecure_http": True}
    targets = {f"t{n}": {**inside, "url": f"{url}?key={TOKEN}"} for n, url in enumerate(PRIVATE)}
    targets["near"] = {**inside, "url": f"http://0x7f.1:{receiver.port}/private?key={TOKEN}"}
    scene = make(**merged(with_retraining(receiver), {"targets": targets}))
    refused = driftline("check", "--no-network", "-c", str(scene.config))
    assert refused.returncode == 78
    assert refused.stderr.count("error[private-address]") == 3
    scene.configure(targets={"t0": None, "t1": None, "t2": None})
    receiver.answer_always(Answer(302, headers={"Location": f"http://127.0.0.1:{receiver.port}/private"}))
    done = driftline("alert", "test", "-c", str(scene.config), "--output", "json")
    tried = {one["integration"]: one for one in json.loads(done.stdout)}
    assert not any(tried[name]["ok"] for name in ("t3", "t4", "t5", "near", "pipeline"))
    assert all("is not public" in tried[name]["detail"] for name in ("t3", "t4", "near")), tried
    assert TOKEN not in refused.stdout + refused.stderr + done.stdout + done.stderr
    receiver.answer_always(Answer())
    tests = len(receiver.requests)
    scene.configure(models={MODEL: {"retrain": {"target": "near"}}})
    sent = [spoiled(record) for record in stream(range(4), drifting=(2, 3))]
    scene.send(sent)
    with scene.process(module=BRISK) as life:
        until(lambda: lines_of(life, "delivery_retry"), "the request to be refused")
        until(lambda: alerts_of(receiver.requests[tests:]), "the alert")
        assert TOKEN not in get(f"{life.url}/api/v1/status/config")[1]
        ends_well(life, sent)
        assert TOKEN not in life.output
        assert "not public" in lines_of(life, "delivery_retry")[0]["detail"]
    assert {request.path for request in receiver.requests} == {"/api/v2/alerts", "/hooks/retrain"}
    assert {alert["annotations"]["version"] for alert in alerts_of(receiver.requests[tests:])} == {ODD}
    moved(receiver, monkeypatch)


def driftline(*arguments):
    """One command, to its end."""
    command = [sys.executable, "-m", "monitor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def spoiled(record):
    """The same record of a version that looks like a template."""
    return Sent(
        record.partition, json.dumps({**json.loads(record.value), "version": ODD}).encode(), record.timestamp
    )


def moved(receiver, monkeypatch):
    """A name that is public when it is checked and loopback when it is asked again."""
    answers, real, before = ["93.184.216.34", "127.0.0.1"], socket.getaddrinfo, len(receiver.requests)

    def moving(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    def refuse(_socket, address):
        assert address[0] == "93.184.216.34"
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", moving)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(RequestError):
        request("POST", f"http://rebind.example:{receiver.port}/", plan=HttpPlan(insecure_http=True))
    assert answers == ["127.0.0.1"]
    assert len(receiver.requests) == before
