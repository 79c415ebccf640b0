"""Airflow 3: a run of a DAG, by the stable REST API v2."""

from __future__ import annotations

from monitor.deliver.presets.preset import Answer, Ask, Call, Preset, Run, Where, base, part, values

NOTE = 1000
"""Longest note that Airflow takes."""


def _login(where: Where, user: str, password: str) -> Call:
    return Call("POST", f"{base(where)}/auth/token", {"username": user, "password": password})


def _dag(where: Where) -> str:
    return f"{base(where)}/api/v2/dags/{part(where, 'dag')}"


def run_id(ask: Ask) -> str:
    return f"driftline__{ask.id}"


def _start(ask: Ask, where: Where) -> Call:
    """`logical_date` has no default in Airflow's model: null, but always there."""
    body = {
        "dag_run_id": run_id(ask),
        "logical_date": None,
        "conf": values(ask, where),
        "note": ask.note[:NOTE],
    }
    return Call("POST", f"{_dag(where)}/dagRuns", body)


def _run(ask: Ask, answer: Answer, where: Where) -> Run:
    name = run_id(ask)
    state = str(answer.get("state", ""))
    return Run(name, f"{base(where)}/dags/{part(where, 'dag')}/runs/{name}", state)


def _state(answer: Answer) -> tuple[str, bool]:
    state = str(answer.get("state", ""))
    return state, state in {"success", "failed"}


AIRFLOW3 = Preset(
    name="airflow3",
    text="a DAG of Airflow 3",
    start=_start,
    success=frozenset({200}),
    duplicate=frozenset({409}),
    deduplicates=True,
    needs=("dag",),
    takes=("parameter", "parameters"),
    login=_login,
    run=_run,
    follow=lambda run, where: Call("GET", f"{_dag(where)}/dagRuns/{run}"),
    state=_state,
    probe=lambda where: Call("GET", _dag(where)),
)
"""`dag_run_id` is unique in its DAG: the second request is answered 409."""
