"""Input logs of a few source partitions, folded once without any disturbance and counted once by plain Python.

A disturbed run may checkpoint only where a *piece* ends, so everything that can ever be written is known
in advance: `Input.sealed` has the bytes of every sketch that the fold of a prefix can give.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from monitor.columns import Batch, Columns, Novel, Reject
from monitor.names import Reason, SketchKey, Source
from monitor.partition import Model, Partition
from monitor.plan import ModelPlan, SourcePlan, WindowSpec
from monitor.sketch import Sketch
from monitor.state.codec import encode
from monitor.state.log import AGREE, Checkpoint, Marker
from tests import naive
from tests.test_partition import LAYOUT, MINUTE, PLAN, START

TOPIC = "predictions"
MODELS = ("m", "n")
MINUTES = 10
FIRST = 100
"""First offset of every log."""
WINDOW = WindowSpec("2m", 2 * MINUTE, 2 * MINUTE)
INTAKE = SourcePlan(name="s", topic=TOPIC, models=MODELS, bound=10_000, max_ahead=3_600_000)
PLANS: Mapping[str, ModelPlan] = {
    name: replace(PLAN, name=name, config=f"config-{name}", lateness=MINUTE, windows=(WINDOW,))
    for name in MODELS
}
EDGES = LAYOUT.edges.tolist()
NUMERIC_SLOTS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One record: of `model`, or a reject of it ("" names none)."""

    offset: int
    model: str
    event: int
    timestamp: int
    value: float
    code: int
    version: str
    is_reject: bool = False


Piece = tuple[Batch, list[Columns], list[Reject]]
Place = tuple[str, str, int]
"""(model, version, pane)"""


@dataclass(slots=True)
class Recount:
    """What a log holds, by plain Python that shares nothing with the fold."""

    rows: Counter[Place] = field(default_factory=Counter)
    slots: dict[Place, list[int]] = field(default_factory=dict)
    rejects: Counter[str] = field(default_factory=Counter)
    """By model."""


@dataclass(slots=True)
class Input:
    """One source partition: its pieces, and what an undisturbed fold has at the end of each."""

    source: Source
    ends: list[int]
    """Offsets at which pieces end; before the first piece stands FIRST."""
    pieces: dict[int, tuple[Piece, int]] = field(default_factory=dict)
    """Offset at which a piece begins → it, and where it ends."""
    markers: dict[int, Marker] = field(default_factory=dict)
    live: dict[int, dict[SketchKey, int]] = field(default_factory=dict)
    """Position → live sketches → number of their content."""
    newest: dict[SketchKey, Sketch] = field(default_factory=dict)
    sealed: dict[bytes, tuple[Sketch, int]] = field(default_factory=dict)
    """Bytes of every sketch that may be written → it, and the number of its content."""
    recount: Recount = field(default_factory=Recount)

    @property
    def end(self) -> int:
        return self.ends[-1]

    def opened(self, checkpoint: Checkpoint | None) -> Partition:
        partition = Partition(
            self.source, INTAKE, {name: Model(plan, LAYOUT) for name, plan in PLANS.items()}, position=FIRST
        )
        if checkpoint is not None:
            partition.restore(checkpoint)
        return partition

    def fold(self, partition: Partition) -> None:
        """Fold the piece that begins at the partition's position."""
        (batch, columns, rejects), _ = self.pieces[partition.position]
        partition.fold(batch, columns, rejects)


@functools.cache
def input_of(seed: int, partition: int, records: int = 110, pieces: int = 8) -> Input:
    """Mostly in order, with late, future and rejected records, of two models in two versions."""
    chance = random.Random(seed * 1_000 + partition)
    rows = [_row(chance, at, records) for at in range(records)]
    cuts = sorted(chance.sample(range(5, records - 5), pieces - 1))
    source = Source(TOPIC, partition)
    made = Input(source, [FIRST + cut for cut in (*cuts, records)])
    for start, stop in itertools.pairwise([0, *cuts, records]):
        made.pieces[FIRST + start] = _piece(source, rows[start:stop]), FIRST + stop
    _fold(made)
    made.recount = _recount(rows)
    return made


def _row(chance: random.Random, at: int, records: int) -> Row:
    event = START + at * MINUTES * MINUTE // records + chance.randint(-15_000, 15_000)
    odd = chance.random()
    event += -6 * MINUTE if odd < 0.04 else 3 * 3_600_000 if odd > 0.98 else 0
    return Row(
        offset=FIRST + at,
        model=chance.choice(MODELS),
        event=event,
        timestamp=max(START + at * MINUTES * MINUTE // records, event if odd < 0.9 else 0),
        value=chance.choice([float("nan"), float("inf"), *(chance.gauss(1.5, 1.5) for _ in range(18))]),
        code=chance.randint(0, 4),
        version=chance.choice("11112"),
        is_reject=chance.random() < 0.05,
    )


def _piece(source: Source, rows: Sequence[Row]) -> Piece:
    count = len(rows)
    batch = Batch(
        source, [b""] * count, [None] * count, [None] * count,
        np.array([row.offset for row in rows]), np.array([row.timestamp for row in rows]),
    )  # fmt: skip
    columns = [_columns(model, rows) for model in MODELS]
    rejects = [
        Reject(at, Reason.DECODE, "", row.model if row.offset % 3 else "")
        for at, row in enumerate(rows)
        if row.is_reject
    ]
    return batch, [block for block in columns if len(block)], rejects


def _columns(model: str, rows: Sequence[Row]) -> Columns:
    own = [at for at, row in enumerate(rows) if row.model == model and not row.is_reject]
    mine = [rows[at] for at in own]
    novel = [at for at, row in enumerate(mine) if row.code == 1]
    return Columns(
        model=model,
        index=np.array(own, np.int64),
        offsets=np.array([row.offset for row in mine], np.int64),
        timestamps=np.array([row.timestamp for row in mine], np.int64),
        events=np.array([row.event for row in mine], np.int64),
        values=np.array([[row.value for row in mine]]),
        codes=np.array([[row.code for row in mine]], np.int32),
        latency=np.full(len(mine), 7.0),
        errors=np.zeros(len(mine), np.uint8),
        group=np.array([int(row.version) - 1 for row in mine], np.int32),
        groups=(("1", "champion"), ("2", "champion")),
        novel=Novel(
            np.array(novel, np.int32), np.zeros(len(novel), np.int32),
            np.array([mine[at].offset % 5 for at in novel], np.int32), tuple(f"new-{at}" for at in range(5)),
        ),
    )  # fmt: skip


def _fold(made: Input) -> None:
    """The undisturbed fold, looked at wherever a piece ends."""
    partition, contents = made.opened(None), itertools.count()
    numbers: dict[SketchKey, int] = {}
    made.markers[FIRST], made.live[FIRST] = partition.checkpoint()[1], {}
    for end in made.ends:
        made.fold(partition)
        assert partition.position == end
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        for sketch in sketches:
            made.newest[sketch.key] = sketch
            numbers[sketch.key] = next(contents)
        for key, sketch in made.newest.items():
            # A checkpoint may come later than the change that it makes durable.
            here = replace(sketch, applied=end)
            made.sealed[encode(here)] = here, numbers[key]
        made.markers[end] = marker
        made.live[end] = {key: number for key, number in numbers.items() if marker.keeps(key)}


def _recount(rows: Sequence[Row]) -> Recount:
    placed, _ = naive.place(
        [(-1 if row.is_reject else row.event, row.timestamp, MINUTE, MINUTE) for row in rows],
        AGREE, log_append=False, bound=INTAKE.bound, max_future=INTAKE.max_future, max_ahead=INTAKE.max_ahead,
    )  # fmt: skip
    found = Recount()
    for row, pane in zip(rows, placed, strict=True):
        if row.is_reject or pane < 0:
            found.rejects[row.model if not row.is_reject or row.offset % 3 else ""] += 1
            continue
        key = row.model, row.version, pane
        found.rows[key] += 1
        slots = found.slots.setdefault(key, [0] * (NUMERIC_SLOTS + 5))
        slots[_numeric(row.value)] += 1
        slots[NUMERIC_SLOTS + row.code] += 1
    return found


def _numeric(value: float) -> int:
    if value != value:
        return 0
    return 1 if abs(value) == float("inf") else 2 + bisect.bisect_right(EDGES, value)


def differences(source: Input, sketches: Mapping[SketchKey, Sketch]) -> list[str]:
    """Where counts are not those of the log; `sketches` are the newest of each key of this source."""
    wrong, truth = [], source.recount
    rejects: Counter[str] = Counter()
    seen: Counter[Place] = Counter()
    for key, sketch in sketches.items():
        rejects[key.model] += int(sketch.rejects.sum())
        place = key.model, key.version, key.pane
        if not sketch.rows:
            continue
        seen[place] += sketch.rows
        if sketch.counts.tolist() != truth.slots.get(place):
            wrong.append(f"{place}: {sketch.counts.tolist()} - in the log {truth.slots.get(place)}")
    wrong += [
        f"{place}: {seen[place]} rows - in the log {truth.rows[place]}"
        for place in seen.keys() | truth.rows.keys()
        if seen[place] != truth.rows[place]
    ]
    if +rejects != truth.rejects:
        wrong.append(f"{dict(rejects)} rejects - in the log {dict(truth.rejects)}")
    return wrong
