"""The open cells of one model on one source partition: steps 3 and 5, counts that can still change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.fold import fold
from kernels.layout import NOVEL, CellArrays, Layout, allocate, clear, grow
from monitor.columns import Columns
from monitor.contract import contract
from monitor.names import CHAMPION, REASONS, SketchKey, Source
from monitor.novel import keep
from monitor.plan import ModelPlan
from monitor.sketch import NOVEL_KEPT, Sketch

GROUPS_PER_PANE = 64
"""Distinct (version, variant, segment) per pane; the rest share two cells, one for the variant that is
judged and one for all others, so that a producer that puts a request id into its version or variant
costs two cells instead of one per request."""
OVERFLOW = "…"
_FIRST_CELLS = 8

Group = tuple[str, str, str]


class OpenCells:
    """Counts by (group, pane). Lives as long as the partition is assigned; ingest thread only."""

    def __init__(
        self, plan: ModelPlan, layout: Layout, source: Source, categories: Sequence[Sequence[str]] = ()
    ) -> None:
        """`categories`: see `monitor.contract.contract`."""
        self.plan = plan
        self.layout = layout
        self.source = source
        self._rules, self._named = contract(plan, layout, categories)
        self._cells: CellArrays = self._allocate(_FIRST_CELLS)
        self._index: dict[tuple[Group, int], int] = {}
        self._groups: dict[int, int] = {}
        self._free = list(range(_FIRST_CELLS))[::-1]
        self._dirty: set[int] = set()
        self._novel: dict[int, dict[int, dict[str, int]]] = {}

    def __len__(self) -> int:
        return len(self._index)

    def add(self, columns: Columns, panes: NDArray[np.int64]) -> int:
        """Count the rows of `columns`; `panes` int64[rows] is the pane start, negative rows are skipped.

        Returns how often the contract was broken.
        """
        cell = self._cells_of(columns, panes)
        touched = np.unique(cell[cell >= 0]) if self._rules.count else ()
        before = int(self._cells.violations[touched].sum()) if len(touched) else 0
        fold(
            self._cells,
            self.layout,
            self._rules,
            cell=cell,
            values=columns.values,
            codes=columns.codes,
            latency=columns.latency,
            errors=columns.errors,
            offsets=columns.offsets,
        )
        for column, rows in columns.novel.items():
            codes = columns.codes[column]
            self._add_novel(column, {row: name for row, name in rows.items() if codes[row] == NOVEL}, cell)
            self._judge_names(column, rows, cell)
        return int(self._cells.violations[touched].sum()) - before if len(touched) else 0

    def reject(self, pane: int, reason: int, *, count: int = 1) -> None:
        """Count records that named this model and did not become rows of a pane."""
        index = self._cell((self._home, pane))
        self._cells.rejects[index, reason] += count
        self._dirty.add(index)

    def changed(self, applied: int) -> list[Sketch]:
        """Copies of the cells that changed since the last `confirm`, applied through `applied`."""
        named = {index: key for key, index in self._index.items()}
        return [self._sketch(index, named[index], applied) for index in sorted(self._dirty)]

    def confirm(self, live: int) -> None:
        """What `changed` handed out is durable; panes before `live` are final and are forgotten."""
        self._dirty.clear()
        for key in [key for key in self._index if key[1] < live]:
            index = self._index.pop(key)
            clear(self._cells, index)
            self._novel.pop(index, None)
            self._free.append(index)
            self._groups.pop(key[1], None)

    def restore(self, sketches: Iterable[Sketch]) -> None:
        """Continue from recovered sketches; those of another configuration are left as they are."""
        for sketch in sketches:
            key = sketch.key
            if key.config != self.plan.config:
                continue
            index = self._open(((key.version, key.variant, key.segment), key.pane))
            cells = self._cells
            for name in ("counts", "sums", "extremes", "latency", "violations", "rejects"):
                getattr(cells, name)[index] = getattr(sketch, name)
            for name in ("rows", "errors", "first", "last"):
                getattr(cells, name)[index] = getattr(sketch, name)
            self._novel[index] = {column: dict(counts) for column, counts in sketch.novel.items()}

    def _cells_of(self, columns: Columns, panes: NDArray[np.int64]) -> NDArray[np.int32]:
        cell = np.full(len(panes), -1, np.int32)
        placed = np.flatnonzero(panes >= 0)
        if not len(placed):
            return cell
        pairs = np.stack([columns.group[placed].astype(np.int64), panes[placed]])
        distinct, first, inverse = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        index = np.empty(distinct.shape[1], np.int32)
        for place in np.argsort(first):
            group, pane = distinct[:, place]
            index[place] = self._cell((columns.groups[group], int(pane)))
        cell[placed] = index[inverse.reshape(-1)]
        self._dirty.update(int(i) for i in index)
        return cell

    @property
    def _home(self) -> Group:
        """Where records are counted that became no rows; outside the cap, as rejects of a batch come
        after its rows and cells must not depend on where batches end."""
        return "", self.plan.champion, ""

    def _cell(self, key: tuple[Group, int]) -> int:
        group, pane = key
        if key not in self._index and self._is_capped(group) and self._groups.get(pane, 0) >= GROUPS_PER_PANE:
            is_judged = group[1] in (self.plan.champion, CHAMPION)
            return self._open(((OVERFLOW, group[1] if is_judged else OVERFLOW, ""), pane))
        return self._open(key)

    def _is_capped(self, group: Group) -> bool:
        return group[0] != OVERFLOW and group != self._home

    def _open(self, key: tuple[Group, int]) -> int:
        """The cell of exactly this key, made where there is none."""
        index = self._index.get(key)
        if index is not None:
            return index
        group, pane = key
        if not self._free:
            old = len(self._cells.rows)
            self._cells = grow(self._cells, self.layout, to=2 * old)
            self._free = list(range(old, 2 * old))[::-1]
        index = self._index[key] = self._free.pop()
        if self._is_capped(group):
            self._groups[pane] = self._groups.get(pane, 0) + 1
        return index

    def _judge_names(self, column: int, rows: Mapping[int, str], cell: NDArray[np.int32]) -> None:
        """The category rule of rows that are novel or other, which the fold cannot judge."""
        if column not in self._named:
            return
        rule, allowed = self._named[column]
        for row, name in rows.items():
            if cell[row] >= 0 and name not in allowed:
                self._cells.violations[cell[row], rule] += 1

    def _add_novel(self, column: int, rows: Mapping[int, str], cell: NDArray[np.int32]) -> None:
        touched = set()
        for row, category in rows.items():
            index = int(cell[row])
            if index < 0:
                continue
            counts = self._novel.setdefault(index, {}).setdefault(column, {})
            counts[category] = counts.get(category, 0) + 1
            touched.add(index)
        for index in touched:
            self._novel[index][column] = keep(self._novel[index][column], NOVEL_KEPT)

    def _sketch(self, index: int, key: tuple[Group, int], applied: int) -> Sketch:
        (version, variant, segment), pane = key
        plan, cells = self.plan, self._cells
        return Sketch(
            key=SketchKey(plan.name, plan.config, version, variant, segment, pane, self.source),
            applied=applied,
            rows=int(cells.rows[index]),
            errors=int(cells.errors[index]),
            counts=cells.counts[index].copy(),
            sums=cells.sums[index].copy(),
            extremes=cells.extremes[index].copy(),
            latency=cells.latency[index].copy(),
            violations=cells.violations[index].copy(),
            rejects=cells.rejects[index].copy(),
            first=int(cells.first[index]),
            last=int(cells.last[index]),
            novel={column: dict(counts) for column, counts in self._novel.get(index, {}).items()},
        )

    def _allocate(self, count: int) -> CellArrays:
        return allocate(self.layout, cells=count, rules=len(self.plan.rules), reasons=len(REASONS))
