"""The open cells of one model on one source partition: steps 3 and 5, counts that can still change.

A cell is dense, its counts in arrays that the fold adds to, or at rest: packed, and much smaller. It
becomes dense with the next row. Whether it is changes no count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.layout import NOVEL, Layout, no_rules
from kernels.pairs import number_pairs, take_places
from kernels.select import CPU, Backend
from monitor.columns import Columns, Novel
from monitor.contract import contract
from monitor.joinable import digest_of, is_counted, pack_sums, rows_of, unpack, unpack_sums
from monitor.joinable import pack as pack_rows
from monitor.memory import DENSE_BYTES
from monitor.names import CHAMPION, REASONS, SketchKey, Source
from monitor.novel import Sample, hash64
from monitor.plan import ModelPlan
from monitor.sample import Reservoir, pack
from monitor.segments import WHOLE, by_code, part_layout
from monitor.sketch import NOVEL_KEPT, Sketch
from monitor.window.beside_label import count, width
from monitor.window.dense import DenseCells
from monitor.window.kept_ids import KeptIds
from monitor.window.sampling import Sampler

GROUPS_PER_PANE = 64
"""Distinct (version, variant) per pane, each with all of its segments; the rest share two, one for the
variant that is judged and one for all others, so that a producer that puts a request id into its version
or variant costs two cells instead of one per request."""
OVERFLOW = "…"

Group = tuple[str, str, str]
Key = tuple[Group, int]


@dataclass(slots=True)
class _Cell:
    """One open cell. What it counts is `rest` or lies at `place`; names and rejects are beside it."""

    key: Key
    rest: Sketch
    """What it counted when it came to rest, without `breaches`."""
    rejects: NDArray[np.int64]
    breaches: NDArray[np.int64]
    """By rule: those of rows that the fold cannot judge, because their category has no slot."""
    place: int = -1
    is_changed: bool = False
    is_touched: bool = False
    """Rows came since the last `confirm`."""
    novel: dict[int, Sample] = field(default_factory=dict)
    sample: Reservoir | None = None
    joinable: list[NDArray[np.void]] = field(default_factory=list)
    """Rows that labels are joined with, in the order of their offsets."""
    level: int = 0
    """Of which sample they are: `monitor.joinable.Rows.level`."""
    labelled: NDArray[np.int64] | None = None
    """Sums of rows that have their label beside them."""


class OpenCells:
    """Counts by (group, pane): of all rows, or of the rows once more by the segments of one column.

    Segments have no rejects, no breaches of the contract and no names of novel categories: those of the
    whole are theirs too. Lives as long as the partition is assigned; one thread at a time.
    """

    def __init__(
        self,
        plan: ModelPlan,
        layout: Layout,
        source: Source,
        categories: Sequence[Sequence[str]] = (),
        *,
        room: int = DENSE_BYTES,
        backend: Backend = CPU,
        segment: int = -1,
    ) -> None:
        """`categories`: see `monitor.contract.contract`; `room`: see `DenseCells`; `segment`: which column's
        segments are counted, -1: the whole."""
        self.plan = plan
        self.source = source
        self._segment = segment
        self._segments = by_code(plan.segments[segment]) if segment >= 0 else (WHOLE,)
        """By code."""
        rules, self._named = contract(plan, layout, categories)
        if segment >= 0:
            layout = part_layout(layout)
            rules, self._named = no_rules(layout), {}
        self._dense = DenseCells(layout, rules, room=room, backend=backend)
        self._cells: dict[Key, _Cell] = {}
        self._awake: dict[Key, _Cell] = {}
        """The dense cells, the one that has waited longest for a row first."""
        self._groups: dict[int, set[tuple[str, str]]] = {}
        """Pane → the versions and variants that have cells of their own in it."""
        self._pairs = _Pairs()
        self._sampler = Sampler(plan, layout, source)
        has_open = plan.join is not None and not plan.join.is_label and bool(plan.join.source) and segment < 0
        self._kept_ids = KeptIds(plan) if has_open else None

    def __len__(self) -> int:
        return len(self._cells)

    def add(self, columns: Columns, panes: NDArray[np.int64], marks: NDArray[np.int64] | None = None) -> int:
        """Count the rows of `columns`; `panes` int64[rows] is the pane start, negative rows are skipped; `marks`
        int64[rows] the watermark before each, which only labels need.

        Returns how often the contract was broken.
        """
        number, cells = self._numbered(columns, panes)
        limit = self._dense.limit
        broken = 0
        for start in range(0, len(cells), limit):
            rows, own = columns, number
            if len(cells) > limit:
                chosen = np.flatnonzero((number >= start) & (number < start + limit))
                rows, own = columns.take(chosen), number[chosen] - start
            places = self._wake(cells[start : start + limit])
            place = np.empty(len(own), np.int32)
            if take_places(place, own, places):
                broken += self._dense.fold(rows, place, places)
        if self._segment < 0:
            self._sampler.add(columns, number, [cell.sample for cell in cells])
        if self.plan.join is not None and columns.label is not None:
            for cell, sums in zip(cells, count(columns, number, len(cells), self.plan.join), strict=True):
                cell.labelled = sums if cell.labelled is None else cell.labelled + sums
        elif self.plan.join is not None and self._segment < 0 and marks is not None:
            self._keep(rows_of(columns, marks, self.plan.join), panes, marks, number, cells)
        if len(columns.novel) and self._segment < 0:
            broken += self._add_named(columns, number, cells)
        return broken

    def reject(self, pane: int, reason: int, *, count: int = 1) -> None:
        """Count records that named this model and did not become rows of a pane."""
        cell = self._cell((self._home, pane))
        cell.rejects[reason] += count
        cell.is_changed = True

    def changed(self, applied: int) -> list[Sketch]:
        """Copies of the cells that changed since the last `confirm`, applied through `applied`."""
        return [self._sketch(cell, applied) for cell in self._cells.values() if cell.is_changed]

    def confirm(self, live: int) -> None:
        """What `changed` handed out is durable; panes before `live` are final and are forgotten.

        Cells without a row since the last time come to rest.
        """
        for key in [key for key in self._cells if key[1] < live]:
            cell = self._cells.pop(key)
            self._groups.pop(key[1], None)
            if cell.place >= 0:
                self._dense.give(cell.place)
                del self._awake[key]
        if self._kept_ids is not None:
            self._kept_ids.forget(live)
        for cell in list(self._awake.values()):
            if not cell.is_touched:
                self._settle(cell)
        for cell in self._cells.values():
            cell.is_changed = cell.is_touched = False

    def restore(self, sketches: Iterable[Sketch]) -> None:
        """Continue from recovered sketches; those of another configuration are left as they are, and so are
        those of other columns' segments."""
        for sketch in sketches:
            key = sketch.key
            if key.config != self.plan.config or key.segment not in self._segments:
                continue
            cell = self._open(((key.version, key.variant, key.segment), key.pane))
            cell.rest = sketch.compact(novel={}, sample=b"", joinable=b"")
            cell.rejects[:] = sketch.rejects
            cell.novel = {column: Sample(counts, NOVEL_KEPT) for column, counts in sketch.novel.items()}
            cell.sample = self._sampler.restore(key, sketch.rows, sketch.sample)
            self._restore_rows(cell, sketch.joinable)

    def _restore_rows(self, cell: _Cell, data: bytes) -> None:
        """Of a recovered sketch; none where what they mean was configured otherwise."""
        if not data or self.plan.join is None or digest_of(data) != self.plan.join.digest:
            return
        if is_counted(data):
            cell.labelled = unpack_sums(data, width(self.plan.join))
            return
        found = unpack(data)
        cell.joinable, cell.level = [found.rows], found.level
        if self._kept_ids is not None:
            self._kept_ids.restore(cell.key[1], found.level, len(found.rows))

    def _keep(
        self, rows: NDArray[np.void], panes: NDArray[np.int64], marks: NDArray[np.int64], number: NDArray[np.int32],
        cells: Sequence[_Cell],
    ) -> None:  # fmt: skip
        """Add rows that have an id to the cells they belong to."""
        ids = np.ascontiguousarray(rows["id"])
        own = np.where(ids != 0, number, -1)
        if self._kept_ids is not None:
            is_kept = self._kept_ids.take(ids, panes, marks)
            for at in np.unique(own[own >= 0]).tolist():
                cells[at].level = self._kept_ids.level(cells[at].key[1])
            own = np.where(is_kept, own, -1)
        for at, cell in enumerate(cells):
            mine = rows[own == at] if len(cells) > 1 or (own < 0).any() else rows
            if len(mine):
                cell.joinable.append(mine)

    def _numbered(self, columns: Columns, panes: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[_Cell]]:
        """The cells of the rows, each once, and int32[rows]: which of them a row belongs to, -1 for none.

        Dense ones come first where not all can be dense, before others take their places.
        """
        group = columns.group
        if columns.segments is not None and self._segment >= 0:
            group = group * np.int32(len(self._segments)) + columns.segments[self._segment]
        number, first = self._pairs.number(group, panes)
        pairs = zip(group[first].tolist(), panes[first].tolist(), strict=True)
        found = [self._cell((self._named_group(columns, own), pane)) for own, pane in pairs]
        cells = list({id(cell): cell for cell in found}.values())
        if len(cells) == len(found) <= self._dense.limit:
            return number, cells
        cells.sort(key=lambda cell: cell.place < 0)
        places = {id(cell): at for at, cell in enumerate(cells)}
        rank = np.array([*(places[id(cell)] for cell in found), -1], np.int32)
        return rank[number], cells

    def _named_group(self, columns: Columns, number: int) -> Group:
        at, code = divmod(number, len(self._segments))
        return *columns.groups[at], self._segments[code]

    @property
    def _home(self) -> Group:
        """Where records are counted that became no rows; outside the cap, as rejects of a batch come
        after its rows and cells must not depend on where batches end."""
        return "", self.plan.champion, ""

    def _cell(self, key: Key) -> _Cell:
        found = self._cells.get(key)
        if found is not None:
            return found
        (version, variant, segment), pane = key
        own = self._groups.get(pane, set())
        if self._is_capped(key[0]) and (version, variant) not in own and len(own) >= GROUPS_PER_PANE:
            is_judged = variant in (self.plan.champion, CHAMPION)
            return self._open(((OVERFLOW, variant if is_judged else OVERFLOW, segment), pane))
        return self._open(key)

    def _is_capped(self, group: Group) -> bool:
        return group[0] != OVERFLOW and group[:2] != self._home[:2]

    def _open(self, key: Key) -> _Cell:
        """The cell of exactly this key, made where there is none."""
        found = self._cells.get(key)
        if found is None:
            breaches = np.zeros_like(self._dense.empty.violations)
            found = self._cells[key] = _Cell(
                key, self._dense.empty, np.zeros(len(REASONS), np.int64), breaches
            )
            group, pane = key
            found.sample = self._sampler.open(*group[1:])
            if self._is_capped(group):
                self._groups.setdefault(pane, set()).add(group[:2])
        return found

    def _wake(self, cells: Sequence[_Cell]) -> NDArray[np.int32]:
        """Make cells dense, at most as many as can be: their places.

        Those that are dense already go to the end of the queue first, so that none of them is put to
        rest for another.
        """
        for cell in cells:
            cell.is_changed = cell.is_touched = True
            if cell.place >= 0:
                self._awake[cell.key] = self._awake.pop(cell.key)
        for cell in cells:
            if cell.place < 0:
                if self._dense.is_full:
                    self._settle(next(iter(self._awake.values())))
                cell.place = self._dense.take(cell.rest)
                cell.rest = self._dense.empty
                self._awake[cell.key] = cell
        return np.array([cell.place for cell in cells], np.int32)

    def _settle(self, cell: _Cell) -> None:
        cell.rest = self._dense.read(cell.place)
        self._dense.give(cell.place)
        cell.place = -1
        del self._awake[cell.key]

    def _add_named(self, columns: Columns, number: NDArray[np.int32], cells: Sequence[_Cell]) -> int:
        """Count categories that have no slot; how many of them the contract forbids."""
        novel = columns.novel
        pair = number[novel.row]
        codes = columns.codes[novel.column, novel.row]
        _count(novel, pair, np.flatnonzero((pair >= 0) & (codes == NOVEL)), cells)
        broken = 0
        for column, (rule, allowed) in self._named.items():
            own = np.flatnonzero((pair >= 0) & (novel.column == column))
            used, which = np.unique(novel.name[own], return_inverse=True)
            forbidden = np.array([novel.names[name] not in allowed for name in used.tolist()], np.bool_)
            hits = np.bincount(pair[own[forbidden[which]]], minlength=len(cells)) if len(used) else ()
            for at in np.flatnonzero(hits).tolist():
                cells[at].breaches[rule] += hits[at]
                broken += int(hits[at])
        return broken

    def _sketch(self, cell: _Cell, applied: int) -> Sketch:
        (version, variant, segment), pane = cell.key
        plan = self.plan
        held = cell.rest if cell.place < 0 else self._dense.read(cell.place)
        return held.compact(
            key=SketchKey(plan.name, plan.config, version, variant, segment, pane, self.source),
            applied=applied,
            violations=held.violations + cell.breaches,
            rejects=cell.rejects.copy(),
            novel={column: dict(sample.counts) for column, sample in cell.novel.items()},
            sample=pack(cell.sample.read(), self.source) if cell.sample else b"",
            joinable=self._joinable(cell),
        )

    def _joinable(self, cell: _Cell) -> bytes:
        join = self.plan.join
        if join is None:
            return b""
        if cell.labelled is not None:
            return pack_sums(cell.labelled, join)
        return pack_rows(cell.joinable, join, columns=len(self.plan.segments), level=cell.level)


class _Pairs:
    """Scratch of `number_pairs`, kept from batch to batch."""

    def __init__(self) -> None:
        self._room(4096)

    def number(
        self, group: NDArray[np.int32], pane: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The number of each row's (group, pane), -1 where the pane is negative; the first row of each."""
        if len(pane) > len(self._first):
            self._room(len(pane))
        number = np.empty(len(pane), np.int32)
        count = number_pairs(
            self._table,
            self._taken,
            self._first,
            np.ascontiguousarray(group),
            np.ascontiguousarray(pane),
            number,
        )
        return number, self._first[:count]

    def _room(self, rows: int) -> None:
        self._table = np.full(2 << (rows - 1).bit_length(), -1, np.int32)
        self._taken = np.empty(rows, np.int32)
        self._first = np.empty(rows, np.int32)


def _count(novel: Novel, pair: NDArray[np.int32], own: NDArray[np.int64], cells: Sequence[_Cell]) -> None:
    """Add the novel categories of the entries `own` to the cell of each.

    A category is looked at once per cell and column, and only while it is one of those that are kept:
    a field that holds a request id has a new one in every row.
    """
    if not len(own):
        return
    width = int(novel.column.max()) + 1
    spots, spot = np.unique(pair[own].astype(np.int64) * width + novel.column[own], return_inverse=True)
    samples = [_sample(cells[at // width], at % width) for at in spots.tolist()]
    hashes = np.fromiter(map(hash64, novel.names), np.uint64, len(novel.names))
    bound = np.array([sample.bound for sample in samples], np.uint64)
    name = novel.name[own]
    kept = hashes[name] <= bound[spot]
    entries, rows = np.unique(spot[kept] * len(novel.names) + name[kept], return_counts=True)
    begin = np.searchsorted(entries, np.arange(len(spots) + 1) * len(novel.names))
    for at, sample in enumerate(samples):
        mine = slice(begin[at], begin[at + 1])
        names = (entries[mine] % len(novel.names)).tolist()
        texts = [novel.names[number] for number in names]
        sample.add(zip(texts, hashes[names].tolist(), rows[mine].tolist(), strict=True))


def _sample(cell: _Cell, column: int) -> Sample:
    found = cell.novel.get(column)
    if found is None:
        found = cell.novel[column] = Sample({}, NOVEL_KEPT)
    return found
