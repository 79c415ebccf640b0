"""PagerDuty Events API v2."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from monitor.clock import Clock
from monitor.deliver.attempt import SENT, Attempt, Outcome, refusal, retry_after
from monitor.deliver.backoff import PAGERDUTY
from monitor.deliver.plan import AlertsPlan, PagerDutyPlan
from monitor.errors import DeliveryRefused, RequestError
from monitor.http import Failure, request
from monitor.incident.intend import PAGERDUTY as NAME
from monitor.incident.model import Incident
from monitor.incident.text import model_url, rfc3339, summary

SUMMARY_LIMIT = 1024
SIZE_LIMIT = 512_000
"""512 KB; Alertmanager takes it as 512 000 bytes and so do we."""
SEVERITIES = {"critical": "critical", "warning": "warning"}


class TokenBucket:
    """At most `per_minute` events per minute; PagerDuty drops what comes faster than about 120."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._capacity = float(per_minute)
        self._tokens = float(per_minute)
        self._clock = clock
        self._filled = clock.monotonic()

    def ready_in(self) -> float:
        """Seconds until there is a token; 0 when there is one."""
        self._fill()
        return max(0.0, (1.0 - self._tokens) * 60.0 / self._capacity)

    def take(self) -> None:
        self._fill()
        self._tokens -= 1.0

    def _fill(self) -> None:
        now = self._clock.monotonic()
        grown = self._tokens + (now - self._filled) * self._capacity / 60.0
        self._tokens, self._filled = min(self._capacity, grown), now


class PagerDuty:
    """Triggers, acknowledges and resolves; one alert per incident, by its `dedup_key`."""

    name = NAME
    backoff = PAGERDUTY
    address = ""
    deduplicates = True

    def __init__(self, plan: PagerDutyPlan, alerts: AlertsPlan, clock: Clock) -> None:
        self._plan = plan
        self._alerts = alerts
        self._clock = clock
        self._tokens = TokenBucket(plan.per_minute, clock)

    def ready_in(self) -> float:
        return self._tokens.ready_in()

    def send(self, intent: str, body: Mapping[str, Any]) -> Attempt:
        self._tokens.take()
        incident = Incident.from_json(body["incident"])
        event = event_of(incident, str(body["action"]), self._alerts)
        return post_event(event, self._plan, now=self._clock.now_ms())


def post_event(event: Mapping[str, Any], plan: PagerDutyPlan, *, now: int) -> Attempt:
    """One POST to the enqueue address. 400 is never worth another try."""
    try:
        body = encode({"routing_key": plan.routing_key.reveal(), **event})
        response = request(
            "POST", plan.url, plan=plan.http, headers={"Content-Type": "application/json"}, body=body
        )
    except RequestError as error:
        return Attempt(Outcome.RETRY, Failure(error.reason), str(error))
    except (DeliveryRefused, OSError) as error:
        return Attempt(Outcome.RETRY, Failure.OTHER, str(error))
    if response.failure is None:
        return SENT
    is_temporary = response.status in {408, 429} or not 400 <= response.status < 500
    outcome = Outcome.RETRY if is_temporary else Outcome.DEAD
    return Attempt(outcome, response.failure, refusal(response), retry_after(response.headers, now))


def event_of(incident: Incident, action: str, alerts: AlertsPlan) -> dict[str, Any]:
    """The event without its routing key. Only a trigger carries a payload."""
    event: dict[str, Any] = {"event_action": action, "dedup_key": dedup_key(incident.id)}
    if action != "trigger":
        return event
    version = incident.versions[0] if incident.versions else ""
    event |= {
        "client": alerts.source,
        "client_url": model_url(alerts.external_url, incident.model),
        "payload": {
            "summary": summary(incident)[:SUMMARY_LIMIT],
            "source": alerts.source,
            "severity": SEVERITIES.get(str(incident.severity), "error"),
            "timestamp": rfc3339(_opened_at(incident)),
            "component": f"{incident.model}@{version}" if version else incident.model,
            "group": "ml-models",
            "class": "model-drift",
            "custom_details": _details(incident),
        },
    }
    if incident.runbook:
        event["links"] = [{"href": incident.runbook, "text": "Runbook"}]
    return event


def encode(event: Mapping[str, Any]) -> bytes:
    """JSON; details that make it larger than PagerDuty takes give way to a note."""
    body = json.dumps(event).encode()
    if len(body) <= SIZE_LIMIT:
        return body
    note = {"error": f"the details were left out: the event had {len(body)} bytes of {SIZE_LIMIT}"}
    payload = {**event["payload"], "custom_details": note}
    return json.dumps({**event, "payload": payload}).encode()


def dedup_key(incident: str) -> str:
    """One per incident, for life; well under the 255 characters that PagerDuty takes."""
    return f"driftline/{hashlib.sha256(incident.encode()).hexdigest()}"


def _opened_at(incident: Incident) -> int:
    """Wall time when the first alert of the incident was raised."""
    return min((span.starts for span in incident.spans.values()), default=incident.opened)


def _details(incident: Incident) -> dict[str, Any]:
    evidence = incident.evidence
    return {
        "incident": incident.id,
        "rule": incident.rule,
        "cause": incident.cause,
        "causes": list(incident.causes),
        "onset": rfc3339(incident.onset),
        "reference": incident.reference,
        "versions": list(incident.versions),
        **{
            name: evidence.get(name)
            for name in ("window", "rows", "p", "alpha", "proven", "diagnosis", "tests", "offsets")
        },
    }
