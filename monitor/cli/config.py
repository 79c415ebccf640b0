"""`driftline config`: print, compare and describe configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.options import Exit, config_option, emit, output_option

if TYPE_CHECKING:
    from monitor.config.diff import Change


@click.group("config")
def command() -> None:
    """Print, compare and describe configurations."""


@command.command("print")
@config_option
@click.option(
    "--mode",
    type=click.Choice(["redacted", "unredacted", "origin"]),
    default="redacted",
    show_default=True,
    help="origin shows the file and line of each value, or `default`.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="Form on stdout.",
)
def show(config: tuple[str, ...], mode: str, form: str) -> None:
    """Print the effective configuration: files merged, placeholders replaced, defaults filled in."""
    from monitor.config.effective import render, render_json
    from monitor.config.load import load

    settings = load(config)
    if form == "json":
        emit(render_json(settings, mode=mode), "", output="json")
    else:
        click.echo(render(settings, mode=mode), nl=False)


@command.command("diff")
@click.argument("files", nargs=-1, metavar="OLD NEW")
@click.option("--old", multiple=True, metavar="FILE", help="File of the old configuration; repeat to merge.")
@click.option("--new", multiple=True, metavar="FILE", help="File of the new configuration; repeat to merge.")
@output_option
@click.pass_context
def compare(
    ctx: click.Context, files: tuple[str, ...], old: tuple[str, ...], new: tuple[str, ...], output: str
) -> None:
    """Say what a new configuration changes, and how: live, window reset, or restart needed.

    Exits 0 when a running daemon would take the change, 1 when a restart is needed.
    """
    from monitor.config.diff import Effect, diff
    from monitor.config.load import load

    before, after = _sides(files, old, new)
    changes = diff(load(before), load(after))
    emit(
        [_row(change) for change in changes],
        "\n".join(change.text for change in changes) or "nothing differs",
        output=output,
    )
    if any(change.effect is Effect.RESTART for change in changes):
        ctx.exit(Exit.FAILURE)


def _sides(
    files: tuple[str, ...], old: tuple[str, ...], new: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(files) == 2 and not old and not new:
        return files[:1], files[1:]
    if not files and old and new:
        return old, new
    raise click.UsageError("give two files, or the files of each side with --old and --new")


def _row(change: Change) -> dict[str, object]:
    return {
        "effect": str(change.effect),
        "path": change.path,
        "old": change.old or None,
        "new": change.new or None,
        "models": list(change.models),
        "text": change.text,
    }


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors and validators."""
    from monitor.config.schema import render

    click.echo(render(), nl=False)
