"""Level A: source partitions are folded and checkpointed by processes that die, sleep and disagree.

Whatever happens, what is recovered is what the fold of a prefix gives, every sketch that was ever written
is one of those, and in the end every record of the inputs is counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from monitor.errors import StateDamaged, StateError
from monitor.names import SketchKey, Source
from monitor.partition import Partition
from monitor.sketch import Sketch
from monitor.state.divergence import Divergences
from monitor.state.kafka.chunks import CHUNK_BYTES, Joints, read_part
from monitor.state.kafka.keys import MARKERS, WriterId, decode_published, decode_state
from monitor.state.kafka.logs import Logs, Place
from monitor.state.kafka.recover import recover
from monitor.state.kafka.writer import Writer
from monitor.state.log import Checkpoint, Marker
from tests.simulation.group import Group, Membership
from tests.simulation.inputs import FIRST, Input, differences, input_of
from tests.simulation.world import Process, World, Wrong

INPUTS = 12
"""Different sets of inputs: folding one without disturbance costs as much as a schedule."""


@dataclass
class Mistakes:
    """The code under test, and where a test puts a mistake into it."""

    new_id: Callable[[World], WriterId] = lambda world: world.new_id()
    logs: Callable[[Logs], Logs] = lambda logs: logs
    position: Callable[[Group, Source, Checkpoint | None], int] = lambda group, source, found: (
        FIRST if found is None else found.marker.applied
    )


class Storing(Protocol):
    """What stores the checkpoints of one source."""

    def checkpoint(self, sketches: Sequence[Sketch], marker: Marker) -> None: ...


class Counting(Protocol):
    """A run in which inputs are folded."""

    world: World
    group: Group
    inputs: dict[Source, Input]
    acknowledged: dict[Source, int]

    def recover(self, process: Process, source: Source) -> tuple[Checkpoint | None, Storing]: ...

    def position(self, source: Source, found: Checkpoint | None) -> int:
        """Where to read on."""
        ...

    def report(self, process: Process, marker: Marker) -> None:
        """Tell others how far a source is durable."""
        ...


@dataclass
class _Held:
    """One source partition, as its process believes."""

    partition: Partition | None = None
    writer: Storing | None = None
    marker: Marker | None = None
    """Of the newest checkpoint."""


class Ingester:
    """The ingest thread of one process."""

    def __init__(self, run: Counting, process: Process) -> None:
        self._run = run
        self._process = process
        self._held: dict[Source, _Held] = {}
        self._members = Membership(
            run.group, process.name, taken=self._taken, revoked=self._revoked, lost=self._lost
        )

    def live(self) -> None:
        run, chance = self._run, self._run.world.random
        while True:
            run.world.schedule.pause()
            if not self._process.is_deaf and chance.random() < 0.5:
                self._members.poll()
            if self._held:
                self._work(chance.choice(sorted(self._held)))

    def _taken(self, source: Source) -> None:
        self._held[source] = _Held()

    def _lost(self, source: Source) -> None:
        del self._held[source]

    def _revoked(self, source: Source) -> None:
        try:
            self._checkpoint(source)
        finally:
            del self._held[source]

    def _work(self, source: Source) -> None:
        held, chance = self._held[source], self._run.world.random
        if held.partition is None:
            self._open(source)
        elif held.partition.position < self._run.inputs[source].end and chance.random() < 0.6:
            self._run.inputs[source].fold(held.partition)
        else:
            self._checkpoint(source)

    def _open(self, source: Source) -> None:
        run, held = self._run, self._held[source]
        try:
            found = run.recover(self._process, source)
        except StateDamaged as error:
            raise Wrong(str(error)) from error
        except StateError:
            return
        checkpoint, held.writer = found
        held.partition = run.inputs[source].opened(checkpoint)
        held.partition.position = run.position(source, checkpoint)
        held.marker = checkpoint.marker if checkpoint is not None else None

    def _checkpoint(self, source: Source) -> None:
        held, run = self._held[source], self._run
        if held.partition is None or held.writer is None:
            return
        if held.marker is not None and held.marker.applied == held.partition.position:
            if run.world.random.random() < 0.1:
                run.report(self._process, held.marker)
            return
        sketches, marker = held.partition.checkpoint()
        with suppress(StateError):
            held.writer.checkpoint(sketches, marker)
            held.partition.confirm(marker)
            held.marker = marker
            self._members.commit(source, marker.applied)
            run.acknowledged[source] = max(run.acknowledged.get(source, 0), marker.applied)
            run.report(self._process, marker)


@dataclass
class IngestRun:
    """One schedule of level A."""

    seed: int
    protocol: Mistakes = field(default_factory=Mistakes)
    sources: int = 2
    acknowledged: dict[Source, int] = field(default_factory=dict)
    """How far anybody was told that it is durable."""

    def __post_init__(self) -> None:
        self.world = World(self.seed, {"state": 1 + 2 * (self.seed % 2), "sketches": 3}, self._boot)
        chance = self.world.random
        self.inputs: dict[Source, Input] = {}
        for number in range(self.sources):
            made = input_of(self.seed % INPUTS, number)
            self.inputs[made.source] = made
        self.group = self.world.group(self.inputs)
        self.divergences = Divergences()
        self.chunk_bytes = chance.choice([CHUNK_BYTES, CHUNK_BYTES, 90])
        self.refresh = chance.choice([2, 360])

    def run(self) -> None:
        """Raises `Wrong`, or whatever else came of it."""
        try:
            for _ in range(2):
                self.world.start()
            self.world.rebalance()
            self.world.disturb(self.world.random.randint(10, 60), self._is_done)
            self.world.settle(self._is_done)
            self._check_published()
            self.world.end()
            self._check_written()
            self._check_recovery()
        finally:
            self.world.schedule.close()

    def recover(self, process: Process, source: Source) -> tuple[Checkpoint | None, Writer]:
        logs = self.protocol.logs(process.logs)
        floor = self.acknowledged.get(source, 0)
        committed = self.group.commits.get(source, 0)
        found = recover(logs, "state", source)
        truth = self.inputs[source]
        contents = {one.key: truth.sealed.get(one.body, (None, -1))[1] for one in found.sealed}
        check_recovered(self, source, found.checkpoint, contents, floor=max(floor, committed))
        if found.divergences:
            raise Wrong(f"diverges - {source} - {found.divergences}")
        writer = Writer(
            logs, source, state="state", sketches="sketches", new_id=lambda: self.protocol.new_id(self.world),
            divergences=self.divergences, recovered=found.sealed, foreign=found.keys,
            chunk_bytes=self.chunk_bytes, refresh=self.refresh,
        )  # fmt: skip
        return found.checkpoint, writer

    def position(self, source: Source, found: Checkpoint | None) -> int:
        return self.protocol.position(self.group, source, found)

    def report(self, process: Process, marker: Marker) -> None:
        """Nobody listens here."""

    def _boot(self, process: Process) -> None:
        process.spawn(Ingester(self, process).live)

    def _is_done(self) -> bool:
        return all(self.acknowledged.get(source) == one.end for source, one in self.inputs.items())

    def _check_published(self) -> None:
        """The newest sketch of each key, whoever wrote it, counts the whole log."""
        newest: dict[Source, dict[SketchKey, Sketch]] = {source: {} for source in self.inputs}
        joints = Joints()
        for partition in range(3):
            for record in self.world.broker.records(Place("sketches", partition)):
                if record.value is None:
                    continue
                key, part = decode_published(record.key), read_part(record.key, record.value)
                body = joints.take((key.sketch, key.writer, key.slot), key.chunk, part)
                if body is None:
                    continue
                source = key.sketch.source
                sketch, held = self.inputs[source].sealed.get(body, (None, -1))[0], newest[source]
                if sketch is None:
                    raise Wrong(f"a sketch that no fold gives - {key.sketch} - through {part.head.applied}")
                if key.sketch not in held or held[key.sketch].applied < sketch.applied:
                    held[key.sketch] = sketch
        for source, truth in self.inputs.items():
            wrong = differences(truth, newest[source])
            if wrong:
                raise Wrong(f"counts are not those of the log - {source} - {'; '.join(wrong[:3])}")

    def _check_written(self) -> None:
        """Every sketch that is left anywhere is one that the fold of a prefix gives."""
        if self.divergences.count:
            raise Wrong("diverges - noted by a writer")
        joints = Joints()
        for place, history in self.world.broker.history.items():
            for record in history:
                if record.value is None or record.key.startswith(MARKERS):
                    continue
                decode = decode_state if place.topic == "state" else decode_published
                key, part = decode(record.key), read_part(record.key, record.value)
                body = joints.take((place, key.sketch, key.writer, key.slot), key.chunk, part)
                if body is not None and body not in self.inputs[key.sketch.source].sealed:
                    raise Wrong(f"a sketch that no fold gives - {key.sketch} - through {part.head.applied}")

    def _check_recovery(self) -> None:
        """Who comes after all that goes on where the log ends."""
        last = Process(self.world, "last")
        for source, truth in self.inputs.items():
            checkpoint, _ = self.recover(last, source)
            if not self.world.has_zombies and checkpoint.marker.applied != truth.end:
                raise Wrong(f"recovered at {checkpoint.marker.applied} - {source} - not {truth.end}")


def check_recovered(
    run: Counting, source: Source, found: Checkpoint | None, contents: dict[SketchKey, int], *, floor: int
) -> None:
    """Raise when what was recovered is not what the fold of a prefix gives, or less than was promised.

    `floor` is how far anybody had been told before that it is durable. Where zombies are at work it may be
    taken back: what they believed is folded again. But there is something always.
    """
    truth = run.inputs[source]
    if found is None:
        if floor:
            raise Wrong(f"nothing is recovered - {source} - acknowledged through {floor}")
        return
    applied = found.marker.applied
    if found.marker != truth.markers.get(applied):
        raise Wrong(f"a marker that no fold gives - {source} - {found.marker}")
    if contents != truth.live[applied]:
        raise Wrong(f"sketches that the fold to {applied} does not give - {source}")
    if not run.world.has_zombies and applied < floor:
        raise Wrong(f"recovered at {applied} - {source} - acknowledged through {floor}")
    run.acknowledged[source] = max(run.acknowledged.get(source, 0), applied)
