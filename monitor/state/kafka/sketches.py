"""Reading sketches and progress of all processes, for those who judge."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from monitor.clock import Clock
from monitor.errors import StateDamaged
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.codec import decode_progress
from monitor.state.divergence import Divergences
from monitor.state.kafka import keys
from monitor.state.kafka.chunks import Joints, Sealed, read_part, unsealed
from monitor.state.kafka.logs import Logs, Place, Record
from monitor.state.kafka.notices import Notices
from monitor.state.kafka.shared import PASSES
from monitor.state.log import Progress

log = structlog.get_logger(__name__)


class ProgressReader:
    """The newest report of every source partition, whoever wrote it. One thread."""

    def __init__(self, logs: Logs, place: Place, *, clock: Clock, stall: int) -> None:
        """`stall`: milliseconds after which a report is worth less than any later one."""
        self.reports: dict[Source, Progress] = {}
        self._logs = logs
        self._place = place
        self._clock = clock
        self._stall = stall
        self.notices = Notices(place)
        self._next = 0
        self.is_cut = False
        """Set from outside where the topic was made anew: what was read is not in it, and its offsets begin again."""

    def read(self) -> tuple[Progress, ...]:
        """Read on to the end; all reports, by source. Raises StateError."""
        if self.is_cut:
            self.is_cut, self._next = False, 0
        for record in self._logs.read(self._place, self._next):
            self._next = record.offset + 1
            if record.key.startswith(keys.NOTICES):
                self.notices.take(record)
                continue
            if record.value is None:
                continue
            try:
                self._take(decode_progress(record.value))
            except StateDamaged as error:
                log.error("progress_damaged", offset=record.offset, error=str(error))
        return tuple(self.reports[source] for source in sorted(self.reports))

    def _take(self, report: Progress) -> None:
        """A process that was replaced knows less than its successor, also of where the partition ends. Of one
        that may not read the partition nothing is known but that."""
        held = self.reports.get(report.source)
        if (
            held is None
            or (report.applied, report.end) >= (held.applied, held.end)
            or report.observed - held.observed > self._stall
            or (report.paused and report.end < 0 and report.observed > held.observed)
        ):
            self.reports[report.source] = report


class SketchReader:
    """The newest sketch of every key in partitions of the sketches topic. One thread."""

    def __init__(self, logs: Logs, topic: str, divergences: Divergences) -> None:
        self._logs = logs
        self._topic = topic
        self._divergences = divergences
        self._partitions: dict[int, _Partition] = {}
        self.is_cut = False
        """As of `ProgressReader`. What was handed out counts on: a sketch that comes once more is no newer."""

    def restart(self) -> None:
        """Hand out everything again."""
        self._partitions.clear()

    def renew(self, number: int, model: str) -> None:
        """Hand out everything of one model again; of the others of its partition only what changes."""
        held = self._partitions.get(number)
        if held is None:
            return
        held.next, held.joints = 0, Joints()
        for key in [key for key in held.known if key.model == model]:
            del held.known[key]

    def read(self, partitions: Collection[int], models: Collection[str]) -> list[Sketch]:
        """Read on to the ends of `partitions`, of new ones from their start.

        The newest sketch of each key of `models` that changed. Raises StateError, StateTooNew; then all
        of it is handed out by the call that succeeds.
        """
        for number in self._partitions.keys() - set(partitions):
            del self._partitions[number]
        if self.is_cut:
            self.is_cut = False
            for held in self._partitions.values():
                held.next, held.joints = 0, Joints()
        try:
            return [sketch for number in sorted(partitions) for sketch in self._read(number, models)]
        except BaseException:
            self.restart()  # what was read is in nobody's hands
            raise

    def forget(
        self, partition: int, model: str, before: int, live: Mapping[Source, int | None]
    ) -> dict[SketchKey, set[bytes]]:
        """Forget old panes of a model, and the keys of their records, which may be tombstoned.

        Those that start before `before` and before what is `live` of their source; without it, none.
        """
        known = self._partitions[partition].known if partition in self._partitions else {}
        limits = {source: min(before, limit) for source, limit in live.items() if limit is not None}
        old = {
            key: held.keys
            for key, held in known.items()
            if key.model == model and key.pane < limits.get(key.source, key.pane)
        }
        for key in old:
            del known[key]
        return old

    def _read(self, number: int, models: Collection[str]) -> Iterator[Sketch]:
        held = self._partitions.setdefault(number, _Partition())
        place = Place(self._topic, number)
        newest: dict[SketchKey, Sealed] = {}
        for _ in range(PASSES):  # compaction may take a record because of one behind the end we began with
            before = held.next
            for record in self._logs.read(place, before):
                held.next = record.offset + 1
                self._take(held, newest, record)
            if held.next == before:
                break
        for sealed in newest.values():
            if sealed.key.model not in models:
                continue
            try:
                yield unsealed(sealed)
            except StateDamaged as error:  # a newer one comes with the next checkpoint of its pane
                log.error("sketch_damaged", partition=number, model=sealed.key.model, error=str(error))

    def _take(self, held: _Partition, newest: dict[SketchKey, Sealed], record: Record) -> None:
        try:
            key, writer, slot, chunk = keys.decode_published(record.key)
            if record.value is None:
                held.drop(key, record.key)
                if key not in held.known:
                    newest.pop(key, None)
                return
            part = read_part(record.key, record.value)
        except StateDamaged as error:
            log.error("sketch_damaged", offset=record.offset, error=str(error))
            return
        body = held.joints.take((key, writer, slot), chunk, part)
        if body is None:
            return
        _, origin, _, applied, digest = part.head
        known = held.known.get(key)
        if known is not None:
            known.keys.add(record.key)
        if (
            known is not None
            and (known.applied, known.origin) == (applied, origin)
            and known.digest != digest
        ):
            self._divergences.note(key, applied)
        if known is None or known.applied < applied:
            held.known[key] = _Known(applied, origin, digest, {record.key} if known is None else known.keys)
            newest[key] = Sealed(key, applied, digest, body)


class _Known(NamedTuple):
    """What is remembered of a sketch that was handed out."""

    applied: int
    origin: int
    digest: bytes
    keys: set[bytes]
    """Of all its records that were met."""


@dataclass(slots=True)
class _Partition:
    """Where a partition is read on, and what was met."""

    next: int = 0
    joints: Joints = field(default_factory=Joints)
    known: dict[SketchKey, _Known] = field(default_factory=dict)

    def drop(self, key: SketchKey, stored: bytes) -> None:
        """A record was tombstoned."""
        known = self.known.get(key)
        if known is not None:
            known.keys.discard(stored)
            if not known.keys:
                del self.known[key]
