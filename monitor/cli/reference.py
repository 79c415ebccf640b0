"""`driftline reference build|show|diff|push`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import emit, keep_log_quiet, output_option
from monitor.cli.reference_diff import diff_command
from monitor.cli.reference_feast import FEAST, feast_options, open_feast
from monitor.cli.reference_push import push_command
from monitor.errors import UsageError

if TYPE_CHECKING:
    from monitor.plan import Kind
    from monitor.reference.build import BuildSettings
    from monitor.reference.profile import Reference
    from monitor.reference.read import FileTables
    from monitor.reference.records import RecordTables
    from monitor.reference.selection import Selection
    from monitor.reference.spool import Spool
    from monitor.reference.table import FeatureDeclaration

UNITS = ("auto", "s", "ms", "us", "ns", "rfc3339")
SEASONS = ("hour_of_day", "day_of_week", "hour_of_week")
KINDS = ("numeric", "categorical", "boolean", "vector")
TOPIC = "topic:"


@click.group("reference")
def command() -> None:
    """Build and show what is normal for a model."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what the columns mean."""
    options = [
        click.option("--time", help="Event time. Without it the reference has no windows.", metavar="COLUMN"),
        click.option("--time-unit", type=click.Choice(UNITS), default="auto", show_default=True),
        click.option(
            "--feature",
            "features",
            multiple=True,
            metavar="NAME[=PATH][:KIND]",
            help="One feature; repeat. PATH is where live records have it. Default: every other column.",
        ),
        click.option("--prediction", metavar="PATH[:KIND]", help="What the model answered."),
        click.option(
            "--label",
            help="The truth, 0 or 1, for estimates without labels; it is not watched.",
            metavar="COLUMN",
        ),
        click.option("--latency", help="How long the prediction took.", metavar="COLUMN"),
        click.option("--latency-unit", type=click.Choice(UNITS[1:5]), default="ms", show_default=True),
        click.option("--error", help="Set when the prediction went wrong.", metavar="COLUMN"),
        click.option(
            "--cluster", help="Rows of one value depend on each other, e.g. a user.", metavar="COLUMN"
        ),
        click.option("--exclude", multiple=True, help="No feature; repeat.", metavar="COLUMN"),
        click.option(
            "--path-prefix", default="", metavar="PATH.", help="Live records have features below it."
        ),
        click.option(
            "--missing", multiple=True, metavar="TEXT", help="CSV texts for no value; replaces the list."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("build")
@click.option(
    "--from", "origin", required=True, metavar="FILE|topic:NAME|feast:DIR", help="Rows, or where to get them."
)
@click.option("-o", "--out", required=True, metavar="FILE", help="The reference file to write.")
@click.option("--model", required=True, help="Name of the model.")
@click.option("--name", default="", help="Name of the reference, shown in alerts. Default: after its origin.")
@click.option(
    "-c",
    "--config",
    multiple=True,
    metavar="FILE",
    envvar="DRIFTLINE_CONFIG",
    help="Take features, paths, fields and windows of the model from this configuration.",
)
@_options
@click.option(
    "--pane", default="", metavar="DURATION", help="Slice of time counts are kept for. Default: 5m."
)
@click.option("--quantiles", default=256, show_default=True, type=click.IntRange(4, 4096))
@click.option("--categories", default=250, show_default=True, type=click.IntRange(1, 60_000))
@click.option(
    "--bins-of",
    default="",
    metavar="FILE",
    help="Take over the bins of this reference, as versions of a model need.",
)
@click.option("--max-panes", default=2000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--since", default="", metavar="TIME", help="Topic only: 2026-11-01T00:00:00Z, or 30d ago.")
@click.option("--until", default="", metavar="TIME", help="Topic only; default: now.")
@click.option("--brokers", default="localhost:9092", show_default=True, help="Topic without --config.")
@click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Any librdkafka property.")
@feast_options
@output_option
def build_command(**given: Any) -> None:
    """Build a reference from training data, a Feast offline store or a span of a topic.

    A column becomes the feature of its name, at the path of its name in live records; --path-prefix,
    --feature NAME=PATH or --config say otherwise. Counts are exact; edges come from all rows, or from
    a sample of 262,144 of them. Equal input and equal SOURCE_DATE_EPOCH give equal bytes.
    """
    from dataclasses import replace

    from monitor.cli.progress import passes, progress
    from monitor.reference.build import build
    from monitor.reference.calibrated import is_calibrated
    from monitor.reference.file import read, write
    from monitor.reference.records import RecordTables
    from monitor.reference.summary import describe, summary

    selection, settings, pane = _plan(given)
    tables = _open(given, selection)
    records = isinstance(tables, RecordTables)
    timed = bool(tables.selection.time) or (records and tables.selection.record_time)
    times = 2 + (2 if tables.selection.cluster else 1 if timed else 0) + bool(tables.selection.segments)
    times += is_calibrated(tables.features)
    try:
        with progress("building the reference") as tell:
            reference = build(
                tables,
                model=given["model"],
                name=given["name"] or _default_name(given["origin"]),
                features=tables.features,
                pane=pane,
                created=_created(),
                origin=_origin(given),
                settings=settings,
                progress=passes(tell, rows=tables.rows, times=times),
                segments=tables.selection.segments,
                groups=tables.selection.groups,
                bins=read(given["bins_of"]) if given["bins_of"] else None,
            )
    finally:
        if isinstance(tables, RecordTables):
            tables.stream.close()
    notes = [*reference.notes, *tables.notes]
    if not records and reference.rows < tables.rows:
        notes.append(f"{tables.rows - reference.rows} rows without an event time left out")
    reference = replace(reference, notes=tuple(notes))
    reference = replace(reference, digest=write(reference, given["out"]))
    emit(summary(reference), f"{describe(reference)}\n\nwrote {given['out']}", output=given["output"])


@command.command("show")
@click.argument("file")
@click.option("--svg", "svg_file", metavar="FILE", help="Also write the distributions as one SVG.")
@click.option("--season", type=click.Choice(SEASONS), help="Also print what each season has.")
@click.option("--timezone", default="UTC", show_default=True, help="Of --season.", metavar="ZONE")
@output_option
def show_command(file: str, svg_file: str | None, season: str | None, timezone: str, output: str) -> None:
    """Print a reference, with a picture of each distribution."""
    from monitor.reference.file import read
    from monitor.reference.summary import describe, summary

    reference = read(file)
    if svg_file:
        _write_svg(reference, svg_file)
    data, text = summary(reference), describe(reference)
    if season:
        from monitor.cli.seasons import seasons_text

        data["seasons"] = _seasons(reference, season, timezone)
        text += f"\n\n{seasons_text(data['seasons'])}"
    emit(data, text, output=output)


def _seasons(reference: Reference, season: str, timezone: str) -> list[dict[str, Any]]:
    from zoneinfo import ZoneInfo

    from monitor.cli.seasons import seasons_of
    from monitor.judge.seasons import calendar, usable

    if why := usable(reference):
        raise UsageError(f"{why} - --season - a reference that was built with --time is right")
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError, LookupError) as error:
        raise UsageError(f"{timezone!r} is no time zone - --timezone - Europe/Berlin is one") from error
    return seasons_of(calendar(reference, season, timezone))


def _plan(given: dict[str, Any]) -> tuple[Selection, BuildSettings, int]:
    """What to read and how finely to keep it, from the options over the configuration."""
    from dataclasses import replace

    from monitor.config.quantity import parse_duration
    from monitor.reference.build import PANE, BuildSettings
    from monitor.reference.selection import Selection

    selection, settings, pane = Selection(), BuildSettings(), PANE
    if given["config"]:
        from monitor.cli.reference_config import from_config

        selection, settings, pane = from_config(given["config"], model=given["model"])
    settings = replace(
        settings,
        quantiles=given["quantiles"],
        categories=given["categories"],
        max_panes=given["max_panes"],
    )
    try:
        pane = parse_duration(given["pane"]) if given["pane"] else pane
    except ValueError as error:
        raise UsageError(f"{given['pane']!r} is no duration - --pane - {error}") from error
    return replace(selection, **_changes(selection, given)), settings, pane


def _changes(selection: Selection, given: dict[str, Any]) -> dict[str, Any]:
    """What the options change in a selection; a feature of an option goes over a configured one."""
    from dataclasses import replace

    from monitor.plan import TimeUnit
    from monitor.reference.selection import PREDICTION

    changes: dict[str, Any] = {
        role: given[role] for role in ("time", "latency", "error", "cluster") if given[role]
    }
    if given["time"]:
        changes["record_time"] = False
    if given["time"] or given["time_unit"] != "auto":
        changes["time_unit"] = None if given["time_unit"] == "auto" else TimeUnit(given["time_unit"])
    if given["latency"]:
        changes["latency_unit"] = TimeUnit(given["latency_unit"])
    if given["features"]:
        chosen = [*(selection.features or ()), *map(_declaration, given["features"])]
        changes["features"] = tuple({feature.name: feature for feature in chosen}.values())
    if given["prediction"]:
        text, kind = _kind(given["prediction"])
        others = [outcome for outcome in selection.outcomes if outcome.name != PREDICTION]
        known = [outcome for outcome in selection.outcomes if outcome.name == PREDICTION]
        # a configuration says where live records have it, the option then names the column of this file
        placed = (
            replace(known[0], column=text, kind=kind or known[0].kind)
            if known
            else _placed(PREDICTION, text, kind)
        )
        changes["outcomes"] = (*others, placed)
    if given["label"]:
        changes["outcomes"] = (*changes.get("outcomes", selection.outcomes), _truth(given["label"]))
    if given["path_prefix"]:
        changes["prefix"] = _path(given["path_prefix"].rstrip("."))
    changes["exclude"] = selection.exclude | {*given["exclude"]}
    return changes


def _open(given: dict[str, Any], selection: Selection) -> FileTables | RecordTables:
    from dataclasses import replace

    from monitor.reference.csv_file import MISSING_TOKENS
    from monitor.reference.read import open_file

    origin = given["origin"]
    if origin.startswith(TOPIC):
        from monitor.reference.records import RecordTables

        if not selection.time:
            selection = replace(selection, record_time=True)
        return RecordTables(_spool(given), selection)
    if origin.startswith(FEAST):
        return open_feast(given, selection)
    if given["since"] or given["until"]:
        raise UsageError("--since and --until are for topics - reference build - --from topic:NAME is right")
    return open_file(origin, selection, missing=frozenset(given["missing"] or MISSING_TOKENS) | {""})


def _spool(given: dict[str, Any]) -> Spool:
    """The records of the topic; properties on the command line go over those of the configuration."""
    from monitor.cli.topic import properties_of, spool_topic

    keep_log_quiet()
    properties = properties_of(given["brokers"], given["properties"])
    if given["config"]:
        from monitor.cli.reference_config import kafka_of

        del properties["bootstrap.servers"]
        properties = kafka_of(given["config"]) | properties
    topic = given["origin"].removeprefix(TOPIC)
    return spool_topic(topic, properties, since=given["since"], until=given["until"])


def _declaration(text: str) -> FeatureDeclaration:
    """NAME[=PATH][:KIND]"""
    text, kind = _kind(text)
    name, _, path = text.partition("=")
    return _placed(name, path, kind)


def _placed(name: str, path: str, kind: Kind | None) -> FeatureDeclaration:
    from monitor.reference.table import FeatureDeclaration

    return FeatureDeclaration(name=name, path=_path(path) if path else (), kind=kind)


def _truth(column: str) -> FeatureDeclaration:
    from monitor.plan import Kind
    from monitor.reference.calibrated import LABEL
    from monitor.reference.table import FeatureDeclaration

    return FeatureDeclaration(name=LABEL, kind=Kind.CATEGORICAL, column=column)


def _kind(text: str) -> tuple[str, Kind | None]:
    from monitor.plan import Kind

    rest, _, kind = text.rpartition(":")
    return (rest, Kind(kind)) if rest and kind in KINDS else (text, None)


def _path(text: str) -> tuple[str | int, ...]:
    from monitor.config.paths import parse_path

    try:
        return parse_path(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no path - reference build - {error}") from error


def _default_name(origin: str) -> str:
    if origin.startswith(TOPIC):
        return origin.removeprefix(TOPIC)
    return os.path.basename(origin.rstrip("/")).split(".")[0] or origin  # noqa: PTH119  pathlib drops no suffixes


def _created() -> int:
    """Now, or SOURCE_DATE_EPOCH for reproducible files."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        return int(epoch) * 1000
    from monitor.clock import SystemClock

    return SystemClock().now_ms()


def _origin(given: dict[str, Any]) -> dict[str, Any]:
    kept = ("since", "until", "time", "cluster", "service", "views", "entity_df")
    return {"from": given["origin"], **{name: given[name] for name in kept if given[name]}}


def _write_svg(reference: Reference, path: str) -> None:
    from pathlib import Path

    from monitor.reference.svg import svg

    try:
        Path(path).write_text(svg(reference), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the file cannot be written ({error.strerror}) - {path} - a writable path is right"
        ) from error


command.add_command(diff_command)
command.add_command(push_command)
