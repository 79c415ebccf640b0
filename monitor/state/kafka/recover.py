"""What the state topic holds of a source, and the checkpoint to go on from.

Each writer is judged by itself: its marker says which sketches belong to it, and how many. One whose
sketches are not all there (it died between two records, or another took them away) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from monitor.errors import StateDamaged
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.kafka.chunks import Joints, Sealed, read_part, unsealed
from monitor.state.kafka.keys import (
    MARKERS,
    MarkerKey,
    SlotKey,
    WriterId,
    decode_state,
    partition_of_source,
    prefixes_of,
)
from monitor.state.kafka.logs import Logs, Place
from monitor.state.kafka.manifest import Closed, manifest_of, mark_of, read_closed
from monitor.state.kafka.shared import Shared, read
from monitor.state.log import Checkpoint, Marker

UNCLOSED = "it has no marker"


@dataclass(frozen=True, slots=True)
class Written:
    """What there is of one writer (`state inspect`)."""

    writer: WriterId
    marker: Marker | None
    """None: it never closed a checkpoint, or the marker does not verify."""
    why: str
    """Why its checkpoint cannot be used, "" when it can."""
    sketches: int
    """Those of its checkpoint that are there; without a marker all that are there."""
    bytes: int
    """Of these, as they are stored."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What is held of a source."""

    source: Source
    checkpoint: Checkpoint | None
    """The one to go on from."""
    is_damaged: bool
    """There is none, but a marker, or what may have been one: the source was checkpointed."""
    sealed: tuple[Sealed, ...]
    """The sketches of the checkpoint as they are stored, in its order."""
    writers: tuple[Written, ...]
    """Those that can be used first, the farthest of them in front."""
    keys: tuple[bytes, ...]
    """Every key of the source that holds a value, markers first: what its next writer takes away."""
    divergences: tuple[tuple[SketchKey, int], ...]
    """Sketches, and the `applied` for which they have several contents."""
    unreadable: int
    """What does not verify. A record counts as if it were not there; of a checkpoint the first sketch is named."""

    @property
    def passed_over(self) -> tuple[Written, ...]:
        """Writers whose checkpoint cannot be used, and that were farther than the one to go on from, or may have
        been: of a marker that does not verify nobody knows."""
        if self.checkpoint is None:
            return ()
        applied = self.checkpoint.marker.applied
        void = (written for written in self.writers if written.why not in {"", UNCLOSED})
        return tuple(one for one in void if one.marker is None or one.marker.applied > applied)


@dataclass(slots=True)
class _Writer:
    """What was found of a writer."""

    id: WriterId
    slots: dict[SketchKey, list[tuple[int, Sealed]]] = field(default_factory=dict)
    """Whole sketches, and the round in which each was written."""
    closed: Closed | None = None
    why: str = UNCLOSED
    chosen: list[Sealed] = field(default_factory=list)

    def judge(self) -> None:
        """Choose the sketches that the marker refers to, and say whether they are all there."""
        if self.closed is None:
            self.chosen = [sealed for slots in self.slots.values() for _, sealed in slots]
            return
        marker, last, manifest = self.closed
        for key in sorted(self.slots):
            closed = [slot for slot in self.slots[key] if slot[0] <= last]
            if closed and marker.keeps(key):
                self.chosen.append(max(closed, key=lambda slot: slot[0])[1])
        found = manifest_of(mark_of(sealed.key, sealed.applied, sealed.digest) for sealed in self.chosen)
        self.why = ""
        if found.sketches != manifest.sketches:
            self.why = f"{found.sketches} of {manifest.sketches} sketches are there"
        elif found != manifest:
            self.why = "its sketches are not those that its marker closed"

    def unsealed(self) -> tuple[Sketch, ...] | None:
        """The sketches; None where one does not verify. Raises StateTooNew."""
        try:
            return tuple(map(unsealed, self.chosen))
        except StateDamaged as error:
            self.why = str(error)
            return None

    def rank(self) -> tuple[bool, int, WriterId]:
        """Sorts those that can be used before the others, and by how far they are."""
        return bool(self.why), -1 if self.closed is None else -self.closed.marker.applied, self.id

    def written(self) -> Written:
        marker = None if self.closed is None else self.closed.marker
        size = sum(len(sealed.body) for sealed in self.chosen)
        return Written(self.id, marker, self.why, len(self.chosen), size)


@dataclass(slots=True)
class _Survey:
    """All that is held of a source, unpacked as little as that takes."""

    source: Source
    writers: dict[WriterId, _Writer] = field(default_factory=dict)
    marked: list[bytes] = field(default_factory=list)
    """Keys of markers."""
    others: list[bytes] = field(default_factory=list)
    unreadable: int = 0
    digests: dict[tuple[SketchKey, int, int], bytes] = field(default_factory=dict)
    """By sketch, `applied` and origin."""
    diverged: dict[tuple[SketchKey, int], None] = field(default_factory=dict)
    joints: Joints = field(default_factory=Joints)

    def take(self, key: bytes, value: bytes) -> None:
        """One record. Raises StateTooNew."""
        is_marker = key.startswith(MARKERS)
        (self.marked if is_marker else self.others).append(key)
        try:
            name = decode_state(key)
            writer = self.writers.setdefault(name.writer, _Writer(name.writer))
            if isinstance(name, MarkerKey):
                writer.why = "its marker does not verify"
                writer.closed = read_closed(key, value, self.source)
            else:
                self._take_part(writer, name, key, value)
        except StateDamaged:
            self.unreadable += 1

    def _take_part(self, writer: _Writer, name: SlotKey, key: bytes, value: bytes) -> None:
        part = read_part(key, value)
        head, sketch = part.head, name.sketch
        if self.digests.setdefault((sketch, head.applied, head.origin), head.digest) != head.digest:
            self.diverged[sketch, head.applied] = None
        body = self.joints.take((sketch, name.writer, name.slot), name.chunk, part)
        if body is not None:
            sealed = Sealed(sketch, head.applied, head.digest, body)
            writer.slots.setdefault(sketch, []).append((head.round, sealed))


def choose(source: Source, held: Mapping[bytes, bytes]) -> Recovered:
    """The checkpoint to go on from, of the newest values by key of one source.

    Unpacks the sketches of that one alone. Raises StateTooNew.
    """
    survey = _Survey(source)
    for key, value in held.items():
        survey.take(key, value)
    writers = list(survey.writers.values())
    for writer in writers:
        writer.judge()
    checkpoint, sealed, unreadable = _farthest(writers)
    return Recovered(
        source=source,
        checkpoint=checkpoint,
        is_damaged=checkpoint is None and (bool(survey.marked) or survey.unreadable > 0),
        sealed=sealed,
        writers=tuple(writer.written() for writer in sorted(writers, key=_Writer.rank)),
        keys=(*survey.marked, *survey.others),
        divergences=tuple(survey.diverged),
        unreadable=survey.unreadable + unreadable,
    )


def _farthest(writers: list[_Writer]) -> tuple[Checkpoint | None, tuple[Sealed, ...], int]:
    """The checkpoint that is farthest of those that are whole, its sketches as they are stored, and how many
    sketches did not verify on the way."""
    unreadable = 0
    for writer in sorted((writer for writer in writers if not writer.why), key=_Writer.rank):
        sketches = writer.unsealed()
        if sketches is not None and writer.closed is not None:
            return Checkpoint(writer.closed.marker, sketches), tuple(writer.chosen), unreadable
        unreadable += 1
    return None, (), unreadable


def recover(
    logs: Logs, topic: str, source: Source, *, accept_loss: bool = False, shared: Shared | None = None
) -> Recovered:
    """Read what the state topic holds of a source, and choose. With `shared` it was read, but for what came since.

    Raises StateDamaged when it was checkpointed and no checkpoint is whole, unless the operator accepts
    the loss: then there is none, and the next writer takes away what is left. StateTooNew, StateError.
    """
    if shared is None:
        place = Place(topic, partition_of_source(source, logs.partitions(topic)))
        found = choose(source, read(logs, place, prefixes_of(source)))
    else:
        place = shared.place
        found = choose(source, shared.of(source))
    if found.is_damaged and not accept_loss:
        reasons = "; ".join(f"writer {written.writer:016x}: {written.why}" for written in found.writers)
        raise StateDamaged(
            f"no checkpoint is whole ({reasons}) - {source} in {place} - "
            "restore the topic from a copy, or accept the loss with --accept-data-loss"
        )
    return found


def describe(logs: Logs, topic: str) -> dict[Source, Recovered]:
    """What a state topic holds, by source. Raises StateTooNew, StateError."""
    return dict(sorted((found.source, found) for found in survey(logs, topic)))


def survey(logs: Logs, topic: str) -> Iterator[Recovered]:
    """The same, in the order of the topic's partitions, of which it holds one at a time."""
    partitions = logs.partitions(topic)
    for partition in range(partitions):
        sources: dict[Source, dict[bytes, bytes]] = {}
        for key, value in read(logs, Place(topic, partition)).items():
            source = _source_of(key)
            if source is not None and partition_of_source(source, partitions) == partition:
                sources.setdefault(source, {})[key] = value
        yield from (choose(source, held) for source, held in sorted(sources.items()))


def markers(logs: Logs, topic: str) -> dict[Source, Marker]:
    """The farthest marker of every source, whether its sketches are there or not. Raises as `describe`."""
    found: dict[Source, Marker] = {}
    for partition in range(logs.partitions(topic)):
        for key, value in read(logs, Place(topic, partition), (MARKERS,)).items():
            source = _source_of(key)
            if source is None:
                continue
            try:
                marker = read_closed(key, value, source).marker
            except StateDamaged:
                continue
            if source not in found or found[source].applied < marker.applied:
                found[source] = marker
    return dict(sorted(found.items()))


def _source_of(key: bytes) -> Source | None:
    """None: the key is damaged, so that it cannot be said."""
    try:
        name = decode_state(key)
    except StateDamaged:
        return None
    return name.source if isinstance(name, MarkerKey) else name.sketch.source
