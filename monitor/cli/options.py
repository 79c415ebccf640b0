"""Options and output that the commands share."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Exit(enum.IntEnum):
    """Exit codes; the README documents them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    WARNINGS = 3
    """Only warnings, and --strict."""
    DRIFT = 4
    """Drift found, and --fail-on drift."""
    CONFIG = 78


def config_option(command: F) -> F:
    """`-c/--config FILE`, repeatable: later files are merged over earlier ones; `-` is stdin.

    Parameter name: `config: tuple[str, ...]`.
    """
    return click.option(
        "-c",
        "--config",
        multiple=True,
        required=True,
        metavar="FILE",
        envvar="DRIFTLINE_CONFIG",
        help="Configuration file; repeat to merge later files over earlier ones, - reads stdin.",
    )(command)


def optional_config_option(command: F) -> F:
    """As `config_option`, where something else may be named instead. Parameter name: `config`."""
    return click.option(
        "-c",
        "--config",
        multiple=True,
        metavar="FILE",
        envvar="DRIFTLINE_CONFIG",
        help="Configuration file; repeat to merge later files over earlier ones, - reads stdin.",
    )(command)


def output_option(command: F) -> F:
    """`--output text|json`. Parameter name: `output: str`."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="DRIFTLINE_OUTPUT",
        help="Form of the result on stdout.",
    )(command)


def keep_log_quiet() -> None:
    """For commands that print one result: what the client libraries log is left out, errors say why."""
    from monitor.log import configure

    configure("text", "critical")


def printable(text: str) -> str:
    """Text from records, without anything that could leave its line or steer a terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def emit(data: Any, text: str, *, output: str) -> None:
    """Write a result to stdout: `text` for people, `data` as JSON for programs."""
    if output == "json":
        click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str, sort_keys=False))
    else:
        click.echo(text.rstrip("\n"))
