"""`driftline version`."""

from __future__ import annotations

import click

from monitor.cli.options import emit, output_option


def read_version() -> str:
    """The installed version of the distribution."""
    from importlib.metadata import version

    return version("driftline")


@click.command("version")
@output_option
def command(output: str) -> None:
    """Print the version."""
    import platform

    data = {"version": read_version(), "python": platform.python_version()}
    emit(data, f"driftline {data['version']} (Python {data['python']})", output=output)
