"""Retraining requests as a ledger holds them."""

from __future__ import annotations

from typing import Any

from monitor.incident.model import incident_id


def request(model: str, created: int) -> dict[str, Any]:
    """One that waits for a person."""
    return {
        "id": f"rt_{incident_id(model, '', 'drift', created)}",
        "state": "suggested",
        "model": model,
        "cause": "missing(age)",
        "target": "airflow",
        "created": created,
        "decided_by": "",
        "decided_at": -1,
        "outcome": {},
    }


def started(model: str, created: int) -> dict[str, Any]:
    """One that was sent, and whose run goes on."""
    page = "https://airflow.example/dags/retrain/runs/1"
    run = {"id": "driftline__rt_1", "url": page, "state": "running", "over": False}
    return {**request(model, created), "state": "sent", "outcome": {"state": "sent", "run": run}}
