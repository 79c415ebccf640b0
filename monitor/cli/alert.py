"""`driftline alert`: try the routes before they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.options import Exit, config_option, emit, output_option

if TYPE_CHECKING:
    from monitor.deliver.plan import AlertsPlan
    from monitor.deliver.trial import Trial


@click.group("alert")
def command() -> None:
    """Try the routes that alerts take."""


@command.command("test")
@config_option
@click.option(
    "--integration", default="", metavar="NAME", help="alertmanager, pagerduty or a target; default: all."
)
@click.option(
    "--severity", type=click.Choice(["warning", "critical"]), default="warning", show_default=True,
    help="Severity of the test alert; your routes may page on critical.",
)  # fmt: skip
@click.option(
    "--hold", type=click.FloatRange(0, 3600), default=0.0, show_default=True, metavar="SECONDS",
    help="Time between alert and resolve. Alertmanager notifies only what outlives its group_wait.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be sent where; send nothing.")
@output_option
def test(
    *, config: tuple[str, ...], integration: str, severity: str, hold: float, dry_run: bool, output: str
) -> None:
    """Send a marked test alert and its resolve through every route, and print each outcome.

    A webhook gets a test event that asks for nothing; of other targets it is asked whether what is to run is there.
    Exits with 1 when a request failed.
    """
    from monitor.clock import SystemClock
    from monitor.config.load import load
    from monitor.config.outgoing import plan_alerts
    from monitor.deliver.trial import try_routes
    from monitor.incident.model import Severity
    from monitor.log import configure

    configure("auto", "error")
    plan = plan_alerts(load(config))
    chosen = _chosen(plan, integration)
    if dry_run:
        emit({"integrations": chosen}, f"would test: {', '.join(chosen)}", output=output)
        return
    trials = list(try_routes(plan, SystemClock(), chosen=integration, severity=Severity(severity), hold=hold))
    emit([_data(trial) for trial in trials], "\n".join(_text(trial) for trial in trials), output=output)
    if not all(trial.ok for trial in trials):
        raise SystemExit(Exit.FAILURE)


def _chosen(plan: AlertsPlan, integration: str) -> list[str]:
    """Raises UsageError when there is nothing to test, or the name is none of ours."""
    from monitor.deliver.trial import names
    from monitor.errors import UsageError

    known = names(plan)
    if not known:
        raise UsageError("no route is configured - alerts and targets - name at least one")
    if integration and integration not in known:
        raise UsageError(f"no such integration - {integration} - one of {', '.join(known)}")
    return [integration] if integration else known


def _data(trial: Trial) -> dict[str, object]:
    return {
        "integration": trial.integration,
        "to": trial.to,
        "action": trial.action,
        "ok": trial.ok,
        "reason": str(trial.attempt.reason or ""),
        "detail": trial.attempt.detail,
    }


def _text(trial: Trial) -> str:
    mark, end = ("ok", "") if trial.ok else ("FAILED", f": {trial.attempt.detail}")
    return f"{mark:<7} {trial.integration:<14} {trial.action:<8} {trial.to}{end}"
