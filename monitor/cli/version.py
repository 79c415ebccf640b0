"""`driftline version`."""

from __future__ import annotations

import click

from monitor.cli.options import emit, output_option


@click.command("version")
@output_option
def command(output: str) -> None:
    """Print the version."""
    import platform

    from monitor.version import read_version

    data = {"version": read_version(), "python": platform.python_version()}
    emit(data, f"driftline {data['version']} (Python {data['python']})", output=output)
