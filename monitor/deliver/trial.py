"""A marked test alert and its resolve, through the same code that real ones take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from monitor.clock import Clock
from monitor.deliver import pagerduty
from monitor.deliver.alertmanager import NAME as ALERTMANAGER
from monitor.deliver.alertmanager import post_alerts
from monitor.deliver.alerts import Alert
from monitor.deliver.attempt import Attempt, Outcome
from monitor.deliver.event import TESTED, event_of
from monitor.deliver.plan import AlertsPlan
from monitor.deliver.target import Target
from monitor.http import host_of
from monitor.incident.intend import PAGERDUTY
from monitor.incident.model import DRIFT, Incident, Severity, Status, incident_id
from monitor.incident.text import model_url

MODEL = "driftline-test"
ALERTNAME = "DriftlineTest"
SUMMARY = "Test alert of driftline: the route works, nothing has drifted."


@dataclass(frozen=True, slots=True)
class Trial:
    """What one request came to. `to` is the host only: URLs may hold tokens."""

    integration: str
    to: str
    action: str
    """fire | resolve | test | look: a question that starts nothing"""
    attempt: Attempt

    @property
    def ok(self) -> bool:
        return self.attempt.outcome is Outcome.SENT


def names(plan: AlertsPlan) -> list[str]:
    """Every integration that can be tried."""
    built_in = [ALERTMANAGER] * bool(plan.alertmanager) + [PAGERDUTY] * bool(plan.pagerduty)
    return [*built_in, *plan.targets]


def try_routes(
    plan: AlertsPlan, clock: Clock, *, chosen: str, severity: Severity, hold: float
) -> Iterator[Trial]:
    """Send the test alert everywhere, wait `hold` seconds, send its resolve. `chosen` "" means all.

    A webhook gets an event of type `driftline.test.v1`, which asks for nothing; every other target is looked at.
    """
    started = clock.now_ms()
    incident = _incident(started, severity)
    sends = [send for name, send in _sends(plan, incident, clock) if chosen in {"", name}]
    for send in sends:
        yield from send("fire")
    if hold and sends:
        clock.wait(threading.Event(), hold)
    for send in sends:
        yield from send("resolve")


Send = Callable[[str], Iterator[Trial]]


def _sends(plan: AlertsPlan, incident: Incident, clock: Clock) -> Iterator[tuple[str, Send]]:
    if plan.alertmanager:
        yield ALERTMANAGER, lambda action: _tell_members(plan, incident, clock, action)
    if plan.pagerduty:
        yield PAGERDUTY, lambda action: _tell_pagerduty(plan, incident, clock, action)
    for name in plan.targets:
        yield name, _target_send(plan, name, incident, clock)


def _target_send(plan: AlertsPlan, name: str, incident: Incident, clock: Clock) -> Send:
    def send(action: str) -> Iterator[Trial]:
        if action != "fire":
            return
        target = Target(plan.targets[name], plan, clock)
        to = host_of(plan.targets[name].url)
        if target.preset.name != "webhook":
            yield Trial(name, to, "look", target.probe())
            return
        event = event_of(f"test_{incident.id}", incident, plan, created=clock.now_ms(), kind=TESTED)
        yield Trial(name, to, "test", target.ask(event))

    return send


def _tell_members(plan: AlertsPlan, incident: Incident, clock: Clock, action: str) -> Iterator[Trial]:
    assert plan.alertmanager is not None
    now = clock.now_ms()
    alert = Alert(
        labels={"alertname": ALERTNAME, "model": MODEL, "severity": str(incident.severity), "test": "true"},
        annotations={"summary": SUMMARY, "incident": incident.id},
        starts=incident.opened,
        ends=-1 if action == "fire" else now,
        url=model_url(plan.external_url, MODEL),
    )
    for url in plan.alertmanager.urls:
        attempt = post_alerts(url, [alert], plan.alertmanager, now=now)
        yield Trial(ALERTMANAGER, host_of(url), action, attempt)


def _tell_pagerduty(plan: AlertsPlan, incident: Incident, clock: Clock, action: str) -> Iterator[Trial]:
    assert plan.pagerduty is not None
    event = pagerduty.event_of(incident, "trigger" if action == "fire" else "resolve", plan)
    if action == "fire":
        event["payload"] = {**event["payload"], "summary": SUMMARY, "class": "test"}
    attempt = pagerduty.post_event(event, plan.pagerduty, now=clock.now_ms())
    yield Trial(PAGERDUTY, host_of(plan.pagerduty.url), action, attempt)


def _incident(now: int, severity: Severity) -> Incident:
    """Its id comes from the time, so that two tests are two alerts."""
    empty = Incident(
        id="", model=MODEL, segment="", rule=DRIFT, severity=severity, state=Status.FIRING,
        opened=now, onset=now, last=now, updated=now, window="test", cause="test(none)",
    )  # fmt: skip
    evidence = {"detail": SUMMARY, "test": True}
    return replace(empty, id=incident_id(MODEL, "", DRIFT, now), evidence=evidence)
