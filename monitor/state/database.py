"""The SQLite file of a local state log: one owner, one schema, errors in driftline's words."""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
import fcntl
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from monitor.errors import StateConflict, StateDamaged, StateError, StateTooNew

FILE = "state.db"
LOCK = "state.lock"
SCHEMA = 1
"""`PRAGMA user_version`. A newer one is refused."""
APPLICATION = 0x64_72_66_74
"""`PRAGMA application_id`, "drft": somebody else's SQLite file is not overwritten."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('term', 0), ('position', 0);
CREATE TABLE sketches (
  key BLOB NOT NULL UNIQUE, model TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  pane INTEGER NOT NULL, applied INTEGER NOT NULL, position INTEGER NOT NULL,
  digest BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX sketches_changed ON sketches (model, position);
CREATE INDEX sketches_source ON sketches (topic, partition, model, pane);
CREATE TABLE markers (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (topic, partition));
CREATE TABLE ledger (
  model TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, term INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (model, kind, id));
"""


class Database:
    """Owns the state directory while it is open. Threads share it; writes take turns.

    A reader has its own connection (WAL), so that a long read does not hold up a checkpoint.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._lock_file = _own(directory)
        self._writing, self._reading = threading.Lock(), threading.Lock()
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._lock_file)
            with explained(self.path):
                self._writer = undo.enter_context(contextlib.closing(_connect(self.path)))
                _prepare(self._writer, self.path)
                self._reader = undo.enter_context(contextlib.closing(_connect(self.path)))
            _sync(directory)
            with self.write() as db:
                db.execute("UPDATE meta SET value = value + 1 WHERE name = 'term'")
            self.term = self.number("term")
            """Counts the starts of processes on this directory."""
            self._close = undo.pop_all()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: durable when the block is left, undone when it raises."""
        with self._writing, explained(self.path), _transaction(self._writer, "IMMEDIATE"):
            yield self._writer

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One picture of the file; what is committed meanwhile is not seen."""
        with self._reading, explained(self.path), _transaction(self._reader, "DEFERRED"):
            yield self._reader

    def shrink(self) -> None:
        """Give some of the space of deleted rows back to the disk."""
        with self._writing, explained(self.path):
            # executescript, as execute would take one step of it: one page of the 1000 (4 MB, 10 ms).
            self._writer.executescript("PRAGMA incremental_vacuum(1000)")

    def number(self, name: str) -> int:
        with self.read() as db:
            return count(db, name)

    def close(self) -> None:
        """Give the directory back. Repeating it does nothing."""
        with self._writing, self._reading, explained(self.path):
            self._close.close()


def memory() -> int | None:
    """Bytes that SQLite holds in this process, all connections together; None where it does not tell."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    ask = getattr(library, "sqlite3_memory_used", None)
    if ask is None:
        return None
    ask.restype = ctypes.c_int64
    return int(ask())


def count(db: sqlite3.Connection, name: str) -> int:
    """A number of the table `meta`."""
    return int(db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])


def check_schema(db: sqlite3.Connection, path: Path) -> int:
    """The schema version of an open file, 0 for a new one. Raises StateDamaged, StateTooNew."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (application or tables):
        raise StateDamaged(f"not a driftline state file - {path} - move it away, or set another state.dir")
    if version > SCHEMA:
        raise StateTooNew(
            f"state has schema {version} - {path} - this driftline reads up to {SCHEMA}: "
            "use the newer driftline that wrote it"
        )
    return int(version)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors in driftline's words: what is wrong - where - what would be right."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(error, path) from error


def _explanation(error: sqlite3.Error, path: Path) -> StateError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StateError(
            f"no space left - {path} - free disk space; the write is undone and can be repeated"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StateError(f"state cannot be written ({error}) - {path} - make the directory writable")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StateDamaged(
            f"state file is damaged ({error}) - {path} - restore it from a copy, "
            "or move it away and accept the loss with --accept-data-loss"
        )
    return StateError(f"state log refused ({error}) - {path} - see the system's log for its disk")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection, mode: str) -> Iterator[None]:
    db.execute(f"BEGIN {mode}")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as undo:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        undo.callback(db.close)
        db.execute("PRAGMA synchronous = FULL")
        undo.pop_all()
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if check_schema(db, path) == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        # executescript would commit by itself; a crash must leave no half schema.
        with _transaction(db, "IMMEDIATE"):
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("PRAGMA journal_mode = WAL")


def _own(directory: Path) -> int:
    """Take the directory for this process; the kernel gives it back however the process ends."""
    path = directory / LOCK
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"state directory cannot be used ({error.strerror}) - {directory} - "
            "set state.dir to a directory that driftline may write"
        ) from error
    try:
        # flock and not lockf: lockf would let the same process in twice.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip() or "unknown"
        os.close(lock)
        raise StateConflict(
            f"state directory is in use by {holder} - {directory} - "
            "stop that driftline, or give this one its own state.dir"
        ) from error
    with contextlib.suppress(OSError):  # a full disk: the name is only for people, the lock holds
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return lock


def _sync(directory: Path) -> None:
    """Make the file's name durable, not only its content."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
