"""Everything folded from one source partition: a pure function of its log prefix. Steps 3 to 5.

The same code runs in the daemon and in `replay`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout
from kernels.place import FUTURE, LATE, place, watermark
from kernels.select import CPU, Backend
from monitor.columns import Batch, Columns, Reject
from monitor.memory import DENSE_BYTES
from monitor.names import REASONS, Reason, SketchKey, Source
from monitor.plan import ModelPlan, SourcePlan
from monitor.sketch import Sketch
from monitor.state.log import AGREE, Checkpoint, Counted, Marker
from monitor.window.cells import OpenCells
from monitor.window.grid import floor_pane

LEDGER_PANE = 300_000
"""Pane of the source ledger: rejects that name no model."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of one batch. `rows` were counted in panes; late, future and breaches by model.

    Breaches are those of rows that have a pane, added up over the rules of the contract.
    """

    records: int
    rows: int
    late: Mapping[str, int]
    future: Mapping[str, int]
    breaches: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the fold needs it."""

    plan: ModelPlan
    layout: Layout
    categories: tuple[tuple[str, ...], ...] = ()
    """Names of the categories of each categorical column, in slot order from slot 3; empty: unknown."""
    backend: Backend = CPU


class Partition:
    """Fold state of one source partition, from assignment to revocation. One thread at a time."""

    def __init__(
        self, source: Source, plan: SourcePlan, models: Mapping[str, Model], *, position: int
    ) -> None:
        self.source = source
        self.position = position
        """Offset of the next record to be applied."""
        self.start = position
        self.since = -1
        self.records = 0
        self.epoch = -1
        self.topic_id = ""
        """That of the topic whose records were counted, "" while it is not known."""
        self.log_append = False
        self._resumed = False
        self._plan = plan
        self._models = models
        self._largest = np.full(AGREE, -1, np.int64)
        self._cells = {
            name: OpenCells(model.plan, model.layout, source, model.categories, backend=model.backend)
            for name, model in models.items()
        }
        self._segments = {
            name: [
                OpenCells(
                    model.plan, model.layout, source, room=DENSE_BYTES // len(model.plan.segments),
                    backend=model.backend, segment=number,
                )
                for number in range(len(model.plan.segments))
            ]
            for name, model in models.items()
        }  # fmt: skip
        """The same rows once more, for each column that makes segments."""
        self._ledger: dict[int, NDArray[np.int64]] = {}
        self._ledger_dirty: set[int] = set()
        self._tallies: dict[str, int] = {}
        self.counted = {name: Counted(model.plan.config) for name, model in models.items()}

    @property
    def watermark(self) -> int:
        """Event time before which no more records are expected here, ms; -1 while undefined."""
        return int(watermark(self._largest, int(self.log_append), self._plan.bound))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint ended."""
        marker = checkpoint.marker
        self.position = marker.applied
        self.start = marker.start
        self.since = marker.since
        self.records = marker.records
        self.epoch = marker.epoch
        self.topic_id = marker.topic_id
        self._largest[:] = marker.largest
        self._tallies = dict(marker.tallies or {})
        if marker.counted is not None:
            for name, model in self._models.items():
                stored, config = marker.counted.get(name), model.plan.config
                anew = Counted(config, marker.reached, marker.ahead(model.plan.pane))
                self.counted[name] = stored if stored and stored.config == config else anew
        for name, cells in self._every():
            cells.restore(sketch for sketch in checkpoint.sketches if sketch.key.model == name)
        for sketch in checkpoint.sketches:
            if sketch.key.model == "":
                self._ledger[sketch.key.pane] = sketch.rejects.copy()

    def is_of(self, topic_id: str) -> bool:
        """Whether this is the topic that was counted before, as far as that can be told; "" is not known."""
        self.topic_id = self.topic_id or topic_id
        return topic_id in {"", self.topic_id}

    def skip_to(self, offset: int, *, since: int) -> None:
        """Records before `offset` are gone; what is covered begins anew with the next row.

        Until there is one it begins at `since`, when this was noticed: what is gone is older.
        """
        self.position = offset
        self.since = since
        self._resumed = True

    def fold(self, batch: Batch, columns: Sequence[Columns], rejects: Sequence[Reject]) -> Folded:
        """Count one batch. Records below `position` were counted before and are skipped by the caller."""
        self.log_append = batch.log_append
        out, marks = self._place(batch, columns)
        self._note_resumption(columns, out)
        late: dict[str, int] = {}
        future: dict[str, int] = {}
        breaches: dict[str, int] = {}
        rows = 0
        for block in columns:
            panes = out if len(block) == len(batch) else out[block.index]
            before = marks if len(block) == len(batch) else marks[block.index]
            found = self._cells[block.model].add(block, panes, before)
            for segments in self._segments[block.model]:
                segments.add(block, panes)
            breaches[block.model] = breaches.get(block.model, 0) + found
            placed = int(np.count_nonzero(panes >= 0))
            rows += placed
            if placed == len(block):
                continue
            for code, reason, counts in ((LATE, Reason.LATE, late), (FUTURE, Reason.FUTURE, future)):
                at = block.index[panes == code]
                if len(at):
                    self._reject(block.model, reason, batch.timestamps[at], marks[at])
                    counts[block.model] = counts.get(block.model, 0) + len(at)
        for (model, reason), places in _by_kind(rejects).items():
            self._reject(model, reason, batch.timestamps[places], marks[places])
        self.records += len(batch)
        if len(batch):
            self.position = int(batch.offsets[-1]) + 1
        return Folded(len(batch), rows, late, future, breaches)

    def checkpoint(self) -> tuple[list[Sketch], Marker]:
        """The sketches that changed since the last `confirm`, and the marker that closes them."""
        live = {name: self._live(cells.plan) for name, cells in self._cells.items()}
        live[""] = floor_pane(max(self.watermark, 0), LEDGER_PANE)
        sketches = [s for _, cells in self._every() for s in cells.changed(self.position)]
        sketches += self._changed_ledger()
        marker = Marker(
            source=self.source,
            applied=self.position,
            start=self.start,
            watermark=self.watermark,
            largest=tuple(int(x) for x in self._largest),
            live=live,
            since=self.since,
            records=self.records,
            tallies=dict(sorted(self._tallies.items())),
            epoch=self.epoch,
            topic_id=self.topic_id,
            counted=dict(self.counted),
        )
        return sketches, marker

    def confirm(self, marker: Marker) -> None:
        """The checkpoint closed by `marker` is durable: forget what is final. No fold in between."""
        for name, cells in self._every():
            cells.confirm(marker.live[name])
        self._ledger_dirty.clear()
        for pane in [pane for pane in self._ledger if pane < marker.live[""]]:
            del self._ledger[pane]

    def _every(self) -> Iterator[tuple[str, OpenCells]]:
        for name, cells in self._cells.items():
            yield name, cells
            for segments in self._segments[name]:
                yield name, segments

    def _place(self, batch: Batch, columns: Iterable[Columns]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Step 4: pane start of every record, negative where it has none, and the watermark before it."""
        count = len(batch)
        whole = next((block for block in columns if len(block) == count), None)
        if whole is not None:  # one model, and every record became a row: nothing is to be copied
            model = self._models[whole.model].plan
            events = np.ascontiguousarray(whole.events)
            lateness, pane = np.array([model.lateness]), np.array([model.pane])
        else:
            events = np.full(count, -1, np.int64)
            lateness, pane = np.zeros(count, np.int64), np.ones(count, np.int64)
            for block in columns:
                model = self._models[block.model].plan
                events[block.index] = block.events
                lateness[block.index] = model.lateness
                pane[block.index] = model.pane
        out = np.empty(count, np.int64)
        marks = np.empty(count, np.int64)
        plan = self._plan
        place(
            events, batch.timestamps, lateness, pane, self._largest,
            int(batch.log_append), plan.bound, plan.max_future, plan.max_ahead, out, marks,
        )  # fmt: skip
        return out, marks

    def _note_resumption(self, columns: Sequence[Columns], out: NDArray[np.int64]) -> None:
        """The first row that has a pane: one wrong clock must not leave everything uncovered."""
        if not self._resumed:
            return
        placed = [
            (int(block.index[at]), int(block.events[at]))
            for block in columns
            for at in np.flatnonzero(out[block.index] >= 0)[:1]
        ]
        if placed:
            self.since = min(self.since, min(placed)[1])
            self._resumed = False

    def _reject(
        self, model: str, reason: Reason, timestamps: NDArray[np.int64], marks: NDArray[np.int64]
    ) -> None:
        """Count in the pane of the record timestamp, moved into what can still change.

        The bounds come from the watermark before each record, never from wall time, so that every
        replay of the prefix counts it in the same pane. One without a timestamp, before any row, is of no
        pane: that of 1970 would be the first window.
        """
        plan = self._models[model].plan if model in self._models else None
        lateness = plan.lateness if plan is not None else 0
        at = np.maximum(timestamps, 0)
        moved = np.minimum(np.maximum(at, marks - lateness), marks + self._plan.max_ahead)
        at = np.where(marks >= 0, moved, at)
        size = plan.pane if plan is not None else LEDGER_PANE
        number = REASONS.index(reason)
        timed = (timestamps >= 0) | (marks >= 0)
        panes, counts = np.unique(at[timed] // size * size, return_counts=True)
        for pane, count in zip(panes.tolist(), counts.tolist(), strict=True):
            if plan is not None:
                self._cells[model].reject(pane, number, count=count)
            else:
                self._ledger.setdefault(pane, np.zeros(len(REASONS), np.int64))[number] += count
                self._ledger_dirty.add(pane)
        key = f"{model if plan is not None else ''}|{reason}"
        self._tallies[key] = self._tallies.get(key, 0) + len(timestamps)

    def _changed_ledger(self) -> list[Sketch]:
        none = np.zeros(0, np.int64)
        return [
            Sketch(
                key=SketchKey("", "", "", "", "", pane, self.source),
                applied=self.position,
                rows=0,
                errors=0,
                counts=none,
                sums=none.reshape(0, 3),
                extremes=np.zeros((0, 2)),
                latency=none,
                violations=none,
                rejects=self._ledger[pane].copy(),
                first=-1,
                last=-1,
            )
            for pane in sorted(self._ledger_dirty)
        ]

    def _live(self, plan: ModelPlan) -> int:
        mark = self.watermark
        return floor_pane(max(mark - plan.lateness, 0), plan.pane) if mark >= 0 else 0


def renewed(partitions: Iterable[Partition], ids: Mapping[str, str]) -> list[Source]:
    """Those whose records come from another topic of the same name than those that were counted before: it has
    other records at the same offsets. `ids` by topic, of those that are told."""
    return [one.source for one in partitions if not one.is_of(ids.get(one.source.topic, ""))]


def _by_kind(rejects: Iterable[Reject]) -> dict[tuple[str, Reason], list[int]]:
    """Positions in the batch by model and reason."""
    found: dict[tuple[str, Reason], list[int]] = {}
    for reject in rejects:
        found.setdefault((reject.model, reject.reason), []).append(reject.index)
    return found
