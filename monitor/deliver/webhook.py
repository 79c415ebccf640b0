"""Retraining requests: Standard Webhooks headers, a CloudEvents body in structured mode."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from monitor.clock import Clock
from monitor.deliver.attempt import SENT, Attempt, Outcome, refusal, retry_after
from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.plan import AlertsPlan, TargetPlan
from monitor.deliver.signing import signature_headers
from monitor.errors import DeliveryRefused, RequestError, UsageError
from monitor.http import Failure, Response, request
from monitor.incident.model import DRIFT, Incident
from monitor.incident.text import model_url, rfc3339

REQUESTED = "driftline.retrain.requested.v1"
TESTED = "driftline.test.v1"
HEADER_SAFE = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""All of printable ASCII but space, quote and percent: as CloudEvents writes attributes in headers."""
CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"


class Webhook:
    """One retraining target."""

    backoff = WEBHOOK

    def __init__(self, plan: TargetPlan, alerts: AlertsPlan, clock: Clock) -> None:
        self.name = plan.name
        self.address = address_of(plan.url)
        self._plan = plan
        self._alerts = alerts
        self._clock = clock

    def ready_in(self) -> float:
        return 0.0

    def send(self, intent: str, body: Mapping[str, Any]) -> Attempt:
        incident = Incident.from_json(body["incident"])
        event = event_of(intent, incident, self._alerts, created=int(body["created"]))
        return post_event(event, self._plan, now=self._clock.now_ms())


def address_of(url: str) -> str:
    """What tells one URL of a target from the next without showing its tokens."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def post_event(event: Mapping[str, Any], plan: TargetPlan, *, now: int) -> Attempt:
    """One POST. Body and id are equal on every attempt, the timestamp and signature are not."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        headers = _headers(event, body, plan, now)
        response = request("POST", plan.url, plan=plan.http, headers=headers, body=body)
    except RequestError as error:
        return Attempt(Outcome.RETRY, Failure(error.reason), str(error))
    except (DeliveryRefused, UsageError, OSError) as error:
        return Attempt(Outcome.RETRY, Failure.OTHER, str(error))
    return judge_response(response, now)


def judge_response(response: Response, now: int) -> Attempt:
    """2xx is success, 410 the end of the target; a redirect is not followed and tried again later."""
    if response.failure is None:
        return SENT
    if response.status == 410:
        return Attempt(Outcome.DEAD, Failure.CLIENT_ERROR, refusal(response), disable=True)
    return Attempt(Outcome.RETRY, response.failure, refusal(response), retry_after(response.headers, now))


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
        "kafka": _ranges(evidence.get("offsets", {})),
        "links": links,
    }


def _ranges(offsets: Mapping[str, Any]) -> dict[str, Any]:
    """{"topic", "from": {partition: first}, "to": {partition: last}}; a model reads one topic."""
    topic = next(iter(sorted(offsets)), "").rpartition("/")[0]
    inside = {name.rpartition("/")[2]: span for name, span in offsets.items() if name.startswith(f"{topic}/")}
    return {
        "topic": topic,
        "from": {partition: first for partition, (first, _last) in inside.items()},
        "to": {partition: last for partition, (_first, last) in inside.items()},
    }


def _headers(event: Mapping[str, Any], body: bytes, plan: TargetPlan, now: int) -> dict[str, str]:
    identity = str(event["id"])
    secrets = [secret.reveal() for secret in plan.secrets]
    ours = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": identity}
    ours["x-driftline-model"] = quote(str(event["subject"]), safe=HEADER_SAFE)
    if plan.token:
        ours["Authorization"] = f"Bearer {plan.token.reveal()}"
    ours |= signature_headers(identity, body, secrets=secrets, now_ms=now)
    taken = {name.lower() for name in ours}
    theirs = {name: value for name, value in plan.headers.items() if name.lower() not in taken}
    return {**theirs, **ours}
