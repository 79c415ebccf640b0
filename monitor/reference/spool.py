"""Records of a topic, kept on disk while a reference is built from them."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

from monitor.columns import Batch
from monitor.errors import ReferenceInvalid
from monitor.names import Source

_HEAD = struct.Struct("<qi")
"""Record timestamp, length of the value; -1 is a null value."""


class Spool:
    """A `RecordStream` of batches that come once, in any order of partitions.

    A build reads its rows several times and a topic changes meanwhile, so the records are written
    to one unnamed temporary file per partition (under TMPDIR) and read back partition by
    partition. Close it to give the disk space back.
    """

    timed = True

    def __init__(self, name: str, batches: Iterable[Batch]) -> None:
        self.name = name
        self.size = 0
        self._files: dict[Source, IO[bytes]] = {}
        try:
            for batch in batches:
                self._take(batch)
        except OSError as error:
            self.close()
            raise ReferenceInvalid(
                f"the records cannot be kept on disk ({error.strerror}) - {tempfile.gettempdir()} - room for"
                " the span of the topic is right; set TMPDIR"
            ) from error

    def __iter__(self) -> Iterator[tuple[bytes | None, int]]:
        for source in sorted(self._files):
            file = self._files[source]
            file.flush()
            file.seek(0)
            while head := file.read(_HEAD.size):
                time, length = _HEAD.unpack(head)
                yield (None if length < 0 else file.read(length)), time

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _take(self, batch: Batch) -> None:
        if not len(batch):
            return
        if batch.source not in self._files:
            self._files[batch.source] = tempfile.TemporaryFile(prefix="driftline-")  # noqa: SIM115  closed by close
        file = self._files[batch.source]
        for value, time in zip(batch.values, batch.timestamps.tolist(), strict=True):
            file.write(_HEAD.pack(time, -1 if value is None else len(value)))
            file.write(value or b"")
        self.size += len(batch)
