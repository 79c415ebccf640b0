"""From a drift to people and pipelines, over restarts."""

from __future__ import annotations

import json

from standardwebhooks import Webhook

from tests.daemon.ask import get, until
from tests.daemon.build import MODEL, SECRET, await_done, stream, with_retraining
from tests.daemon.recount import stored_verdicts


def told(receiver):
    return [
        alert
        for request in list(receiver.requests)
        if request.path.endswith("/alerts")
        for alert in request.json()
    ]


def hooks(receiver):
    return [request for request in list(receiver.requests) if request.path == "/hooks/retrain"]


def test_a_drift_is_one_incident_over_a_restart_and_resolves(make, receiver):
    """One incident opens, fires under one label set and id on both sides of a restart, asks for retraining once
    with a signature that the reference library accepts, and is resolved after two ok windows."""
    scene = make(**with_retraining(receiver))
    sent = stream(range(10), drifting=range(3, 6))
    per_window = len(sent) // 10
    with scene.daemon() as daemon:
        scene.send(sent[: 5 * per_window])
        await_done(daemon, 5 * per_window)
        until(lambda: told(receiver) and hooks(receiver), "the alert and the request")
        (incident,) = daemon.view().models[0].incidents
        assert (incident["state"], incident["cause"]) == ("firing", "missing(amount)")
        until(lambda: not any(daemon.view().outbox.values()), "the outbox to be empty")
    seen = len(told(receiver))
    with scene.daemon() as daemon:
        until(lambda: len(told(receiver)) > seen, "the alert to be sent again")
        scene.send(sent[5 * per_window :])
        await_done(daemon, len(sent))
        until(
            lambda: daemon.view().models[0].incidents[0]["state"] == "resolved", "the incident to be resolved"
        )
        (again,) = daemon.view().models[0].incidents
        assert again["id"] == incident["id"]
        assert daemon.view().models[0].pages_sent == 1

        def resolved():
            return [
                a for a in told(receiver) if a["annotations"]["incident"] == incident["id"] and _has_ended(a)
            ]

        until(resolved, "the resolved alert")
    alerts = told(receiver)
    assert {alert["annotations"]["incident"] for alert in alerts} == {incident["id"]}
    assert len({(json.dumps(alert["labels"], sort_keys=True), alert["startsAt"]) for alert in alerts}) == 1
    (request,) = hooks(receiver)
    body = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert request.headers["webhook-id"] == f"rt_{incident['id']}"
    assert body == request.json()
    state = scene.found()
    states = [body["state"] for _, body in sorted(stored_verdicts(state).items())]
    assert states == ["ok"] * 3 + ["drift"] * 3 + ["ok"] * 4
    state.close()


def _has_ended(alert):
    from datetime import UTC, datetime

    return datetime.fromisoformat(alert["endsAt"]) <= datetime.now(UTC)


def test_no_drift_tells_nobody(make, receiver):
    """Ordinary windows: no incident, no alert, no request."""
    scene = make(**with_retraining(receiver))
    sent = stream(range(6))
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        assert daemon.view().models[0].incidents == ()
    assert told(receiver) == hooks(receiver) == []


def test_an_acknowledgement_is_shown_and_survives(make, receiver):
    """POST /ack names who took it; the incident stays open, and a restart remembers."""
    scene = make()
    sent = stream(range(5), drifting=range(3, 5))
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        (incident,) = daemon.view().models[0].incidents
        url = f"{daemon.server.url}/api/v1/incidents/{incident['id']}"
        assert get(f"{url}/ack", method="POST", body=b'{"by": "ada"}')[0] == 200
        until(lambda: json.loads(get(url)[1])["data"]["acked_by"] == "ada", "the name to be shown")
        assert get(f"{daemon.server.url}/api/v1/incidents/nobody/ack", method="POST")[0] == 404
    with scene.daemon() as daemon:
        until(lambda: daemon.view().models, "the model to be shown")
        assert daemon.view().models[0].incidents[0]["acked_by"] == "ada"
        assert daemon.evaluate.verdicts(MODEL)
