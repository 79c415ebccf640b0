"""The table in which labels and predictions of one model find each other; evaluate thread only.

What it has added up depends on which rows were given to it, not on their order (`kernels.join`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.join import CLASS, NUMBER, OVER, SCORE, add_labels, add_predictions, move, width_of
from monitor.plan import JoinPlan

KINDS = {"score": SCORE, "class": CLASS, "number": NUMBER}
LOAD = 0.9
"""Of the table at most: 22.2 to 24 bytes for an open prediction. One more that is looked for then costs 50 places at most."""
GROWTH = 1.08
SMALLEST = 1024
AHEAD = 64
"""Ids that are looked for at the same time. Of ten million: 371 ns a label one by one, 160 with 64, 188 with 256, 244 with 1,024."""


class Group(NamedTuple):
    """What predictions are told apart by, beside their time."""

    version: str
    variant: str
    segments: tuple[str, ...]
    """One of each column."""
    level: int = 0
    """Of the sample that they are: `monitor.joinable.Rows.level`."""


BLOCK = 1 << 20
"""Places of the table that are looked through at a time: what is made of them meanwhile is a few MB, however many there are."""


class Pairs(NamedTuple):
    """Predictions whose label has come; one of each array for each.

    cell   int64[pairs]    the prediction's
    value  float32[pairs]  the label
    stamp  int64[pairs]    when it was sent
    """

    cell: NDArray[np.int64]
    value: NDArray[np.float32]
    stamp: NDArray[np.int64]


class _Table(NamedTuple):
    ids: NDArray[np.uint64]
    cell: NDArray[np.int32]
    value: NDArray[np.float32]
    label: NDArray[np.int32]


class _Labels(NamedTuple):
    value: NDArray[np.float32]
    stamp: NDArray[np.int64]
    offset: NDArray[np.int64]
    mark: NDArray[np.int64]
    following: NDArray[np.int32]


class _Predictions(NamedTuple):
    ids: NDArray[np.uint64]
    cell: NDArray[np.int32]
    value: NDArray[np.float32]

    def only(self, rows: NDArray[np.bool_]) -> _Predictions:
        return _Predictions(self.ids[rows], self.cell[rows], self.value[rows])


class Join:
    """Open predictions and labels, and the sums of their pairs.

    A cell is one cohort (predictions of a span of event time) of one group.
    """

    def __init__(self, plan: JoinPlan, *, less: int = 0) -> None:
        """`less`: by how much labels that are brief may be sent less early than others, ms."""
        self._kind = KINDS[plan.kind], len(plan.classes), plan.threshold, plan.scale
        self._less = less
        self._places = np.zeros(AHEAD, np.int64)
        self.width = width_of(self._kind[0], self._kind[1])
        self._table = _table(SMALLEST)
        self._labels = _labels(SMALLEST)
        self.used = 0
        """Ids that are known, predicted or labelled."""
        self.labels = 0
        self._opening, self._deadline, self._rank = np.zeros((3, 16), np.int64)
        self._parts = np.zeros((16, 1), np.int32)
        self._cells = 0
        self._sums = np.zeros((16, self.width), np.int64)
        self.rows = 0
        """Of sums, free ones too."""
        self.late = 0
        """Labels that came behind the deadline of their prediction."""
        self.unknown = 0
        """Labels that were let go and had no prediction."""
        self.brief = 0
        """Those that were let go earlier because they are brief."""
        self._free_rows: list[int] = []
        self._free_cells: list[int] = []
        self._ended: list[int] = []
        self._others: list[_Predictions] = []
        """Those that do not count because one of an earlier cohort has the same id."""

    @property
    def nbytes(self) -> int:
        others = (array for part in self._others for array in part)
        return sum(array.nbytes for array in (*self._table, *self._labels, self._sums, *others))

    @property
    def table_bytes(self) -> int:
        """What open predictions take, without labels and sums."""
        return sum(array.nbytes for array in self._table)

    @property
    def unpredicted(self) -> int:
        """Ids that have labels and no prediction: not yet, or nobody's."""
        return int(np.count_nonzero((self._table.cell < 0) & (self._table.ids != 0)))

    def row(self) -> int:
        """A row of sums without any."""
        if self._free_rows:
            return self._free_rows.pop()
        if self.rows == len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        self.rows += 1
        return self.rows - 1

    def free(self, row: int) -> None:
        """Nobody asks for a row any more, and no cell that is not over adds to it."""
        self._sums[row] = 0
        self._free_rows.append(row)

    def sums(self, row: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._sums[row]
        return found

    def cell(self, *, opening: int, deadline: int, rank: int, parts: list[int]) -> int:
        """A new cell, whose labels must have a stamp from `opening` on and a mark until `deadline`; `rank` is the same wherever
        the same predictions are counted, `parts` are rows of sums."""
        at = self._free_cells.pop() if self._free_cells else self._cells
        if at == len(self._opening):
            self._opening, self._deadline, self._rank, self._parts = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self._opening, self._deadline, self._rank, self._parts)
            )  # fmt: skip
        if not self._cells:
            self._parts = np.zeros((len(self._opening), len(parts)), np.int32)
        self._opening[at], self._deadline[at], self._parts[at] = opening, deadline, parts
        self._rank.view(np.uint64)[at] = rank
        self._cells = max(self._cells, at + 1)
        return at

    def predict(self, ids: NDArray[np.uint64], cell: NDArray[np.int32], value: NDArray[np.float32]) -> None:
        """Take predictions; all arrays of one length, C-contiguous."""
        self._room(len(ids), 0)
        rank = self._rank.view(np.uint64)
        places = (self._opening, self._deadline, rank, self._parts, self._sums)
        others, count = _Predictions(*map(np.empty_like, (ids, cell, value))), np.zeros(1, np.int64)
        self.used += add_predictions(
            *self._table, *self._labels, *places, *self._kind, self._less, ids, cell, value, *others, count, self._places
        )  # fmt: skip
        if count[0]:
            self._others.append(others.only(np.arange(len(ids)) < count[0]))

    def label(self, rows: NDArray[np.void], brief: NDArray[np.bool_] | None = None) -> None:
        """Take labels: `monitor.joinable.Rows.rows`, and which are brief (`monitor.labels.brief`); None: none is."""
        self._room(len(rows), len(rows))
        begin, end = self.labels, self.labels + len(rows)
        for name in ("value", "stamp", "offset"):
            getattr(self._labels, name)[begin:end] = rows[name]
        marks = np.maximum(rows["mark"], 0)
        self._labels.mark[begin:end] = marks if brief is None else np.where(brief, ~marks, marks)
        places = (self._opening, self._deadline, self._parts, self._sums)
        ids = np.ascontiguousarray(rows["id"])
        late = np.zeros(1, np.int64)
        self.used += add_labels(
            *self._table, *self._labels, *places, *self._kind, self._less, ids, begin, end, late, self._places
        )
        self.labels = end
        self.late += int(late[0])

    def pairs(self, cells: Collection[int]) -> Pairs:
        """The predictions of cells and the label of each that counts, in no order. Reads the whole table: 4 ns a place."""
        table, labels = self._table, self._labels
        is_asked = np.zeros(max(self._cells, 1), np.bool_)
        is_asked[list(cells)] = True
        parts = []
        for low in range(0, len(table.cell), BLOCK):
            part = table.cell[low : low + BLOCK]
            is_labelled = (part >= 0) & (table.label[low : low + BLOCK] >= 0)
            parts.append(np.flatnonzero(is_labelled & is_asked[part]) + low)
        places = np.concatenate(parts)
        cell, at = table.cell[places].astype(np.int64), table.label[places].astype(np.int64)
        best = np.full(len(places), -1, np.int64)
        going = np.arange(len(places))
        while len(going := going[at[going] >= 0]):
            own, held, of = at[going], best[going], cell[going]
            mark = labels.mark[own]
            opening = self._opening[of] + np.where(mark < 0, self._less, 0)
            counts = (labels.stamp[own] >= opening) & (np.maximum(mark, ~mark) <= self._deadline[of])
            is_better = counts & ((held < 0) | self._is_newer(own, held))
            best[going] = np.where(is_better, own, held)
            at[going] = labels.following[own]
        came = best >= 0
        return Pairs(cell[came], labels.value[best[came]], labels.stamp[best[came]])

    def opening(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Since when labels count of each cell."""
        found: NDArray[np.int64] = self._opening[cells]
        return found

    def _is_newer(self, own: NDArray[np.int64], held: NDArray[np.int64]) -> NDArray[np.bool_]:
        """As `kernels.join` has it: by stamp, then offset, then value."""
        labels = self._labels
        newer: NDArray[np.bool_] = labels.value[own] > labels.value[held]
        for one in (labels.offset, labels.stamp):
            newer = (one[own] > one[held]) | ((one[own] == one[held]) & newer)
        return newer

    def end(self, cells: Collection[int]) -> None:
        """Be as if the predictions of cells had never been there: others of the same ids take their place. Their memory is held,
        and so are their rows of sums, until `sweep`."""
        self._deadline[list(cells)] = OVER
        self._ended += cells
        others, self._others = self._others, []
        is_over = self._is_over()
        for part in others:
            self.predict(*part.only(~is_over[part.cell]))

    def sweep(self, *, oldest: int) -> None:
        """Let go of what has ended, and of labels that nobody has predicted whose stamp is before `oldest`: reads the whole
        table."""
        self._rebuild(len(self._table.ids), len(self._labels.value), self._is_over(), oldest)
        self._free_cells += self._ended
        self._ended = []

    def put_off(self) -> None:
        """Let go of all labels that nobody has predicted, to take them another time."""
        counted = self.unknown, self.brief
        self.sweep(oldest=OVER - self._less)
        self.unknown, self.brief = counted

    def forget(self, cells: Collection[int], *, oldest: int) -> None:
        """Both at once."""
        self.end(cells)
        self.sweep(oldest=oldest)

    def _is_over(self) -> NDArray[np.bool_]:
        found = np.zeros(max(self._cells, 1), np.bool_)
        found[self._ended] = True
        return found

    def _room(self, ids: int, labels: int) -> None:
        capacity, held = len(self._table.ids), len(self._labels.value)
        if self.labels + labels > held:
            held = max(self.labels + labels, int(held * 1.5))
            self._labels = _Labels(*(_longer(array[: self.labels], held) for array in self._labels))
        wanted = int((self.used + ids) / LOAD) + 1
        if wanted > capacity:
            capacity = max(wanted, int(capacity * GROWTH))
            self._rebuild(capacity, held, np.zeros(max(self._cells, 1), np.bool_), np.iinfo(np.int64).min)

    def _rebuild(self, capacity: int, held: int, is_over: NDArray[np.bool_], oldest: int) -> None:
        table, labels, unknown = _table(capacity), _labels(held), np.zeros(2, np.int64)
        self.labels = move(*self._table, *self._labels, *table, *labels, is_over, oldest, self._less, unknown)
        self.unknown += int(unknown[0])
        self.brief += int(unknown[1])
        self._table, self._labels = table, labels
        self.used = int(np.count_nonzero(table.ids))


def _table(capacity: int) -> _Table:
    none: Any = np.full(capacity, -1, np.int32)
    return _Table(np.zeros(capacity, np.uint64), none, np.zeros(capacity, np.float32), none.copy())


def _longer(array: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.empty(room, array.dtype)
    longer[: len(array)] = array
    return longer


def _labels(room: int) -> _Labels:
    stamp, offset, mark = (np.zeros(room, np.int64) for _ in range(3))
    return _Labels(np.zeros(room, np.float32), stamp, offset, mark, np.full(room, -1, np.int32))
