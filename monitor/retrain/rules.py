"""When an incident asks for retraining, and what a person may decide about it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.errors import UsageError
from monitor.incident.model import DRIFT, Incident
from monitor.plan import ModelPlan
from monitor.retrain.guards import Guard, RetrainClock, check_guards
from monitor.state.log import Entry, Ledger

RETRAIN = "retrain"
"""Action of the intent, and kind of the ledger entry, of a retraining request."""


PREFIX = "rt_"


class RequestState(enum.StrEnum):
    """How far a request is. `sent` and `dead` are read from its outcome, never stored."""

    SUGGESTED = "suggested"
    REQUESTED = "requested"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """The incident was resolved before anybody decided."""
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Asked:
    """What one look at an incident adds to the ledger; `suppressed` is the guard that said no."""

    entries: tuple[Entry, ...] = ()
    suppressed: Guard | None = None


def request_id(incident: str) -> str:
    """The id under which receivers know the request: stable over retries and restarts."""
    return f"{PREFIX}{incident}"


def is_request(intent: str) -> bool:
    """Whether the id of an intent is that of a retraining request."""
    return intent.startswith(PREFIX)


def ask(incident: Incident, ledger: Ledger, *, plan: ModelPlan, now: int, held: Guard | None = None) -> Asked:
    """Request or suggest retraining for an incident that has just drifted again.

    At most one request per incident, ever: the id is the incident's.
    """
    retrain = plan.retrain
    if retrain.mode == "off" or not is_due(incident, plan):
        return Asked()
    identity = request_id(incident.id)
    if identity in ledger.of(RETRAIN):
        return Asked()
    guard = check_guards(incident, ledger, plan=retrain, now=now, held=held)
    clock = RetrainClock.of(ledger)
    if guard is not None:
        return Asked((clock.held_back(guard).entry(),), guard)
    if retrain.mode == "suggest":
        return Asked((_entry(incident, RequestState.SUGGESTED, plan=plan, now=now),))
    body = _entry(incident, RequestState.REQUESTED, plan=plan, now=now, by="auto")
    return Asked((body, clock.requested(now).entry(), _intent(body.body or {}, now=now)))


def is_due(incident: Incident, plan: ModelPlan) -> bool:
    """Whether the newest window of the incident drifted and its run is long enough.

    A raw rule that asks for retraining says itself for how many windows; the budgeted verdict
    asks after `retrain.windows`. Other raw rules never ask.
    """
    if not incident.firing or incident.last != incident.updated:
        return False
    run = incident.streaks.get(incident.window)
    if run is None or run.end != incident.last or run.drifting == 0:
        return False
    if incident.rule == DRIFT:
        return run.drifting >= plan.retrain.windows
    return any(rule.name == incident.rule and rule.action == RETRAIN for rule in plan.limits)


def expire(incident: Incident, ledger: Ledger, *, now: int) -> tuple[Entry, ...]:
    """Withdraw the suggestion of an incident that is over."""
    identity = request_id(incident.id)
    body = ledger.of(RETRAIN).get(identity)
    if body is None or body["state"] != RequestState.SUGGESTED:
        return ()
    return (_decided(identity, body, RequestState.EXPIRED, by="", now=now),)


def approve(
    ledger: Ledger, request: str, *, by: str, now: int, target: str | None = None
) -> tuple[Entry, ...]:
    """Turn a suggestion into an intent. A person is not held back by guards, but is counted by them.

    `target`: that of the model now; None where nobody knows, then it is that of the suggestion. Raises UsageError when there
    is none, when there is no such suggestion, or it was decided before.
    """
    body = _suggestion(ledger, request)
    body = {**body, "target": body["target"] if target is None else target}
    if not body["target"]:
        where = f"models.{body['model']}.retrain.target"
        raise UsageError(f"nobody would get the request - {request} - name one of `targets` in {where}")
    return (
        _decided(request, body, RequestState.REQUESTED, by=by, now=now),
        RetrainClock.of(ledger).requested(now).entry(),
        _intent(body, now=now),
    )


def reject(ledger: Ledger, request: str, *, by: str, now: int) -> tuple[Entry, ...]:
    """Decide against a suggestion, for good: the incident will not ask again. Raises UsageError."""
    return (_decided(request, _suggestion(ledger, request), RequestState.REJECTED, by=by, now=now),)


def requests(ledger: Ledger) -> list[dict[str, Any]]:
    """All requests of a model, newest first, with what became of their delivery."""
    outcomes = ledger.of("outcome")
    shown = []
    for identity, body in ledger.of(RETRAIN).items():
        outcome = outcomes.get(identity, {})
        state = body["state"]
        if state == RequestState.REQUESTED and outcome.get("state") in {"sent", "dead"}:
            state = outcome["state"]
        rest = {name: value for name, value in body.items() if name != "evidence"}
        shown.append({**rest, "id": identity, "state": str(state), "outcome": dict(outcome)})
    return sorted(shown, key=lambda body: (-int(body["created"]), body["id"]))


def _suggestion(ledger: Ledger, request: str) -> Mapping[str, Any]:
    body = ledger.of(RETRAIN).get(request)
    if body is None:
        raise UsageError(f"no such retraining request - {request} - one of `driftline retrain list`")
    if body["state"] != RequestState.SUGGESTED:
        raise UsageError(
            f"the request is {body['state']} already - {request} - only a suggested one can be decided"
        )
    return body


def _entry(incident: Incident, state: RequestState, *, plan: ModelPlan, now: int, by: str = "") -> Entry:
    body: dict[str, Any] = {
        "state": str(state),
        "model": incident.model,
        "incident": incident.id,
        "rule": incident.rule,
        "cause": incident.cause,
        "target": plan.retrain.target,
        "max_per_day": plan.retrain.max_per_day,
        "created": now,
        "decided_by": by,
        "decided_at": now if by else -1,
        "evidence": incident.to_json(),
    }
    return Entry(RETRAIN, request_id(incident.id), body)


def _decided(identity: str, body: Mapping[str, Any], state: RequestState, *, by: str, now: int) -> Entry:
    return Entry(RETRAIN, identity, {**body, "state": str(state), "decided_by": by, "decided_at": now})


def _intent(request: Mapping[str, Any], *, now: int) -> Entry:
    """What is delivered: the request's evidence, and how often its target may be asked."""
    incident = request["evidence"]
    body = {
        "integration": request["target"],
        "action": RETRAIN,
        "incident": incident,
        "created": now,
        "sequence": incident["revision"],
        "max_per_day": request.get("max_per_day", 1),
    }
    return Entry("intent", request_id(str(request["incident"])), body)
