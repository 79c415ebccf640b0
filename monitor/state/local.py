"""The state log of a single process: a SQLite file, one transaction per checkpoint."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.clock import Clock
from monitor.errors import StateMissing
from monitor.failpoint import fail_point
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.alone import Alone
from monitor.state.codec import decode_marker, decode_sketch, encode, encode_key, encode_sketch
from monitor.state.database import Database, count
from monitor.state.divergence import Divergences
from monitor.state.log import HEAVY, Checkpoint, Entry, Ledger, Marker, Progress
from monitor.state.text import to_body, to_text

_Row = tuple[SketchKey, int, bytes, bytes, bytes]
"""key, applied, encoded key, digest, body"""


class LocalLog(Alone):
    """A `StateLog` in `directory`, which it owns from here to `close` or the end of the process.

    Raises StateConflict when another process owns the directory, StateTooNew, StateDamaged, and
    StateError when the directory cannot be written.
    """

    def __init__(self, directory: Path, *, clock: Clock) -> None:
        self._db = Database(Path(directory))
        self.term = self._db.term
        self._clock = clock
        self._progress: dict[Source, Progress] = {}
        self._expected: set[Source] = set()
        self._lock = threading.Lock()
        self._divergences = Divergences()

    @property
    def divergences(self) -> int:
        return self._divergences.count

    def expect(self, source: Source) -> None:
        with self._lock:
            self._expected.add(source)

    def recover(self, source: Source) -> Checkpoint | None:
        with self._db.read() as db:
            found = db.execute(
                "SELECT body FROM markers WHERE topic = ? AND partition = ?", source
            ).fetchone()
            marker = None if found is None else decode_marker(found[0])
            query = "SELECT model, pane, body FROM sketches WHERE topic = ? AND partition = ? ORDER BY key"
            # Days of sketches are kept for the judge and a few panes are live: decode only these.
            bodies = [
                body
                for model, pane, body in db.execute(query, source)
                if marker is not None and pane >= marker.live.get(model, pane)
            ]
        if marker is None:
            self._refuse_loss(source)
            return None
        sketches = (decode_sketch(body) for body in bodies)
        return Checkpoint(marker, tuple(sketch for sketch in sketches if marker.keeps(sketch.key)))

    def checkpoint(self, source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
        _refuse_strays(source, sketches, marker)
        sealed = encode(marker)
        fail_point("checkpoint.before")
        with self._db.write() as db:
            db.execute("UPDATE meta SET value = value + 1 WHERE name = 'position'")
            position = count(db, "position")
            # Encoded one by one: a burst over many segments and panes changes gigabytes of counts.
            diverged = [row for row in map(_row, sketches) if _put(db, row, position)]
            db.execute("INSERT OR REPLACE INTO markers VALUES (?, ?, ?)", (*source, sealed))
            fail_point("checkpoint.inside")
        for key, applied, *_ in diverged:
            self._divergences.note(key, applied)
        fail_point("checkpoint.after")

    def report(self, progress: Progress) -> None:
        with self._lock:
            self._progress[progress.source] = progress

    def announce(self, notice: Mapping[str, Any]) -> None:
        """There is nobody else."""

    def announced(self) -> Collection[Mapping[str, Any]]:
        return ()

    def changes(
        self, models: Collection[str], after: int, anew: Collection[str] = ()
    ) -> tuple[int, Sequence[Sketch], Sequence[Progress]]:
        query = "SELECT body FROM sketches WHERE model = ? AND position > ? ORDER BY position, key"
        with self._lock:  # before the sketches: a report must never be ahead of what it speaks of
            progress = tuple(self._progress[source] for source in sorted(self._progress))
        with self._db.read() as db:
            position = count(db, "position")
            since = {model: 0 if model in anew else after for model in sorted(set(models))}
            bodies = [body for one in since.items() for body in db.execute(query, one)]
        return position, tuple(decode_sketch(body) for (body,) in bodies), progress

    def ledger(self, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        with self._db.read() as db:
            return read_entries(db, model, self.term, kinds=kinds)

    def bodies(self, model: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        query = "SELECT id FROM ledger WHERE model = ? AND kind = ? ORDER BY id"
        with self._db.read() as db:
            names = [name for (name,) in db.execute(query, (model, kind)).fetchall()]
        query = "SELECT body FROM ledger WHERE model = ? AND kind = ? AND id = ?"
        for name in names:
            with self._db.read() as db:
                found = db.execute(query, (model, kind, name)).fetchone()
            if found is not None:
                yield name, to_body(found[0])

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        bodies = [None if entry.body is None else to_text(entry.body) for entry in entries]
        fail_point("append.before")
        with self._db.write() as db:
            for entry, body in zip(entries, bodies, strict=True):
                if body is None:
                    key = (model, entry.kind, entry.id)
                    db.execute("DELETE FROM ledger WHERE model = ? AND kind = ? AND id = ?", key)
                else:
                    row = (model, entry.kind, entry.id, self.term, body)
                    db.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)", row)
                fail_point("append.inside")
        fail_point("append.after")

    def claim(self, model: str, intent: str, attempt: int) -> bool:
        body = to_text({"intent": intent, "attempt": attempt, "at": self._clock.now_ms()})
        fail_point("claim.before")
        with self._db.write() as db:
            row = (model, "claim", f"{intent}/{attempt}", self.term, body)
            made = db.execute("INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?, ?)", row).rowcount == 1
            fail_point("claim.inside")
        fail_point("claim.after")
        return made

    def models(self) -> set[str]:
        query = "SELECT model FROM ledger WHERE model > ? ORDER BY model LIMIT 1"
        found: list[str] = [""]
        with self._db.read() as db:
            while row := db.execute(query, (found[-1],)).fetchone():  # DISTINCT would read all that is there
                found.append(row[0])
        return set(found[1:])

    def reached(self, topic: str) -> int:
        with self._db.read() as db:
            found = db.execute("SELECT body FROM markers WHERE topic = ?", (topic,)).fetchall()
        markers = [decode_marker(body) for (body,) in found]
        return max((marker.reached for marker in markers if marker.counted is None), default=-1)

    def prune(self, model: str, before: int) -> int:
        with self._db.write() as db:
            pruned = 0
            for topic, partition, body in db.execute("SELECT topic, partition, body FROM markers").fetchall():
                live = decode_marker(body).live.get(model)
                if live is not None:
                    query = (
                        "DELETE FROM sketches WHERE topic = ? AND partition = ? AND model = ? AND pane < ?"
                    )
                    pruned += db.execute(query, (topic, partition, model, min(before, live))).rowcount
        if pruned:
            self._db.shrink()
        return pruned

    def sources(self) -> Iterator[Source]:
        with self._db.read() as db:
            found = db.execute("SELECT topic, partition FROM markers ORDER BY topic, partition").fetchall()
        return iter([Source(*row) for row in found])

    def forget(self, source: Source) -> None:
        """Remove the checkpoint of a source partition and all its sketches (`state reset`)."""
        with self._db.write() as db:
            db.execute("DELETE FROM sketches WHERE topic = ? AND partition = ?", source)
            db.execute("DELETE FROM markers WHERE topic = ? AND partition = ?", source)
        with self._lock:
            self._progress.pop(source, None)

    def close(self) -> None:
        self._db.close()

    def _refuse_loss(self, source: Source) -> None:
        with self._lock:
            expected = source in self._expected
        if expected:
            raise StateMissing(
                f"input was consumed before, but its state is gone - {source} in {self._db.path} - "
                "restore the state, or accept the loss with --accept-data-loss"
            )


def read_entries(
    db: sqlite3.Connection, model: str, term: int, *, kinds: Collection[str] | None = ()
) -> Ledger:
    """The ledger of a model from an open state file; `kinds` as in `StateLog.ledger`."""
    entries: dict[str, dict[str, Mapping[str, Any]]] = {}
    query = "SELECT kind, id, body FROM ledger WHERE model = ?"
    values: list[str] = [model]
    if kinds:
        query += f" AND kind IN ({', '.join('?' * len(kinds))})"
        values += sorted(kinds)
    elif kinds is not None:
        query += f" AND kind NOT IN ({', '.join('?' * len(HEAVY))})"
        values += sorted(HEAVY)
    for kind, name, body in db.execute(f"{query} ORDER BY kind, id", values):
        entries.setdefault(kind, {})[name] = to_body(body)
    return Ledger(model, term, entries)


def _refuse_strays(source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
    stray = [sketch.key.source for sketch in sketches if sketch.key.source != source]
    if stray or marker.source != source:
        raise ValueError(f"checkpoint of {source} - holds {stray or marker.source} - only that source")


def _row(sketch: Sketch) -> _Row:
    body, digest = encode_sketch(sketch)
    return sketch.key, sketch.applied, encode_key(sketch.key), digest, body


def _put(db: sqlite3.Connection, row: _Row, position: int) -> bool:
    """Replace the stored sketch; True when it had the same `applied` and other content."""
    key, applied, name, digest, body = row
    stored = db.execute("SELECT applied, digest FROM sketches WHERE key = ?", (name,)).fetchone()
    if stored == (applied, digest):
        return False
    values = (name, key.model, *key.source, key.pane, applied, position, digest, body)
    db.execute("INSERT OR REPLACE INTO sketches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    fail_point("checkpoint.inside")
    return stored is not None and stored[0] == applied
