"""Looking into a local state directory without owning it, also while a daemon runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from monitor.errors import StateDamaged
from monitor.names import Source
from monitor.sketch import Sketch
from monitor.state.codec import decode_marker, decode_sketch
from monitor.state.database import check_schema, count, explained
from monitor.state.description import opened
from monitor.state.inventory import (
    Damaged,
    Inventory,
    MarkerRecord,
    ModelHolding,
    SourceHolding,
    Wanted,
)
from monitor.state.local import read_entries
from monitor.state.log import Ledger, Marker


class LocalInspector:
    """An `Inspector` of one picture of the state file: that of the moment it was opened."""

    def __init__(self, directory: Path) -> None:
        """Raises StateMissing, StateDamaged, StateTooNew."""
        with contextlib.ExitStack() as undo:
            self._db, self._path = undo.enter_context(opened(directory))
            self._close = undo.pop_all()

    def inventory(self, only: Source | None = None) -> Inventory:
        names = "SELECT topic, partition FROM markers UNION SELECT topic, partition FROM sketches"
        with explained(self._path):
            found = self._db.execute(f"{names} ORDER BY topic, partition").fetchall()
            sources = [Source(*row) for row in found]
            return Inventory(
                log="local",
                place=str(self._path),
                sources=tuple(self._source(source) for source in sources if only in {None, source}),
                models=tuple(self._models()) if only is None else (),
                facts={
                    "schema": check_schema(self._db, self._path),
                    "term": count(self._db, "term"),
                    "size": self._path.stat().st_size,
                },
            )

    def markers(self, only: Callable[[Source], bool]) -> Iterator[MarkerRecord]:
        query = "SELECT topic, partition, body FROM markers ORDER BY topic, partition"
        with explained(self._path):
            for topic, partition, body in self._db.execute(query).fetchall():
                if only(Source(topic, partition)):
                    yield MarkerRecord(decode_marker(body), "", "")

    def sketches(self, model: str | None, wanted: Wanted) -> Iterator[Sketch | Damaged]:
        """By model, pane, source, and the stored key."""
        query = "SELECT rowid, model, topic, partition, pane FROM sketches"
        order = "ORDER BY model, pane, topic, partition, key"
        with explained(self._path):
            # Bodies one by one: days of sketches of all models are gigabytes.
            for row, name, topic, partition, pane in self._db.execute(f"{query} {order}").fetchall():
                source = Source(topic, partition)
                if model not in {None, name} or not wanted(source, pane):
                    continue
                (body,) = self._db.execute("SELECT body FROM sketches WHERE rowid = ?", (row,)).fetchone()
                try:
                    sketch: Sketch | Damaged = decode_sketch(body)
                except StateDamaged as error:
                    sketch = Damaged(name, source, pane, str(error))
                yield sketch

    def ledgers(
        self, model: str | None, *, kinds: Collection[str] | None = None
    ) -> Iterator[tuple[ModelHolding, Ledger]]:
        with explained(self._path):
            for holding in self._models():
                if model in {None, holding.model} and holding.entries:
                    yield holding, read_entries(self._db, holding.model, holding.term, kinds=kinds)

    def close(self) -> None:
        self._close.close()

    def _source(self, source: Source) -> SourceHolding:
        marker, why = self._marker(source)
        live: list[tuple[str, int]] = []
        size, damaged = 0, 0
        query = (
            "SELECT model, pane, body FROM sketches WHERE topic = ? AND partition = ? ORDER BY model, pane"
        )
        for model, pane, body in self._db.execute(query, source):
            if marker is not None and pane < marker.live.get(model, pane):
                continue
            live.append((model, pane))
            size += len(body)
            try:  # what `recover` will do with it
                decode_sketch(body)
            except StateDamaged as error:
                damaged += 1
                why = str(error)
        return SourceHolding(
            source, None if why else marker, why, len(live), len(set(live)), size, unreadable=damaged
        )

    def _marker(self, source: Source) -> tuple[Marker | None, str]:
        query = "SELECT body FROM markers WHERE topic = ? AND partition = ?"
        found = self._db.execute(query, source).fetchone()
        if found is None:
            return None, "it has no marker"
        try:
            return decode_marker(found[0]), ""
        except StateDamaged as error:
            return None, str(error)

    def _models(self) -> Iterator[ModelHolding]:
        term = count(self._db, "term")
        entries: dict[str, dict[str, int]] = {}
        for model, kind, number in self._db.execute(
            "SELECT model, kind, count(*) FROM ledger GROUP BY model, kind ORDER BY model, kind"
        ):
            entries.setdefault(model, {})[kind] = number
        stocks = {
            model: row
            for model, *row in self._db.execute(
                "SELECT model, count(*), sum(length(body)), min(pane), max(pane) FROM sketches GROUP BY model"
            )
        }
        for model in sorted(entries.keys() | stocks.keys()):
            sketches, size, oldest, newest = stocks.get(model, (0, 0, -1, -1))
            yield ModelHolding(
                model, term, entries.get(model, {}),
                sketches=sketches, bytes=size, oldest=oldest, newest=newest,
            )  # fmt: skip
