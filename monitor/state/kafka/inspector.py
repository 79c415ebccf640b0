"""Looking into the topics of a shared state log without taking part in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from monitor.errors import StateDamaged
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.codec import decode_progress, encode_key
from monitor.state.inventory import (
    Damaged,
    Inventory,
    MarkerRecord,
    ModelHolding,
    SourceHolding,
    Wanted,
    WriterHolding,
)
from monitor.state.kafka.chunks import Joints, Sealed, read_part, unsealed
from monitor.state.kafka.description import Office, read_office, read_offices
from monitor.state.kafka.keys import (
    NOTICES,
    WriterId,
    decode_published,
    partition_of_model,
    partition_of_source,
    prefixes_of,
)
from monitor.state.kafka.log import Topics
from monitor.state.kafka.logs import Logs, Place, Record
from monitor.state.kafka.recover import Recovered, choose, survey
from monitor.state.kafka.shared import PASSES, read
from monitor.state.log import Ledger, Progress


class KafkaInspector:
    """An `Inspector` of topics. What is written meanwhile may be seen or not."""

    def __init__(self, logs: Logs, topics: Topics, *, place: str, close: Callable[[], None]) -> None:
        """`place` is what the topics are known by together; `close` closes `logs`."""
        self._logs = logs
        self._topics = topics
        self._place = place
        self._close = close

    def inventory(self, only: Source | None = None) -> Inventory:
        reports = reports_of(self._logs, self._topics)
        found = survey(self._logs, self._topics.state) if only is None else [self.recovered(only)]
        sources = [_source(one, reports.get(one.source)) for one in found if one.keys]
        models: dict[str, ModelHolding] = {}
        if only is None:
            for office in read_offices(self._logs, self._topics):
                models |= {model: _model(office, model) for model in office.models()}
        return Inventory(
            log="kafka",
            place=self._place,
            sources=tuple(sorted(sources, key=lambda one: one.source)),
            models=tuple(models[name] for name in sorted(models)),
        )

    def recovered(self, source: Source) -> Recovered:
        """What the state topic holds of one source."""
        place = Place(
            self._topics.state, partition_of_source(source, self._logs.partitions(self._topics.state))
        )
        return choose(source, read(self._logs, place, prefixes_of(source)))

    def markers(self, only: Callable[[Source], bool]) -> Iterator[MarkerRecord]:
        found: list[tuple[Source, int, MarkerRecord]] = []
        for one in survey(self._logs, self._topics.state):
            for place, written in enumerate(one.writers if only(one.source) else ()):
                if written.marker is not None:
                    record = MarkerRecord(written.marker, _name(written.writer), written.why)
                    found.append((one.source, place, record))
        return (record for _, _, record in sorted(found, key=lambda entry: entry[:2]))

    def sketches(self, model: str | None, wanted: Wanted) -> Iterator[Sketch | Damaged]:
        """By partition of the sketches topic, then by model, pane and source.

        Holds those that are wanted of one partition, packed.
        """
        count = self._logs.partitions(self._topics.sketches)
        for partition in range(count) if model is None else [partition_of_model(model, count)]:
            found = _Published(model, wanted)
            found.read(self._logs, Place(self._topics.sketches, partition))
            yield from found.newest()

    def ledgers(
        self, model: str | None, *, kinds: Collection[str] | None = None
    ) -> Iterator[tuple[ModelHolding, Ledger]]:
        """By partition of the ledger, then by model."""
        if model is None:
            offices: Iterator[Office] = read_offices(self._logs, self._topics)
        else:
            count = self._logs.partitions(self._topics.ledger)
            offices = iter(
                [read_office(self._logs, Place(self._topics.ledger, partition_of_model(model, count)))]
            )
        for office in offices:
            for name in office.models():
                if model in {None, name}:
                    yield _model(office, name), office.ledger(name, kinds)

    def close(self) -> None:
        self._close()


def reports_of(logs: Logs, topics: Topics) -> dict[Source, Progress]:
    """The newest report of each source partition by the clock of who made it. Raises StateError."""
    found: dict[Source, Progress] = {}
    for report in _reports(logs, topics):
        held = found.get(report.source)
        if held is None or held.observed <= report.observed:
            found[report.source] = report
    return found


def last_written(logs: Logs, topics: Topics, source: Source) -> Progress | None:
    """The newest report of a process that reads the partition on; one that was refused it does not."""
    reports = [
        report
        for report in _reports(logs, topics)
        if report.source == source and not (report.paused and report.applied == 0 and report.end < 0)
    ]
    return max(reports, key=lambda report: report.observed, default=None)


def _reports(logs: Logs, topics: Topics) -> Iterator[Progress]:
    for record in logs.read(Place(topics.progress, 0), 0):
        if record.value is not None and not record.key.startswith(NOTICES):
            try:
                yield decode_progress(record.value)
            except StateDamaged:
                continue


@dataclass(slots=True)
class _Published:
    """Sketches in a partition of the sketches topic, by who wrote them and to which slot."""

    model: str | None
    wanted: Wanted
    held: dict[SketchKey, dict[tuple[WriterId, int], Sealed]] = field(default_factory=dict)
    damaged: dict[SketchKey, str] = field(default_factory=dict)
    joints: Joints = field(default_factory=Joints)

    def read(self, logs: Logs, place: Place) -> None:
        """Read to the end, and then what came meanwhile: compaction may have taken something for it."""
        start = 0
        for _ in range(PASSES):
            before = start
            for record in logs.read(place, before):
                start = record.offset + 1
                self.take(record)
            if start == before:
                return

    def take(self, record: Record) -> None:
        try:
            key, writer, slot, chunk = decode_published(record.key)
        except StateDamaged:
            return  # nobody's
        if self.model not in {None, key.model} or not self.wanted(key.source, key.pane):
            return
        if record.value is None:
            self.held.get(key, {}).pop((writer, slot), None)
            return
        try:
            part = read_part(record.key, record.value)
        except StateDamaged as error:
            self.damaged[key] = str(error)
            self.held.get(key, {}).pop((writer, slot), None)  # as if compaction had taken it already
            return
        body = self.joints.take((key, writer, slot), chunk, part)
        if body is not None:
            sealed = Sealed(key, part.head.applied, part.head.digest, body)
            self.held.setdefault(key, {})[writer, slot] = sealed

    def newest(self) -> Iterator[Sketch | Damaged]:
        """The farthest of each key."""
        for key in sorted(self.held.keys() | self.damaged.keys(), key=_order):
            slots = self.held.get(key, {})
            why = self.damaged.get(key, "")
            for sealed in sorted(slots.values(), key=lambda sealed: -sealed.applied):
                try:
                    yield unsealed(sealed)
                    break
                except StateDamaged as error:
                    why = str(error)
            else:
                if why:
                    yield Damaged(key.model, key.source, key.pane, why)


def _order(key: SketchKey) -> tuple[str, int, Source, bytes]:
    return key.model, key.pane, key.source, encode_key(key)


def _source(found: Recovered, report: Progress | None) -> SourceHolding:
    checkpoint = found.checkpoint
    return SourceHolding(
        source=found.source,
        marker=None if checkpoint is None else checkpoint.marker,
        why="" if checkpoint is not None else _why(found),
        sketches=len(found.sealed),
        panes=len({(sealed.key.model, sealed.key.pane) for sealed in found.sealed}),
        bytes=sum(len(sealed.body) for sealed in found.sealed),
        writers=tuple(
            WriterHolding(_name(one.writer), one.marker, one.why, one.sketches, one.bytes)
            for one in found.writers
        ),
        divergences=len(found.divergences),
        unreadable=found.unreadable,
        progress=report,
    )


def _why(found: Recovered) -> str:
    return "no checkpoint is whole" if found.is_damaged else "no checkpoint was closed"


def _model(office: Office, model: str) -> ModelHolding:
    view, owner = office.view, office.owner
    kinds: Mapping[str, Mapping[str, bytes]] = view.packed(model, None)
    return ModelHolding(
        model=model,
        term=view.term,
        entries={kind: len(bodies) for kind, bodies in kinds.items()},
        owner="" if owner is None else owner.member,
        since=-1 if owner is None else owner.at,
        lost=sum(key.model == model for key in view.damaged),
    )


def _name(writer: WriterId) -> str:
    return f"{writer:016x}"
