"""Dead letters in a file of JSON lines."""

from __future__ import annotations

import contextlib
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from monitor import metrics
from monitor.columns import Batch, Reject
from monitor.errors import DeadLetterError
from monitor.intake.dead_letter import error_fields

SPILL_BYTES = 8 << 20
"""Lines are handed to the system when so many bytes wait, and made durable by `flush`."""
HELD_BYTES = 256 << 20
"""Lines held while the file takes none. The partition stops at the next checkpoint, 10 s later;
what comes beyond is let go, and then only a restart, which reads it again, goes on."""


class FileDeadLetters:
    """Appends to a file, up to `max_bytes`; durable on `flush`.

    One line per record: topic, partition, offset, timestamp, timestamp_type, key, value, headers (bytes as
    base64), errors. The file may be moved away at any time; a new one is begun. Several sinks of
    one process may share a file.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._bytes = 0
        self._let_go = 0
        self._unsynced = False

    def put(self, batch: Batch, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            line = _line(batch, reject)
            if self._bytes + len(line) > HELD_BYTES:
                self._let_go += 1
                continue
            self._held.append(line)
            self._bytes += len(line)
            if self._bytes > SPILL_BYTES:
                try:
                    self._write()
                except (OSError, DeadLetterError):
                    continue  # `flush` tries again, and says so
        metrics.DEAD_LETTERS_TOTAL.labels(batch.source.topic).inc(len(rejects))

    def flush(self) -> None:
        try:
            self._write()
            if self._unsynced:
                _sync(self._path)
                self._unsynced = False
        except OSError as error:
            raise DeadLetterError(f"{error.strerror} - {self._path} - must be writable") from error
        if self._let_go:
            raise DeadLetterError(
                f"{self._let_go} rejects could not be held - {self._path} - restart to read them again"
            )

    def close(self) -> None:
        self._held.clear()
        self._bytes = 0

    def _write(self) -> None:
        """Append whole lines or nothing."""
        if not self._held:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            data = b"".join(self._held)
            if size and not _ends_line(self._path, size):
                data = b"\n" + data  # torn by a crash
            if size + len(data) > self._max_bytes:
                raise DeadLetterError(
                    f"dead letters are full - {self._path} - move the file away, or raise "
                    f"dead_letter.max_bytes ({self._max_bytes})"
                )
            try:
                written = 0
                while written < len(data):
                    written += file.write(data[written:])
            except OSError:
                with contextlib.suppress(OSError):  # the reason is the first one; a torn line is ended later
                    file.truncate(size)
                raise
        self._held.clear()
        self._bytes = 0
        self._unsynced = True


def _line(batch: Batch, reject: Reject) -> bytes:
    at = reject.index
    headers = batch.headers[at]
    body: dict[str, Any] = {
        "topic": batch.source.topic,
        "partition": batch.source.partition,
        "offset": int(batch.offsets[at]),
        "timestamp": int(batch.timestamps[at]),
        "timestamp_type": "LogAppendTime" if batch.log_append else "CreateTime",
        "key": _text(batch.keys[at]),
        "value": _text(batch.values[at]),
        "headers": None if headers is None else [[name, _text(value)] for name, value in headers],
        "errors": error_fields(batch, reject),
    }
    return msgspec.json.encode(body) + b"\n"


def _text(value: bytes | str | None) -> str | None:
    if value is None:
        return None
    return b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def _ends_line(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _sync(path: Path) -> None:
    """Durable content and, for a file just created, durable name."""
    for target in (path, path.parent):
        try:
            handle = os.open(target, os.O_RDONLY)
        except FileNotFoundError:
            continue  # moved away between the write and now: whoever did keeps it
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
