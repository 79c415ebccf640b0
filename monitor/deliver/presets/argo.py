"""Argo: an event source of Argo Events, and the two ways into Argo Workflows."""

from __future__ import annotations

import re
from typing import Any

from monitor.deliver.presets.preset import (
    CLOUD_EVENT,
    JSON,
    Answer,
    Ask,
    Call,
    Preset,
    Run,
    Where,
    base,
    part,
    texts,
)
from monitor.deliver.presets.webhook import event_call

ARGO_EVENTS = Preset(
    name="argo-events",
    text="a webhook event source of Argo Events",
    start=lambda ask, where: event_call(ask, where.url, CLOUD_EVENT),
    success=frozenset({200}),
    signs=True,
)
"""Event sources read any body as JSON, and keep the attributes of a CloudEvent that they can tell by its type."""


def _post(ask: Ask, where: Where) -> Call:
    """Without a discriminator the path ends in a slash."""
    url = f"{base(where)}/api/v1/events/{part(where, 'namespace')}/{part(where, 'discriminator')}"
    return event_call(ask, url, JSON)


ARGO_WORKFLOW_EVENTS = Preset(
    name="argo-workflow-events",
    text="a WorkflowEventBinding of Argo Workflows",
    start=_post,
    success=frozenset({200}),
    refused=frozenset({503}),
    needs=("namespace",),
    takes=("discriminator",),
    probe=lambda where: Call("GET", f"{base(where)}/api/v1/info"),
)
"""503 says that the queue of events is full. What comes of an event is not told to who sent it."""


def workflow(ask: Ask) -> str:
    """Name of the workflow: unique in its namespace, of the letters that Kubernetes takes."""
    return re.sub(r"[^a-z0-9-]+", "-", f"driftline-{ask.id.lower()}").strip("-")[:63]


def _body(where: Where, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "namespace": where.options["namespace"],
        "resourceKind": "WorkflowTemplate",
        "resourceName": where.options["template"],
        "submitOptions": {"labels": "driftline=true", **options},
    }


def _workflows(where: Where) -> str:
    return f"{base(where)}/api/v1/workflows/{part(where, 'namespace')}"


def _submit(ask: Ask, where: Where) -> Call:
    pairs = [f"{name}={text}" for name, text in texts(ask, where).items()]
    options: dict[str, Any] = {"name": workflow(ask), "parameters": pairs}
    if "service_account" in where.options:
        options["serviceAccount"] = where.options["service_account"]
    return Call("POST", f"{_workflows(where)}/submit", _body(where, options))


def _try(where: Where) -> Call:
    """The whole way of a submission, but that nothing is stored."""
    pairs = [f"{name}={text}" for name, text in where.parameters.items()]
    options = {"name": "driftline-test", "parameters": pairs, "serverDryRun": True}
    return Call("POST", f"{_workflows(where)}/submit", _body(where, options))


def _run(ask: Ask, _answer: Answer, where: Where) -> Run:
    name = workflow(ask)
    return Run(name, f"{base(where)}/workflows/{part(where, 'namespace')}/{name}")


def _state(answer: Answer) -> tuple[str, bool]:
    phase = str((answer.get("status") or {}).get("phase", "") or "Pending")
    return phase, phase in {"Succeeded", "Failed", "Error"}


ARGO_SUBMIT = Preset(
    name="argo-submit",
    text="a WorkflowTemplate of Argo Workflows",
    start=_submit,
    success=frozenset({200}),
    duplicate=frozenset({409}),
    deduplicates=True,
    needs=("namespace", "template"),
    takes=("service_account", "parameter", "parameters"),
    run=_run,
    follow=lambda run, where: Call("GET", f"{_workflows(where)}/{run}"),
    state=_state,
    probe=_try,
)
"""A workflow of the same name is AlreadyExists, which the server answers by 409."""
