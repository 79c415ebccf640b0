"""Prefect 3: a flow run of a deployment. The URL is that of its API, as PREFECT_API_URL has it."""

from __future__ import annotations

import re

from monitor.deliver.presets.preset import Answer, Ask, Call, Preset, Run, Where, base, part, values

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})
CLOUD = re.compile(r"https://api\.prefect\.cloud/api/accounts/([^/]+)/workspaces/([^/]+)")


def _find(where: Where) -> Call:
    return Call("GET", f"{base(where)}/deployments/name/{part(where, 'deployment')}")


def _start(ask: Ask, where: Where) -> Call:
    body = {
        "name": f"driftline-{ask.id}",
        "parameters": values(ask, where),
        "tags": ["driftline"],
        "idempotency_key": ask.id,
    }
    return Call("POST", f"{base(where)}/deployments/{ask.found['id']}/create_flow_run", body)


def _page(where: Where) -> str:
    cloud = CLOUD.fullmatch(base(where))
    if cloud:
        return f"https://app.prefect.cloud/account/{cloud[1]}/workspace/{cloud[2]}"
    return base(where).removesuffix("/api")


def _run(_ask: Ask, answer: Answer, where: Where) -> Run:
    name = str(answer.get("id", ""))
    return Run(name, f"{_page(where)}/runs/flow-run/{name}", str(answer.get("state_type") or ""))


def _state(answer: Answer) -> tuple[str, bool]:
    state = str(answer.get("state_type") or "")
    return state, state in OVER


PREFECT3 = Preset(
    name="prefect3",
    text="a deployment of Prefect 3",
    start=_start,
    success=frozenset({200, 201}),
    deduplicates=True,
    needs=("deployment",),
    takes=("parameter", "parameters"),
    find=_find,
    run=_run,
    follow=lambda run, where: Call("GET", f"{base(where)}/flow_runs/{run}"),
    state=_state,
    probe=_find,
)
"""201 is a new run; 200 the one that the same idempotency key has started before."""
