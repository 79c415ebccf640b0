"""`driftline inspect`: look at existing records and print a configuration to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import emit, keep_log_quiet, output_option, printable
from monitor.errors import UsageError

if TYPE_CHECKING:
    from monitor.reference.infer import Field, Schema


@click.command("inspect")
@click.option("--topic", help="Read the newest records of this topic.")
@click.option("--file", metavar="FILE", help="Read a file of JSON lines instead; - is stdin.")
@click.option("-n", "--records", "count", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option(
    "--brokers", default="localhost:9092", show_default=True, help="host:port, with commas between."
)
@click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Any librdkafka property.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for records.")
@output_option
def command(
    *,
    topic: str | None,
    file: str | None,
    count: int,
    brokers: str,
    properties: tuple[str, ...],
    timeout: float,
    output: str,
) -> None:
    """Sample a topic, infer its fields, and print a working starter configuration.

    Shows samples of the data: ranges of numbers and frequent categories; never texts that are all
    different, such as ids. What is printed on stdout is a configuration file, the table of fields
    its comments:

    driftline inspect --topic predictions > driftline.yaml
    """
    from monitor.cli.topic import properties_of
    from monitor.reference.infer import infer
    from monitor.reference.starter import starter

    keep_log_quiet()
    if (topic is None) == (file is None):
        raise UsageError(
            "records come from a topic or from a file - inspect - one of --topic, --file is right"
        )
    client = properties_of(brokers, properties)
    values = _lines(file, count) if file is not None else _sample(topic or "", client, count, timeout)
    schema = infer(values)
    if schema.records == 0:
        raise UsageError(
            f"no JSON objects among {schema.refused} records - {topic or file} - records of JSON are right"
            if schema.refused
            else f"no JSON objects, as there are no records - {topic or file} - some records to look at are right"
        )
    given = {key: value for key, value in client.items() if key != "bootstrap.servers"}
    text = starter(
        schema, topic=topic or "predictions", brokers=client["bootstrap.servers"].split(","), properties=given
    )
    table = "\n".join(f"# {line}".rstrip() for line in _table(schema))
    emit(_data(schema, text), f"{table}\n\n{text}", output=output)


def _lines(path: str, count: int) -> list[bytes | None]:
    try:
        with click.open_file(path, "rb") as stream:
            return list(islice((line for line in stream if line.strip()), count))
    except OSError as error:
        raise UsageError(
            f"the file cannot be read ({error.strerror}) - {path} - a readable file is right"
        ) from error


def _sample(topic: str, properties: dict[str, str], count: int, timeout: float) -> Sequence[bytes | None]:
    from monitor.intake.sample import sample

    return [value for value, _ in sample(topic, properties, count=count, timeout=timeout)]


def _table(schema: Schema) -> list[str]:
    from monitor.reference.paths import format_path

    roles = {candidate.path: role for role, candidate in schema.roles.items()}
    features = {one.path for one in schema.features}
    rows = [("field", "kind", "null", "distinct", "seen", "taken for")]
    for one in schema.fields:
        role = roles.get(one.path) or (
            "feature" if one.path in features else _plain(f"- {schema.left_out[one.path]}")
        )
        absent = f"{one.nulls / schema.records:.0%}"
        rows.append(
            (
                _plain(format_path(one.path)),
                "/".join(sorted(one.kinds)) or "-",
                absent,
                str(one.distinct),
                _seen(one),
                role,
            )
        )
    wide = [max(len(row[column]) for row in rows) for column in range(5)]
    head = f"{schema.records} records" + (f", {schema.refused} are no JSON objects" if schema.refused else "")
    return [
        head,
        "",
        *("  ".join([*(cell.ljust(w) for cell, w in zip(row, wide, strict=False)), row[5]]) for row in rows),
    ]


def _seen(one: Field) -> str:
    if one.minimum is not None and set(one.kinds) <= {"integer", "number"}:
        sign = ",.0f" if set(one.kinds) == {"integer"} else ".6g"
        return f"{one.minimum:{sign}} … {one.maximum:{sign}}"
    if one.length:
        return f"{one.length} numbers"
    if one.is_unique_text or not one.categories:
        return ""
    return _plain(", ".join(name for name, _ in one.categories[:3])) + (" …" if one.distinct > 3 else "")


def _plain(text: str) -> str:
    return printable(text)[:80]


def _data(schema: Schema, text: str) -> dict[str, Any]:
    from monitor.reference.paths import format_path

    return {
        "records": schema.records,
        "refused": schema.refused,
        "models": schema.models,
        "fields": [
            {
                "path": format_path(one.path),
                "kinds": one.kinds,
                "kind": str(one.kind),
                "nulls": one.nulls,
                "distinct": one.distinct,
                "min": one.minimum,
                "max": one.maximum,
                "length": one.length or None,
                "categories": [] if one.is_unique_text else [name for name, _ in one.categories],
            }
            for one in schema.fields
        ],
        "roles": {
            role: {"path": format_path(one.path), "unit": one.unit, "why": one.why}
            for role, one in schema.roles.items()
        },
        "candidates": [
            {"role": one.role, "path": format_path(one.path), "why": one.why} for one in schema.candidates
        ],
        "features": [format_path(one.path) for one in schema.features],
        "left_out": {format_path(path): why for path, why in schema.left_out.items()},
        "config": text,
    }
