"""`driftline state`: what the state log holds, as a table, as lines for other programs, and beginning anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.cli.options import emit, keep_log_quiet, optional_config_option, output_option

if TYPE_CHECKING:
    from monitor.cli.inspectors import Where
    from monitor.names import Source

F = TypeVar("F", bound=Callable[..., Any])
LAG_SECONDS = 5.0
"""How long Kafka is asked for the ends of the input; what does not depend on it is shown all the same."""


@click.group("state")
def command() -> None:
    """Inspect, export and reset the state."""


def where_options(command: F) -> F:
    """`--config` and `--state-dir`. Parameter names: `config`, `state_dir`."""
    option = click.option(
        "--state-dir", default="", metavar="DIR", envvar="DRIFTLINE_STATE_DIR",
        help="A state directory, instead of the state that the configuration names.",
    )  # fmt: skip
    return optional_config_option(option(command))


@command.command("inspect")
@where_options
@click.argument("source", required=False)
@output_option
def inspect(*, config: tuple[str, ...], state_dir: str, source: str | None, output: str) -> None:
    """Show how far each source partition is and what is kept of it; with SOURCE (topic/3) one of them.

    Also while daemons run; writes nothing. Where a state is shared, each process that ever wrote a
    partition is a writer: the first that can be used is gone on from.
    """
    from monitor.cli.inspectors import source_of, where
    from monitor.cli.state_text import body_of, text_of
    from monitor.clock import SystemClock

    keep_log_quiet()
    place = where(config, state_dir)
    only = None if source is None else source_of(source)
    with place.opened() as state:
        found = state.inventory(only)
    if only is not None and not found.sources:
        raise nothing_held(only)
    ends = _ends(place, [one.source for one in found.sources])
    now = SystemClock().now_ms()
    emit(body_of(found, ends), text_of(found, ends, now=now, is_whole=only is not None), output=output)


@command.command("export")
@where_options
@click.option("--model", help='Sketches and ledger of this model only; "" is the source ledger.')
@click.option("--source", default="", help="Sketches and markers of this topic, or topic/partition, only.")
@click.option("--from", "since", default="", help="Panes that start at RFC 3339, 30d (ago), or ms, or later.")
@click.option("--to", "until", default="", help="Panes that start before.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["markers", "sketches", "ledger"]),
    help="Only this; may be repeated. Default: all, but no ledger with --source, as it is of no source.",
)
@click.option("-o", "--out", default="-", show_default=True, metavar="FILE", help="- is stdout.")
def export(
    *, config: tuple[str, ...], state_dir: str, model: str | None, source: str, since: str, until: str,
    parts: tuple[str, ...], out: str,
) -> None:  # fmt: skip
    """Write sketches, markers and ledger as JSON lines, to count again or evaluate elsewhere.

    Also while daemons run; changes nothing. One line for each object:

    \b
    export   what this is: format (1), driftline, log, place
    marker   topic, partition, applied, watermark, records, tallies, …; writer
             and why ("": it can be used) where the state is shared
    sketch   model, config, version, variant, segment, pane, topic, partition,
             applied, first, last, rows, errors, counts (one for each slot, in
             the order of the reference), sums, extremes, latency, violations,
             rejects, novel, vectors, digest
    damaged  model, topic, partition, pane, why: in place of a sketch
    ledger   model, term, owner, since; then its entries
    entry    model, kind, id, body

    A sketch holds exactly the rows of its model, version, variant, segment and pane among the offsets
    of its source partition below `applied`. Exit code 1 when a sketch was damaged.
    """
    from monitor.cli.inspectors import where
    from monitor.cli.topic import record_time
    from monitor.clock import SystemClock
    from monitor.state.export import PARTS, lines

    keep_log_quiet()
    now = SystemClock().now_ms()
    first, end = record_time(since, now=now), record_time(until, now=now)
    place = where(config, state_dir)

    def is_ours(found: Source) -> bool:
        return source in {"", found.topic, str(found)}

    def is_wanted(found: Source, pane: int) -> bool:
        return is_ours(found) and (first is None or pane >= first) and (end is None or pane < end)

    with place.opened() as state:
        name = str(place.directory or place.plan.kafka.prefix)
        chosen = parts or [part for part in PARTS if not source or part != "ledger"]
        found = lines(
            state, log="kafka" if place.directory is None else "local", place=name, model=model,
            is_ours=is_ours, wanted=is_wanted, parts=chosen,
        )  # fmt: skip
        if (source or model) and not (since or until or parts):
            found = _found(found, source=source, model=model)
        damaged = _write(found, out)
    if damaged:
        from monitor.errors import StateDamaged

        raise StateDamaged(f"{damaged} sketches do not verify - {name} - the lines of type damaged name them")


@command.command("reset")
@where_options
@click.argument("source")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also where the partition seems to be written: it is not.")
def reset(*, config: tuple[str, ...], state_dir: str, source: str, yes: bool, force: bool) -> None:
    """Remove the checkpoint of a source partition (topic/3), so that it is counted anew.

    Stop what reads the partition first. Its counts begin anew, as far back as the topic reaches, at the
    next start with --accept-data-loss; without it driftline refuses to forget. Windows that were judged
    are not judged again.
    """
    from monitor.cli.inspectors import source_of, where
    from monitor.cli.state_reset import reset_directory, reset_topics

    keep_log_quiet()
    place, chosen = where(config, state_dir), source_of(source)

    def confirm(text: str) -> None:
        click.echo(text)
        if not yes:
            click.confirm("remove it?", abort=True, err=True)

    if place.directory is not None:
        reset_directory(place.directory, chosen, confirm=confirm)
    else:
        reset_topics(place, chosen, confirm=confirm, force=force)
    click.echo(f"removed the checkpoint of {chosen}; start with --accept-data-loss to count it anew")


def nothing_held(source: Source) -> Exception:
    from monitor.errors import UsageError

    return UsageError(f"nothing is held of this source partition - {source} - see driftline state inspect")


def _found(lines: Iterator[str], *, source: str, model: str | None) -> Iterator[str]:
    """The lines; an error where there is none of what was asked for, which is mostly a name that nobody has."""
    beside = ('{"type":"export"', '{"type":"marker"') if model else ('{"type":"export"',)
    is_empty = True
    for line in lines:
        is_empty = is_empty and line.startswith(beside)
        yield line
    if is_empty:
        from monitor.errors import UsageError

        what = " ".join(filter(None, (source, model and f"model {model}")))
        raise UsageError(f"nothing is held of {what} - --source, --model - see driftline state inspect")


def _ends(place: Where, sources: list[Source]) -> dict[Source, int]:
    """Where the input ends; nothing where Kafka does not say, which is told on stderr."""
    from monitor.errors import IntakeError
    from monitor.intake.lag import ends_of

    properties = place.properties()
    if not properties or not sources:
        return {}
    try:
        return ends_of(properties, sources, timeout=LAG_SECONDS)
    except IntakeError as error:
        click.echo(f"lag is not known: {error}", err=True)
        return {}


def _write(lines: Iterable[str], out: str) -> int:
    """How many were damaged. A file has its name only when it is whole."""
    if out == "-":
        return sum(_is_damaged(line) for line in _echoed(lines))
    from monitor.errors import UsageError

    part = Path(f"{out}.part")
    damaged = 0
    try:
        with part.open("w", encoding="ascii") as file:
            for line in lines:
                file.write(line + "\n")
                damaged += _is_damaged(line)
        part.replace(out)
    except OSError as error:
        raise UsageError(f"{error.strerror} - {out} - a file that can be written is right") from error
    return damaged


def _echoed(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        click.echo(line)
        yield line


def _is_damaged(line: str) -> bool:
    return line.startswith('{"type":"damaged"')
