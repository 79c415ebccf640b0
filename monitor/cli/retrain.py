"""`driftline retrain`: decide about retraining that driftline suggests."""

from __future__ import annotations

import click

from monitor.cli.incident import user_name
from monitor.cli.options import emit, output_option
from monitor.cli.records import Body, Records, pick, records_options


@click.group("retrain")
def command() -> None:
    """List, approve and reject retraining requests."""


@command.command("list")
@records_options
@click.option("--model", default="", help="Of this model only.")
@output_option
def list_(*, records: Records, model: str, output: str) -> None:
    """Requests, newest first, with what became of their delivery."""
    bodies = [body for body in records.requests() if model in {"", body["model"]}]
    emit(bodies, "\n".join(_line(body) for body in bodies) or "no retraining requests", output=output)


@command.command("approve")
@records_options
@click.argument("request")
@click.option("--by", default="", help="Who decided; default: your user name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; do nothing.")
def approve(*, records: Records, request: str, by: str, dry_run: bool) -> None:
    """Send a suggested request. Its id or that of its incident, or the beginning of either."""
    _decide("approve", records, request, by=by, dry_run=dry_run)


@command.command("reject")
@records_options
@click.argument("request")
@click.option("--by", default="", help="Who decided; default: your user name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; do nothing.")
def reject(*, records: Records, request: str, by: str, dry_run: bool) -> None:
    """Decide against a suggested request; its incident will not ask again."""
    _decide("reject", records, request, by=by, dry_run=dry_run)


def _decide(verb: str, records: Records, request: str, *, by: str, dry_run: bool) -> None:
    body = pick(records.requests(), request)
    who = by or user_name()
    if dry_run:
        click.echo(f"would {verb} {body['id']} for {who}: {body['target']}")
        return
    records.decide(body, verb, who)
    click.echo(f"{verb.removesuffix('e')}ed {body['id']} for {who}: {body['target']}")


def _line(body: Body) -> str:
    from monitor.incident.text import rfc3339

    when = rfc3339(int(body["created"]))[:16]
    decided = f" · {body['decided_by']}" if body.get("decided_by") else ""
    run = _run(body.get("outcome", {}).get("run"))
    return f"{body['id']}  {body['state']:<10} {when}  {body['model']} → {body['target']} · {body['cause']}{decided}{run}"


def _run(run: Body | None) -> str:
    """The run that was started, as far as its target tells."""
    return "" if run is None else f" · run {run['state'] or 'started'} {run['url'] or run['id']}"
