"""Dead letters as they lie in a topic or a file, and which of them were requeued before.

The daemon never reads them. What was requeued is noted beside the letters, by where the record was
rejected, so that the same record is not sent, and counted, twice.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec

from monitor.errors import IntakeError
from monitor.intake.dead_letter import PREFIX
from monitor.intake.range import read_range

REQUEUED = "__driftline.requeued"
"""Header of a record that was sent back: how many times, a decimal number."""
NOTE = f"{REQUEUED}."
"""What the headers of a note begin with: topic, partition and offset of the record that was sent back."""
AHEAD_MS = 24 * 3_600_000
"""How far clocks of producers may be ahead; brokers refuse records of more than an hour unless told otherwise."""
NOTES = "requeued.jsonl"
"""The notes on dead-letter files, beside them; one file for all of a directory, as letters are moved away."""

Headers = tuple[tuple[str, bytes | None], ...]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Origin(NamedTuple):
    """Where a record was rejected."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected record and what was wrong with it."""

    place: str
    """Where it lies: topic/partition/offset, or file:line."""
    partition: int
    """Of the dead-letter topic; -1 in a file."""
    origin: Origin
    timestamp: int
    """The record's, milliseconds; -1 when it has none."""
    stage: str
    reason: str
    detail: str
    model: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    """The record's own."""
    withheld: int = -1
    """Bytes of the value when it was too large to be kept, else -1."""

    @property
    def size(self) -> int:
        """Bytes of the value, also where it was too large to be kept."""
        return max(len(self.value or b""), self.withheld)

    @property
    def times(self) -> int:
        """How many times the record had been sent back when it was rejected."""
        found = dict(self.headers).get(REQUEUED) or b""
        return int(found) if found.isdigit() and len(found) < 10 else 0


class Letters(Protocol):
    """Dead letters in one place. One thread."""

    name: str
    unreadable: int
    """Records or lines that `read` has passed over so far: not ours, or torn by a crash."""

    def read(self) -> Iterator[DeadLetter]:
        """All of them; of each input partition about in the order of rejection, and some perhaps twice."""
        ...

    def requeued(self) -> set[Origin]:
        """Where those were rejected that are noted as sent back."""
        ...


class TopicLetters:
    """The dead letters of a topic; all with record timestamps from `since_ms` on are among them, and notes are.

    They lie in the order of rejection, which comes after the record was made: but for clocks that are ahead.
    """

    def __init__(self, topic: str, properties: Mapping[str, Any], *, since_ms: int | None = None) -> None:
        self.name = topic
        self.unreadable = 0
        self._properties = properties
        self._since = None if since_ms is None else max(since_ms - AHEAD_MS, 0)

    def read(self) -> Iterator[DeadLetter]:
        """Raises IntakeError."""
        # Not cut off at a later time: letters of many partitions and backfills are in no order of time.
        for batch in read_range(self._properties, self.name, since_ms=self._since):
            for at, offset in enumerate(batch.offsets.tolist()):
                headers = tuple(batch.headers[at] or ())
                if noted(headers) is not None:
                    continue
                errors = {name: data for name, data in headers if name.startswith(PREFIX)}
                letter = _letter(
                    {name: (data or b"").decode("utf-8", "replace") for name, data in errors.items()},
                    place=f"{batch.source}/{offset}",
                    partition=batch.source.partition,
                    timestamp=int(batch.timestamps[at]),
                    key=batch.keys[at],
                    value=batch.values[at],
                    headers=headers,
                )
                if letter is None:
                    self.unreadable += 1
                else:
                    yield letter

    def requeued(self) -> set[Origin]:
        """Raises IntakeError. A note lies behind its letter, in the same partition."""
        found = (
            noted(batch.headers[at] or ())
            for batch in read_range(self._properties, self.name, since_ms=self._since)
            for at in range(len(batch))
        )
        return {origin for origin in found if origin is not None}


class FileLetters:
    """The dead letters of a file. Notes lie in a file beside it."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.unreadable = 0
        self._path = path
        self.notes = path.parent / NOTES

    def read(self) -> Iterator[DeadLetter]:
        """Raises IntakeError. A file that is not there yet holds none."""
        for number, line in enumerate(_lines(self._path), 1):
            letter = _of_line(line, f"{self._path}:{number}")
            if letter is not None:
                yield letter
            elif line.strip():
                self.unreadable += 1

    def requeued(self) -> set[Origin]:
        """Raises IntakeError."""
        found = set()
        for line in _lines(self.notes):
            try:
                note = _notes.decode(line)
            except msgspec.MsgspecError:
                continue  # torn by a crash
            found.add(Origin(note.topic, note.partition, note.offset))
        return found

    def note(self, origins: Sequence[Origin]) -> None:
        """Note that these were requeued; durable on return. Raises IntakeError."""
        # Behind an empty line: the one before may be torn.
        data = b"".join(b"\n" + msgspec.json.encode(_Note(*origin)) for origin in origins)
        try:
            with self.notes.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise IntakeError(f"{error.strerror} - {self.notes} - must be writable") from error


def noted(headers: Sequence[tuple[str, bytes | None]]) -> Origin | None:
    """What a record of a dead-letter topic says was requeued; None: it is no note."""
    found = {name: data for name, data in headers if name.startswith(NOTE)}
    if not found or any(name.startswith(PREFIX) for name, _ in headers):
        return None  # a letter, whatever its record says of itself
    try:
        topic, partition, offset = (found[f"{NOTE}{part}"] or b"" for part in Origin._fields)
        return Origin(topic.decode(), int(partition), int(offset))
    except (KeyError, ValueError):
        return None


def note_of(origin: Origin) -> Headers:
    """The headers of a note."""
    return tuple((f"{NOTE}{name}", str(part).encode()) for name, part in origin._asdict().items())


class _Note(msgspec.Struct):
    topic: str
    partition: _Count
    offset: _Count


class _Line(msgspec.Struct):
    timestamp: int
    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]] | None
    errors: dict[str, str]


_notes = msgspec.json.Decoder(_Note)
_letters = msgspec.json.Decoder(_Line)


def _of_line(line: bytes, place: str) -> DeadLetter | None:
    try:
        found = _letters.decode(line)
        return _letter(
            found.errors,
            place=place,
            partition=-1,
            timestamp=found.timestamp,
            key=_bytes(found.key),
            value=_bytes(found.value),
            headers=tuple((name, _bytes(data)) for name, data in found.headers or ()),
        )
    except (msgspec.MsgspecError, binascii.Error):
        return None


def _letter(
    errors: Mapping[str, str],
    *,
    place: str,
    partition: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> DeadLetter | None:
    """None where the errors are not those of a dead letter of ours."""
    said = {name.removeprefix(PREFIX): text for name, text in errors.items()}
    try:
        origin = Origin(said["topic"], int(said["partition"]), int(said["offset"]))
        return DeadLetter(
            place=place,
            partition=partition,
            origin=origin,
            timestamp=int(said.get("timestamp", timestamp)),
            stage=said.get("stage", ""),
            reason=said["reason"],
            detail=said.get("exception.message", ""),
            model=said.get("model", ""),
            key=key,
            value=value,
            # Whoever copies letters into an input topic by hand leaves ours among the record's own.
            headers=tuple(header for header in headers if not header[0].startswith(PREFIX)),
            withheld=int(said.get("value.bytes", -1)),
        )
    except (KeyError, ValueError):
        return None


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise IntakeError(f"{error.strerror} - {path} - a file that can be read") from error
