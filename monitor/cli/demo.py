"""`driftline demo`: the main job, on real prediction logs, in under two minutes."""

from __future__ import annotations

import click

from monitor.cli.options import Exit


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the daemon and its page running until Ctrl-C.")
@click.option(
    "--days", type=click.IntRange(9, 28), default=20, show_default=True, help="Days of February to stream."
)
def command(*, keep: bool, days: int) -> None:
    """Watch a flight-delay model's prediction logs through the winter of 2013.

    Runs the real daemon on an embedded broker: January is the reference, 1–20 February are
    streamed with daily windows, and labels as flights land. The alert and the signed retraining
    request arrive at receivers on loopback, and a new version takes over in a registry there.
    Needs neither Kafka nor Docker.
    """
    import threading

    from monitor.cli.warm import warm_shown
    from monitor.log import configure

    configure("auto", "error")
    warm_shown()
    from monitor.demo.run import staged  # imports kernels: only now, so that compiling is seen
    from monitor.demo.show import show

    with staged(lambda line: click.echo(line, err=True), days=days) as (daemon, outcome):
        click.echo(show(outcome, url=f"{daemon.server.url}/"))
        if keep:
            click.echo("still running; Ctrl-C ends it", err=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                click.echo("", err=True)
    if outcome.counted != outcome.sent or not outcome.alerts or not outcome.signed:
        raise SystemExit(Exit.FAILURE)
