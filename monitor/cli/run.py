"""`driftline run`: the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.options import Exit, config_option

if TYPE_CHECKING:
    from monitor.daemon import Daemon
    from monitor.ending import Grace


@click.command("run")
@config_option
@click.option(
    "--accept-data-loss",
    is_flag=True,
    help="Begin anew where input was consumed before and its state is gone.",
)
def command(*, config: tuple[str, ...], accept_data_loss: bool) -> None:
    """Consume, fold, judge and deliver until SIGTERM.

    SIGHUP or POST /-/reload loads the configuration again. A second SIGTERM or SIGINT ends the
    process at once; nothing is lost, the next start goes on from the last checkpoint.
    """
    import os

    from monitor.interpreter import begin, tune

    begin()
    from monitor.cli.warm import warm_logged
    from monitor.clock import SystemClock
    from monitor.config.load import load
    from monitor.ending import Grace
    from monitor.errors import UsageError
    from monitor.log import configure

    settings = load(config)
    configure(settings.log.format, settings.log.level)
    clock = SystemClock()
    warm_seconds = warm_logged(clock)
    from monitor.daemon import Daemon  # imports kernels: only now, so that compiling is seen

    daemon = Daemon(
        config,
        clock=clock,
        revision=os.environ.get("DRIFTLINE_REVISION", "unknown"),
        accept_loss=accept_data_loss,
        warm_seconds=warm_seconds,
    )
    grace = Grace()
    _obey_signals(daemon, grace)
    try:
        daemon.start()
        tune()
        daemon.wait()
    except OSError as error:
        raise UsageError(f"{error.strerror} - web.listen {settings.web.listen} - a free address") from error
    finally:
        grace.begin()
        if left := daemon.stop():
            grace.leave(left, Exit.FAILURE)
    if daemon.failure:
        raise SystemExit(Exit.FAILURE)


def _obey_signals(daemon: Daemon, grace: Grace) -> None:
    """SIGTERM and SIGINT stop, the second one at once; SIGHUP reloads on a thread of its own."""
    import os
    import signal
    import threading

    def stop(_signal: int, _frame: object) -> None:
        if daemon.stopping.is_set():
            os._exit(Exit.FAILURE)
        daemon.stopping.set()
        grace.begin()

    def reload(_signal: int, _frame: object) -> None:
        threading.Thread(target=daemon.reload, name="reload", daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
