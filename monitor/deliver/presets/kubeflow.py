"""Kubeflow Pipelines 2: a run of a pipeline, by the API v2beta1."""

from __future__ import annotations

from typing import Any

from monitor.deliver.presets.preset import Answer, Ask, Call, Preset, Run, Where, base, part, values

OVER = frozenset({"SUCCEEDED", "SKIPPED", "FAILED", "CANCELED"})


def _api(where: Where) -> str:
    return f"{base(where)}/apis/v2beta1"


def _start(ask: Ask, where: Where) -> Call:
    options = where.options
    version = {"pipeline_id": options["pipeline"]}
    if "pipeline_version" in options:
        version["pipeline_version_id"] = options["pipeline_version"]
    body: dict[str, Any] = {
        "display_name": f"driftline-{ask.id}",
        "description": ask.note,
        "pipeline_version_reference": version,
        "runtime_config": {"parameters": values(ask, where)},
    }
    if "experiment" in options:
        body["experiment_id"] = options["experiment"]
    if "service_account" in options:
        body["service_account"] = options["service_account"]
    return Call("POST", f"{_api(where)}/runs", body)


def _run(_ask: Ask, answer: Answer, where: Where) -> Run:
    name = str(answer.get("run_id", ""))
    return Run(name, f"{base(where)}/#/runs/details/{name}", str(answer.get("state", "")))


def _state(answer: Answer) -> tuple[str, bool]:
    state = str(answer.get("state", ""))
    return state, state in OVER


KFP2 = Preset(
    name="kfp2",
    text="a pipeline of Kubeflow Pipelines 2",
    start=_start,
    success=frozenset({200}),
    needs=("pipeline",),
    takes=("pipeline_version", "experiment", "service_account", "parameter", "parameters"),
    run=_run,
    follow=lambda run, where: Call("GET", f"{_api(where)}/runs/{run}"),
    state=_state,
    probe=lambda where: Call("GET", f"{_api(where)}/pipelines/{part(where, 'pipeline')}"),
)
"""Names of runs need not be unique, and there is no key: two requests are two runs."""
