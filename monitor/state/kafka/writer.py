"""Checkpoints of one source into the state topic.

Every sketch has two slots, and a changed one is written to the slot that the last acknowledged marker
does not refer to. So what that marker needs stays until the next one is there, and a sketch is never
ahead of the marker it is recovered with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from monitor.failpoint import fail_point
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.divergence import Divergences
from monitor.state.kafka.chunks import CHUNK_BYTES, Sealed, chunks_of, origin_of, sealed, split
from monitor.state.kafka.keys import (
    MarkerKey,
    PublishedKey,
    SlotKey,
    WriterId,
    encode,
    partition_of_model,
    partition_of_source,
)
from monitor.state.kafka.logs import Logs, Place, Write
from monitor.state.kafka.manifest import Closed, close, manifest_of, mark_of
from monitor.state.log import Marker

REFRESH = 360
"""Checkpoints after which an unchanged sketch is written again: an hour at one every ten seconds. One
that wrongly believed itself the owner may have taken a slot away; until it is back our markers are void."""
FLIGHT_BYTES = 8 << 20
"""Given to the producer at once: a burst over many segments and panes changes gigabytes of counts."""
FOREIGN_KEPT = 100_000
"""Keys of others remembered, 20 MB: a broker that refuses every checkpoint for days adds all of ours each
time. Those that are forgotten here are found by the next who recovers."""


_GONE = -2
"""A slot: nothing of the sketch is in any topic."""


class _Held(NamedTuple):
    """A live sketch as a marker refers to it."""

    sealed: Sealed
    mark: int
    slot: int = -1
    """-1: the writer that we are now has not written it."""
    round: int = 0


class _Plan(NamedTuple):
    """What a checkpoint writes, and what is held once it is acknowledged."""

    held: dict[SketchKey, _Held]
    written: list[_Held]
    published: list[_Held]
    stale: list[SketchKey]
    """No marker refers to their slots any more."""


class Writer:
    """Writes the checkpoints of one source, from its recovery until it is taken away. One thread at a time.

    Holds the stored form of every live sketch: after a write of unknown outcome it becomes a new writer,
    under another id, and writes all of them again. So whatever may yet come of that write is harmless.
    """

    def __init__(
        self,
        logs: Logs,
        source: Source,
        *,
        state: str,
        sketches: str,
        new_id: Callable[[], WriterId],
        divergences: Divergences,
        recovered: Iterable[Sealed] = (),
        foreign: Iterable[bytes] = (),
        chunk_bytes: int = CHUNK_BYTES,
        refresh: int = REFRESH,
    ) -> None:
        """`state` and `sketches` name the topics. `recovered`: the sketches of the checkpoint to go on from.
        `foreign`: the keys that were met there; they are removed after the first checkpoint of our own.
        """
        self._logs = logs
        self._source = source
        self._state = state
        self._sketches = sketches
        self._new_id = new_id
        self._divergences = divergences
        self._chunk_bytes = chunk_bytes
        self._refresh = refresh
        self._held = {stored.key: _Held(stored, mark_of(*stored[:3])) for stored in recovered}
        self._foreign = list(foreign)
        self._chunks: dict[SketchKey, list[int]] = {}
        """Keys of ours that may hold a value: how many chunks of slot 0 and of slot 1."""
        self._round = 0
        self.is_void = False
        """Whether nothing is there of what was written."""
        self.id = new_id()

    def checkpoint(self, sketches: Sequence[Sketch], marker: Marker) -> None:
        """Store changed sketches and the marker; all or nothing to those who recover.

        `sketches` are all that changed since the last call that returned. After StateUnsettled, or any
        other StateError, the call may be repeated, also with newer sketches and a newer marker.
        Raises ValueError when a sketch or the marker belongs to another source.
        """
        _refuse_strays(self._source, sketches, marker)
        fail_point("checkpoint.before")
        plan = self._plan({sketch.key: sealed(sketch) for sketch in sketches}, marker)
        place = Place(self._state, partition_of_source(self._source, self._logs.partitions(self._state)))
        partitions = self._logs.partitions(self._sketches)
        try:
            self._note_chunks(plan)
            for flight in _flights(self._records(plan, place, partitions, origin_of(marker))):
                self._logs.write(flight)
                for _ in flight:
                    fail_point("checkpoint.inside")
            fail_point("checkpoint.inside")
            self._logs.write([self._closing(plan, place, marker)])
        except BaseException:
            self._renew()
            raise
        self._settle(plan, place)
        fail_point("checkpoint.after")

    def forget(self) -> None:
        """The topics were made anew: write everything with the next checkpoint, and publish it, as if nothing had been."""
        self._renew()
        self.is_void = True
        self._held = {key: held._replace(slot=_GONE) for key, held in self._held.items()}

    def _plan(self, changed: Mapping[SketchKey, Sealed], marker: Marker) -> _Plan:
        number = self._round + 1
        plan = _Plan({}, [], [], [])
        for key in {**self._held, **changed}:
            before = self._held.get(key)
            held = self._next(before, changed.get(key), number)
            is_written = held is not before
            is_there = before is not None and before.slot == -1 and held.sealed is before.sealed
            if is_written and not is_there:
                plan.published.append(held)
            if marker.keeps(key):
                plan.held[key] = held
                if is_written:
                    plan.written.append(held)
        plan.stale.extend(key for key in self._chunks if key not in self._held and key not in plan.held)
        return plan

    def _next(self, before: _Held | None, stored: Sealed | None, number: int) -> _Held:
        """How a sketch is held after round `number`: `before` itself where nothing has to be written."""
        # The key, `applied` and the digest tell; what an older driftline wrote may be compressed.
        if stored is not None and (before is None or stored[:3] != before.sealed[:3]):
            return _Held(stored, mark_of(*stored[:3]), _other_slot(before), number)
        assert before is not None
        if before.slot < 0 or before.round <= number - self._refresh:
            return before._replace(slot=_other_slot(before), round=number)
        return before

    def _note_chunks(self, plan: _Plan) -> None:
        for held in plan.written:
            chunks = self._chunks.setdefault(held.sealed.key, [0, 0])
            chunks[held.slot] = max(chunks[held.slot], chunks_of(held.sealed, size=self._chunk_bytes))

    def _records(self, plan: _Plan, place: Place, partitions: int, origin: int) -> Iterator[Write]:
        """All but the marker."""
        # These wait for an acknowledgement, one checkpoint late: a slot that came back from a tombstone
        # that was lost would belong to a marker that keeps its sketch again.
        for sketch in plan.stale:
            yield from (Write(place, key, None) for key in self._slot_keys(sketch))
        for held in plan.written:
            key_of = partial(self._slot_key, held.sealed.key, held.slot)
            for key, value in split(held.sealed, held.round, key_of, origin=origin, size=self._chunk_bytes):
                yield Write(place, key, value)
        for held in plan.published:
            model = held.sealed.key.model
            outer = Place(self._sketches, partition_of_model(model, partitions))
            is_split = chunks_of(held.sealed, size=self._chunk_bytes) > 1
            key_of = partial(self._published_key, held.sealed.key, 1 + held.slot if is_split else 0)
            for key, value in split(held.sealed, held.round, key_of, origin=origin, size=self._chunk_bytes):
                yield Write(outer, key, value)

    def _closing(self, plan: _Plan, place: Place, marker: Marker) -> Write:
        key = encode(MarkerKey(self._source, self.id))
        manifest = manifest_of(held.mark for held in plan.held.values())
        return Write(place, key, close(key, Closed(marker, self._round + 1, manifest)))

    def _settle(self, plan: _Plan, place: Place) -> None:
        """The marker is there."""
        for key, held in plan.held.items():
            before = self._held.get(key)
            if (
                before is not None
                and before.mark != held.mark
                and before.sealed.applied == held.sealed.applied
            ):
                self._divergences.note(key, held.sealed.applied)
        self._held, self.is_void = plan.held, False
        self._round += 1
        for sketch in plan.stale:
            del self._chunks[sketch]
        if self._foreign:
            self._logs.send([Write(place, key, None) for key in self._foreign])
            self._foreign = []

    def _renew(self) -> None:
        """Become another writer; what the one before has written is as foreign as anybody's."""
        slots = [key for sketch in self._chunks for key in self._slot_keys(sketch)]
        self._foreign = [encode(MarkerKey(self._source, self.id)), *self._foreign, *slots][:FOREIGN_KEPT]
        self._held = {
            key: held._replace(slot=min(held.slot, -1), round=0) for key, held in self._held.items()
        }
        self._chunks = {}
        self._round = 0
        self.id = self._new_id()

    def _slot_keys(self, sketch: SketchKey) -> Iterator[bytes]:
        for slot, chunks in enumerate(self._chunks[sketch]):
            yield from (self._slot_key(sketch, slot, chunk) for chunk in range(chunks))

    def _slot_key(self, sketch: SketchKey, slot: int, chunk: int) -> bytes:
        return encode(SlotKey(sketch, self.id, slot, chunk))

    def _published_key(self, sketch: SketchKey, slot: int, chunk: int) -> bytes:
        return encode(PublishedKey(sketch, self.id, slot, chunk))


def _other_slot(before: _Held | None) -> int:
    """The slot that no marker of ours refers to."""
    return 0 if before is None or before.slot < 0 else 1 - before.slot


def _flights(records: Iterable[Write]) -> Iterator[list[Write]]:
    """Parts of at least FLIGHT_BYTES, but for the last."""
    flight: list[Write] = []
    size = 0
    for record in records:
        flight.append(record)
        size += len(record.key) + len(record.value or b"")
        if size >= FLIGHT_BYTES:
            yield flight
            flight, size = [], 0
    if flight:
        yield flight


def _refuse_strays(source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
    stray = [sketch.key.source for sketch in sketches if sketch.key.source != source]
    if stray or marker.source != source:
        raise ValueError(f"checkpoint of {source} - holds {stray or marker.source} - only that source")
