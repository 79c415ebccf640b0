"""What `driftline state inspect` shows, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.incident.text import rfc3339
from monitor.names import Source
from monitor.state.export import marker_fields
from monitor.state.inventory import Inventory, MarkerRecord, ModelHolding, SourceHolding, WriterHolding

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def body_of(found: Inventory, ends: Mapping[Source, int]) -> dict[str, Any]:
    """As JSON."""
    return {
        "log": found.log,
        "place": found.place,
        **found.facts,
        "sources": [_source_body(one, ends) for one in found.sources],
        "models": [_model_body(one) for one in found.models],
    }


def text_of(found: Inventory, ends: Mapping[Source, int], *, now: int, is_whole: bool) -> str:
    """As tables; `is_whole`: also what a table of many partitions has no room for."""
    facts = (
        [f"schema {found.facts['schema']}, term {found.facts['term']}, {_size(found.facts['size'])}"]
        if found.log == "local"
        else []
    )
    blocks = [", ".join([f"{found.log} state in {found.place}", *facts])]
    blocks.append(_sources_text(found.sources, ends, now=now) or "no source partition was checkpointed")
    if is_whole:
        blocks += [_details(one) for one in found.sources]
    if found.models:
        blocks.append(_models_text(found.models))
    return "\n\n".join(blocks)


def _lag(one: SourceHolding, ends: Mapping[Source, int]) -> int | None:
    end = ends.get(one.source)
    return None if end is None or one.marker is None else max(end - one.marker.applied, 0)


def _source_body(one: SourceHolding, ends: Mapping[Source, int]) -> dict[str, Any]:
    report = one.progress
    return {
        "source": str(one.source),
        "usable": not one.why,
        "why": one.why,
        "applied": None if one.marker is None else one.marker.applied,
        "end": ends.get(one.source),
        "lag": _lag(one, ends),
        "watermark": None if one.marker is None or one.marker.watermark < 0 else one.marker.watermark,
        "panes": one.panes,
        "sketches": one.sketches,
        "bytes": one.bytes,
        "divergences": one.divergences,
        "unreadable": one.unreadable,
        "marker": None if one.marker is None else marker_fields(MarkerRecord(one.marker, "", "")),
        "writers": [_writer_body(writer) for writer in one.writers],
        "progress": None
        if report is None
        else {
            "applied": report.applied,
            "end": report.end,
            "idle": report.idle,
            "paused": report.paused,
            "observed": report.observed,
        },
    }


def _writer_body(one: WriterHolding) -> dict[str, Any]:
    return {
        "writer": one.writer,
        "usable": not one.why,
        "why": one.why,
        "applied": None if one.marker is None else one.marker.applied,
        "sketches": one.sketches,
        "bytes": one.bytes,
    }


def _model_body(one: ModelHolding) -> dict[str, Any]:
    kept = {"sketches": one.sketches, "bytes": one.bytes, "oldest": one.oldest, "newest": one.newest}
    return {
        "model": one.model,
        "term": one.term,
        "owner": one.owner or None,
        "since": _known(one.since),
        "entries": dict(one.entries),
        "lost": one.lost,
        **{name: _known(value) for name, value in kept.items()},
    }


def _sources_text(found: Sequence[SourceHolding], ends: Mapping[Source, int], *, now: int) -> str:
    rows = [("source", "applied", "lag", "watermark", "panes", "sketches", "stored", "told", "")]
    for one in found:
        lag, marker, report = _lag(one, ends), one.marker, one.progress
        rows.append(
            (
                str(one.source),
                "-" if marker is None else f"{marker.applied:,}",
                "-" if lag is None else f"{lag:,}",
                "-" if marker is None or marker.watermark < 0 else _when(marker.watermark),
                f"{one.panes:,}",
                f"{one.sketches:,}",
                _size(one.bytes),
                "-" if report is None else f"{max(now - report.observed, 0) / 1000:.0f} s ago",
                "; ".join(_remarks(one)),
            )
        )
    return _table(rows) if found else ""


def _remarks(one: SourceHolding) -> list[str]:
    unusable = sum(bool(writer.why) for writer in one.writers)
    return [
        *([f"cannot be used: {one.why}"] if one.why else []),
        *([f"paused: {one.progress.paused}"] if one.progress is not None and one.progress.paused else []),
        *([f"{unusable} of {len(one.writers)} writers cannot be used"] if unusable else []),
        *([f"{one.divergences} sketches diverge"] if one.divergences else []),
        *([f"{one.unreadable} records do not verify"] if one.unreadable else []),
    ]


def _details(one: SourceHolding) -> str:
    lines = []
    if one.marker is not None:
        marker = one.marker
        since = _when(marker.since) if marker.since >= 0 else "the beginning of the topic"
        lines += [
            f"read from offset {marker.start:,}, {marker.records:,} records; complete since {since}",
            *(
                f"{model or 'rejects'}: live from {_when(pane)}"
                for model, pane in sorted(marker.live.items())
            ),
            *(
                f"{name.replace('|', ' ')}: {count:,}"
                for name, count in sorted((marker.tallies or {}).items())
            ),
        ]
    rows = [("writer", "applied", "sketches", "stored", "")]
    for writer in one.writers:
        applied = "-" if writer.marker is None else f"{writer.marker.applied:,}"
        why = writer.why or "can be used"
        rows.append((writer.writer, applied, f"{writer.sketches:,}", _size(writer.bytes), why))
    return "\n".join([*lines, *([_table(rows)] if one.writers else [])])


def _models_text(found: Sequence[ModelHolding]) -> str:
    rows = [("model", "term", "taken by", "since", "sketches", "stored", "ledger")]
    for one in found:
        ledger = ", ".join(f"{count:,} {kind}" for kind, count in one.entries.items()) or "-"
        rows.append(
            (
                one.model or "(rejects)",
                str(one.term),
                one.owner or "-",
                "-" if one.since < 0 else _when(one.since),
                "-" if one.sketches < 0 else f"{one.sketches:,}",
                "-" if one.bytes < 0 else _size(one.bytes),
                ledger + (f"; {one.lost} appends do not verify" if one.lost else ""),
            )
        )
    return _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns side by side; the last is as long as it is."""
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, wide, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def _known(value: int) -> int | None:
    return None if value < 0 else value


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 else f"{size:.1f} {UNITS[unit]}"


def _when(ms: int) -> str:
    return f"{rfc3339(ms)[:19]}Z"
