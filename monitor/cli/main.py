"""The `driftline` command: finds the file of a command and imports nothing else."""

from __future__ import annotations

import importlib
import sys

import click

from monitor.cli.options import Exit
from monitor.errors import ConfigError, DriftlineError, UsageError

COMMANDS = {
    "run": "The daemon: consume, fold, judge, deliver.",
    "check": "Validate a configuration and everything it points to.",
    "config": "Print, compare and describe configurations.",
    "topics": "Show and create the topics of the state in Kafka.",
    "reference": "Build and show what is normal for a model.",
    "inspect": "Sample a topic and print a starter configuration.",
    "state": "Inspect, export and reset the state.",
    "replay": "Judge a file or a span of a topic again, without side effects.",
    "alert": "Send a test alert and its resolve.",
    "dlq": "List dead letters, and send them back to their topic.",
    "incident": "List, show and acknowledge incidents.",
    "retrain": "List, approve and reject retraining requests.",
    "demo": "Watch real prediction logs drift, on an embedded broker.",
    "version": "Print the version.",
}


class LazyGroup(click.Group):
    """Imports `monitor.cli.<name>` and takes its `command` only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"monitor.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            ctx.fail(f"No such command '{name}'.{_suggest(name)}")
        return super().resolve_command(ctx, args)


def _suggest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DRIFTLINE"},
)
def _group() -> None:
    """Watch production models in real time: Kafka prediction logs in, calibrated verdicts out."""


def driftline() -> None:
    """Run the command line and exit; mistakes of the user print one line, never a stack."""
    try:
        _group.main(prog_name="driftline", standalone_mode=True)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(Exit.CONFIG)
    except UsageError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(Exit.USAGE)
    except DriftlineError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(Exit.FAILURE)
