"""`driftline incident`: what drifts, and who looks after it."""

from __future__ import annotations

from typing import Any

import click

from monitor.cli.options import emit, output_option
from monitor.cli.records import Body, Records, pick, records_options


@click.group("incident")
def command() -> None:
    """List, show and acknowledge incidents."""


@command.command("list")
@records_options
@click.option("--model", default="", help="Of this model only.")
@click.option("--state", type=click.Choice(["firing", "resolved", "all"]), default="all", show_default=True)
@output_option
def list_(*, records: Records, model: str, state: str, output: str) -> None:
    """Incidents, open ones first, then the newest."""
    bodies = [
        body
        for body in records.incidents()
        if model in {"", body["model"]} and state in {"all", body["state"]}
    ]
    emit(bodies, "\n".join(_line(body) for body in bodies) or "no incidents", output=output)


@command.command("show")
@records_options
@click.argument("incident")
@output_option
def show(*, records: Records, incident: str, output: str) -> None:
    """One incident with its evidence. The beginning of its id is enough."""
    body = pick(records.incidents(), incident)
    emit(body, _page(body), output=output)


@command.command("ack")
@records_options
@click.argument("incident")
@click.option("--by", default="", help="Who looks after it; default: your user name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; do nothing.")
def ack(*, records: Records, incident: str, by: str, dry_run: bool) -> None:
    """Note who looks after an open incident; PagerDuty is told, where it was paged."""
    body = pick(records.incidents(), incident)
    who = by or user_name()
    if dry_run:
        click.echo(f"would acknowledge {body['id']} for {who}")
        return
    records.acknowledge(body, who)
    click.echo(f"acknowledged {body['id']} for {who}")


def user_name() -> str:
    """Who runs the command; a container may have a user without a name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _line(body: Body) -> str:
    from monitor.incident.text import rfc3339

    state = body["state"] if body["state"] == "firing" else body["closed_because"] or body["state"]
    acked = f" · {body['acked_by']}" if body["acked_by"] else ""
    when = rfc3339(int(body["opened"]))[:16]
    return f"{body['id']}  {state:<10} {body['severity']:<8} {when}  {body['model']} · {body['cause']}{acked}"


def _page(body: Body) -> str:
    from monitor.incident.model import Incident
    from monitor.incident.text import description, offsets, rfc3339, summary

    incident = Incident.from_json(body)
    rows: list[tuple[str, Any]] = [
        ("incident", incident.id),
        ("state", f"{incident.state} {incident.closed_because}".strip()),
        ("severity", incident.severity),
        ("model", incident.model),
        ("segment", incident.segment),
        ("rule", incident.rule),
        ("onset", rfc3339(incident.onset)),
        ("opened", rfc3339(incident.opened)),
        ("last drift", rfc3339(incident.last)),
        ("causes", ", ".join(incident.causes)),
        ("versions", ", ".join(incident.versions)),
        ("offsets", offsets(incident.evidence.get("offsets", {}))),
        ("acknowledged", incident.acked_by and f"{incident.acked_by}, {rfc3339(incident.acked_at)}"),
        ("runbook", incident.runbook),
    ]
    lines = [f"{name:<13} {value}" for name, value in rows if value]
    return "\n".join([summary(incident), "", *lines, "", description(incident)])
