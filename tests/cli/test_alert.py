"""`driftline alert test`: every route is tried, and every outcome is said."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from monitor.cli.alert import command
from monitor.deliver.receiver import Answer, Receiver
from monitor.errors import UsageError
from monitor.http import request
from tests.incident.cases import LOOPBACK, SECRET


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


@pytest.fixture
def config(tmp_path, receiver):
    """A configuration file whose routes end at the receiver; returns its path for given alertmanagers."""

    def write(*members: str) -> str:
        urls = ", ".join(f'"{url}"' for url in members or (receiver.url,))
        path = tmp_path / "driftline.yaml"
        path.write_text(
            f"""version: 1
kafka: {{brokers: ["localhost:9092"]}}
sources:
  predictions: {{topic: predictions, fields: {{time: {{path: ts, unit: ms}}}}}}
models:
  churn:
    source: predictions
    features: {{age: {{path: age, kind: numeric}}}}
    retrain: {{mode: suggest, target: pipeline}}
alerts:
  alertmanager: {{urls: [{urls}], allow_private: ["127.0.0.0/8"]}}
  pagerduty: {{routing_key: {"k" * 32}, url: "{receiver.url}/v2/enqueue", allow_private: ["127.0.0.0/8"]}}
targets:
  pipeline:
    {{preset: webhook, url: "{receiver.url}/hooks/retrain", secret: "{SECRET}",
      insecure_http: true, allow_private: ["127.0.0.0/8"]}}
"""
        )
        return str(path)

    return write


def run(*args: str):
    return CliRunner().invoke(command, ["test", *args])


def test_every_route_gets_the_alert_and_its_resolve(receiver, config):
    """Alertmanager and PagerDuty are told twice, the retraining target once, all marked as a test."""
    result = run("-c", config(), "--output", "json")
    assert result.exit_code == 0, result.output
    assert [(row["integration"], row["action"], row["ok"]) for row in json.loads(result.stdout)] == [
        ("alertmanager", "fire", True),
        ("pagerduty", "fire", True),
        ("pipeline", "test", True),
        ("alertmanager", "resolve", True),
        ("pagerduty", "resolve", True),
    ]
    bodies = {}
    for got in receiver.requests:
        bodies.setdefault(got.path, []).append(got.json())
    fired, resolved = (alerts[0] for alerts in bodies["/api/v2/alerts"])
    assert fired["labels"] == resolved["labels"]
    assert fired["labels"]["alertname"] == "DriftlineTest"
    assert fired["labels"]["test"] == "true"
    assert resolved["endsAt"] < fired["endsAt"]
    trigger, resolve = bodies["/v2/enqueue"]
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert "Test alert" in trigger["payload"]["summary"]
    (event,) = bodies["/hooks/retrain"]
    assert event["type"] == "driftline.test.v1"


def test_one_integration_alone(receiver, config):
    """--integration leaves the others in peace."""
    result = run("-c", config(), "--integration", "pipeline")
    assert result.exit_code == 0, result.output
    assert [got.path for got in receiver.requests] == ["/hooks/retrain"]


def test_a_failure_is_said_and_is_the_exit_code(receiver, config):
    """The row says what the receiver answered; the command exits with 1; no secret is printed."""
    receiver.answer_always(Answer(403, b"who are you"))
    result = run("-c", config(), "--integration", "pagerduty")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "403 who are you" in result.stdout
    assert "k" * 32 not in result.output
    assert "enqueue" not in result.output


def test_a_member_that_is_down_does_not_hide_the_other(receiver, config):
    """Each member of the cluster has a row of its own."""
    result = run(
        "-c", config("http://127.0.0.1:1", receiver.url), "--integration", "alertmanager", "--output", "json"
    )
    assert [(row["to"], row["ok"]) for row in json.loads(result.stdout)][:2] == [
        ("127.0.0.1:1", False),
        (f"127.0.0.1:{receiver.port}", True),
    ]


def test_dry_run_sends_nothing(receiver, config):
    """It says which routes there are."""
    result = run("-c", config(), "--dry-run")
    assert result.stdout.strip() == "would test: alertmanager, pagerduty, pipeline"
    assert receiver.requests == []


def test_unknown_integrations_are_named(config):
    """A typo is a usage error that lists what there is."""
    with pytest.raises(UsageError, match="alertmanager, pagerduty, pipeline"):
        CliRunner().invoke(
            command, ["test", "-c", config(), "--integration", "slack"], catch_exceptions=False
        )


def test_a_real_alertmanager_shows_the_test_alert(alertmanager, config):
    """While it is held, the test alert stands in a real Alertmanager; afterwards it does not."""
    result = run("-c", config(alertmanager.url), "--integration", "alertmanager")
    assert result.exit_code == 0, result.output
    url = f"{alertmanager.url}/api/v2/alerts?filter=alertname%3D%22DriftlineTest%22"
    assert json.loads(request("GET", url, plan=LOOPBACK).body) == []
