"""Reading a local state directory without owning it, also while a daemon runs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from monitor.errors import StateMissing
from monitor.state.codec import decode_marker
from monitor.state.database import FILE, check_schema, count, explained
from monitor.state.local import read_entries
from monitor.state.log import Ledger, Marker


@dataclass(frozen=True, slots=True)
class Stock:
    """The sketches of one model; "" is the source ledger."""

    model: str
    sketches: int
    bytes: int
    oldest: int
    """Start of the oldest pane, milliseconds."""
    newest: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a state directory holds."""

    path: str
    schema: int
    term: int
    size: int
    """Bytes of the file."""
    markers: tuple[Marker, ...]
    stocks: tuple[Stock, ...]
    entries: Mapping[str, Mapping[str, int]]
    """Model → kind → ledger entries."""


def describe(directory: Path) -> Description:
    """What the state directory holds. Raises StateMissing, StateDamaged, StateTooNew."""
    with opened(Path(directory)) as (db, path):
        markers = db.execute("SELECT body FROM markers ORDER BY topic, partition").fetchall()
        stocks = db.execute(
            "SELECT model, count(*), sum(length(body)), min(pane), max(pane) FROM sketches "
            "GROUP BY model ORDER BY model"
        ).fetchall()
        entries: dict[str, dict[str, int]] = {}
        for model, kind, number in db.execute(
            "SELECT model, kind, count(*) FROM ledger GROUP BY model, kind ORDER BY model, kind"
        ):
            entries.setdefault(model, {})[kind] = number
        return Description(
            path=str(path),
            schema=check_schema(db, path),
            term=count(db, "term"),
            size=path.stat().st_size,
            markers=tuple(decode_marker(body) for (body,) in markers),
            stocks=tuple(Stock(*row) for row in stocks),
            entries=entries,
        )


def read_ledger(directory: Path, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
    """The ledger of a model as it is now (`incident list`). Raises as `describe`."""
    with opened(Path(directory)) as (db, _):
        return read_entries(db, model, count(db, "term"), kinds=kinds)


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """The state file, for reading only. Raises as `describe`."""
    path = directory / FILE
    if not path.is_file():
        raise StateMissing(f"no state here - {path} - set state.dir to the directory that driftline run uses")
    with explained(path):
        uri = f"file:{quote(str(path.resolve()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN")  # one picture for all that is read
            if check_schema(db, path) == 0:
                raise StateMissing(f"no state here yet - {path} - start driftline run first")
            yield db, path
