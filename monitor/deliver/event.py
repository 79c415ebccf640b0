"""What a retraining request says: a CloudEvent with the evidence, the same at every kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.deliver.plan import AlertsPlan
from monitor.incident.model import DRIFT, Incident
from monitor.incident.text import model_url, rfc3339

REQUESTED = "driftline.retrain.requested.v1"
TESTED = "driftline.test.v1"


def event_of(
    identity: str, incident: Incident, alerts: AlertsPlan, *, created: int, kind: str = REQUESTED
) -> dict[str, Any]:
    """A CloudEvent 1.0 whose `id` is the request's; `source` and `id` together are unique."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": alerts.source,
        "type": kind,
        "subject": incident.model,
        "time": rfc3339(created),
        "datacontenttype": "application/json",
        "data": _data(incident, alerts),
    }


def _data(incident: Incident, alerts: AlertsPlan) -> dict[str, Any]:
    evidence = incident.evidence
    window = evidence.get("window", {})
    links = {"ui": model_url(alerts.external_url, incident.model)}
    if incident.runbook:
        links["runbook"] = incident.runbook
    return {
        "model": incident.model,
        "model_version": incident.versions[0] if incident.versions else "",
        "incident": incident.id,
        "reason": "feature_drift" if incident.rule == DRIFT else f"rule {incident.rule}",
        "cause": incident.cause,
        "rule": evidence.get("rule"),
        "onset": rfc3339(incident.onset),
        "window": {
            "name": window.get("name", incident.window),
            "start": rfc3339(window.get("start", incident.onset)),
            "end": rfc3339(window.get("end", incident.last)),
            "records": evidence.get("rows", 0),
        },
        "reference": incident.reference,
        "features": [
            {
                "name": test["feature"],
                "detector": test["test"],
                "score": test["score"],
                "threshold": test["threshold"],
            }
            for test in evidence.get("tests", ())
        ],
        "diagnosis": list((evidence.get("diagnosis") or {}).get("causes", ())),
        "where": (evidence.get("diagnosis") or {}).get("where", ""),
        "verdict": {
            name: evidence.get(name) for name in ("state", "kind", "p", "statistic", "alpha", "detail")
        },
        "kafka": _ranges(evidence.get("offsets", {})),
        "since": _ranges(evidence.get("since", {})),
        "links": links,
    }


def _ranges(offsets: Mapping[str, Any]) -> dict[str, Any]:
    """{"topic", "from": {partition: first}, "to": {partition: last}}, inclusive; a model reads one topic."""
    topic = next(iter(sorted(offsets)), "").rpartition("/")[0]
    inside = {name.rpartition("/")[2]: span for name, span in offsets.items() if name.startswith(f"{topic}/")}
    return {
        "topic": topic,
        "from": {partition: first for partition, (first, _last) in inside.items()},
        "to": {partition: last for partition, (_first, last) in inside.items()},
    }
