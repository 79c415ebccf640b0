"""The state as JSON lines, so that counts can be added up, and verdicts looked at, by other programs.

The first line says what this is; then come markers, sketches and ledgers, each kind in a stable order:

    {"type": "export", "format": 1, "driftline": …, "log": …, "place": …}
    {"type": "marker", "topic", "partition", "writer", "why", and the fields of `state.log.Marker`}
    {"type": "sketch", "model", "config", "version", "variant", "segment", "pane", "topic", "partition",
     "applied", "first", "last", "rows", "errors", "counts", "sums", "extremes", "latency", "violations",
     "rejects", "novel", "vectors", "digest"}
    {"type": "damaged", "model", "topic", "partition", "pane", "why"}     in place of a sketch
    {"type": "ledger", "model", "term", "owner", "since"}
    {"type": "entry", "model", "kind", "id", "body"}                      those of the ledger above

A sketch holds exactly the rows of its key among the offsets below `applied` of its source partition: to
recount it, read that partition up to there. Sketches of one window are added; a sketch never is to another
of its own key. `counts` has a number for each slot, in the order of the reference's features; `sums` and
`extremes` a list for each numeric feature (null: it has no extremes), `violations` a number for each rule of
the contract, `rejects` one by reason; `novel` has categories without a slot, by number of the column.
`digest` is equal where all of it is. Times are milliseconds; numbers that are none in a body are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from monitor.names import REASONS, Source
from monitor.sketch import Sketch
from monitor.state.codec import digest
from monitor.state.inventory import Damaged, Inspector, MarkerRecord, Wanted
from monitor.version import read_version

FORMAT = 1
"""Raised when a line changes its meaning; fields may be added without."""
PARTS = ("markers", "sketches", "ledger")


def lines(
    state: Inspector,
    *,
    log: str,
    place: str,
    model: str | None,
    is_ours: Callable[[Source], bool],
    wanted: Wanted,
    parts: Collection[str] = PARTS,
) -> Iterator[str]:
    """The lines of an export, without their ends. Raises StateError.

    Of `parts`: the markers of sources that are ours, the sketches of `model`, or of all, that are wanted,
    and its ledger.
    """
    head = {"type": "export", "format": FORMAT, "driftline": read_version(), "log": log, "place": place}
    yield _text(head)
    if "markers" in parts:
        for record in state.markers(is_ours):
            yield _text(_marker(record))
    if "sketches" in parts:
        for sketch in state.sketches(model, wanted):
            yield _text(_damaged(sketch) if isinstance(sketch, Damaged) else _sketch(sketch))
    if "ledger" in parts:
        for holding, ledger in state.ledgers(model):
            since = None if holding.since < 0 else holding.since
            line = {"type": "ledger", "model": holding.model, "term": holding.term}
            yield _text({**line, "owner": holding.owner, "since": since})
            for kind, bodies in sorted(ledger.entries.items()):
                for name, body in sorted(bodies.items()):
                    entry = {"type": "entry", "model": holding.model, "kind": kind, "id": name}
                    yield _text({**entry, "body": _plain(body)})


def marker_fields(record: MarkerRecord) -> dict[str, Any]:
    """The fields of a marker, JSON-able."""
    marker = record.marker
    names = [name for name in type(marker).__slots__ if name != "source"]
    fields = {name: _plain(getattr(marker, name)) for name in names}
    return {"topic": marker.source.topic, "partition": marker.source.partition, **fields}


def _marker(record: MarkerRecord) -> dict[str, Any]:
    return {"type": "marker", "writer": record.writer, "why": record.why, **marker_fields(record)}


def _sketch(sketch: Sketch) -> dict[str, Any]:
    key = sketch.key
    return {
        "type": "sketch",
        **{name: getattr(key, name) for name in ("model", "config", "version", "variant", "segment", "pane")},
        "topic": key.source.topic,
        "partition": key.source.partition,
        **{name: int(getattr(sketch, name)) for name in ("applied", "first", "last", "rows", "errors")},
        "counts": sketch.counts.tolist(),
        "sums": sketch.sums.tolist(),
        "extremes": [pair if all(map(math.isfinite, pair)) else None for pair in sketch.extremes.tolist()],
        "latency": sketch.latency.tolist(),
        "violations": sketch.violations.tolist(),
        "rejects": {
            str(reason): count
            for reason, count in zip(REASONS, sketch.rejects.tolist(), strict=True)
            if count
        },
        "novel": {
            str(column): dict(sorted(values.items())) for column, values in sorted(sketch.novel.items())
        },
        "vectors": sketch.vectors.tolist(),
        "digest": digest(sketch).hex(),
    }


def _damaged(sketch: Damaged) -> dict[str, Any]:
    topic, partition = sketch.source
    where = {"model": sketch.model, "topic": topic, "partition": partition, "pane": sketch.pane}
    return {"type": "damaged", **where, "why": sketch.why}


def _plain(value: Any) -> Any:
    """JSON has no NaN; a verdict's score may be one."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def _text(line: Mapping[str, Any]) -> str:
    """ASCII: a name may hold half a surrogate pair, as JSON allows."""
    return json.dumps(line, separators=(",", ":"), allow_nan=False)
