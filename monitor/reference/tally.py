"""Second pass over the rows: exact counts per cell, by the kernels that count live records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, LATENCY_BINS, CellArrays, Layout, allocate, no_rules
from monitor.plan import Kind
from monitor.reference.column import boolean_codes, category_codes, column_of, numbers, vectors_of
from monitor.reference.profile import FeatureProfile, Panes
from monitor.reference.sampled import Keeper
from monitor.reference.table import FeatureDeclaration, Table
from monitor.reference.vector import mean_words

DENSE_BYTES = 64 << 20
"""Memory of the cells that are open at once while counting; closed ones are kept sparse."""
BLOCK_BYTES = 1 << 20
"""Values that are laid side by side and folded at once: they stay in the second-level cache."""
LEAST_BLOCK = 1024
LOOSE_PARTS = 16
"""Parts of one pane that are kept before they are added up: unordered input makes many."""

Placement = Callable[[Table], NDArray[np.int64]]
"""The cell number of each row of a table; negative rows are skipped."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns tables into the arrays that the fold takes, with the reference's own bins."""

    features: Sequence[FeatureDeclaration]
    profiles: Sequence[FeatureProfile]
    layout: Layout

    def counted(
        self, table: Table, cell: NDArray[np.int64], *, keeper: Keeper | None = None
    ) -> Iterator[tuple[NDArray[np.int64], CellArrays]]:
        """Counts of the table's rows by cell: (cell numbers, arrays with a row for each); `keeper` sees them too."""
        from kernels.fold import fold  # compiles or loads the kernels

        columns, codes, vectors = self._arrays(table)
        if keeper is not None:
            keeper.add(columns, codes, vectors, cell)
        latency = table.latency if table.latency is not None else np.full(len(table), np.nan)
        errors = table.errors if table.errors is not None else np.zeros(len(table), np.uint8)
        numbers_of, local = numbered(cell)
        layout = self.layout
        width = layout.slots + 3 * layout.numeric + layout.vectors.words + LATENCY_BINS + 8
        room = max(1, DENSE_BYTES // (8 * width))
        step = max(BLOCK_BYTES // (8 * max(layout.features + layout.vectors.dims, 1)), LEAST_BLOCK)
        for low in range(0, len(numbers_of), room):
            group = numbers_of[low : low + room]
            cells = allocate(layout, cells=len(group), rules=0, reasons=0)
            for rows in _rows(local, low, low + len(group), step=step):
                own = local[rows]
                values = np.empty((len(columns), len(own)))
                for place, column in enumerate(columns):
                    values[place] = column[rows]
                fold(
                    cells,
                    layout,
                    no_rules(layout),
                    cell=(own - low).astype(np.int32),
                    values=values,
                    codes=codes[:, rows],
                    latency=np.asarray(latency[rows], np.float64),
                    errors=np.asarray(errors[rows], np.uint8),
                    offsets=np.zeros(len(own), np.int64),
                    vectors=np.concatenate([np.empty((len(own), 0)), *(v[rows] for v in vectors)], axis=1),
                )
            yield group, cells

    def _arrays(
        self, table: Table
    ) -> tuple[list[NDArray[np.float64]], NDArray[np.int32], list[NDArray[np.float64]]]:
        """The numeric columns, the codes of categories: int32[categorical, rows], and the vectors."""
        vectors: list[NDArray[np.float64]] = [np.empty(0)] * self.layout.vectors.count
        columns: list[NDArray[np.float64]] = [np.empty(0)] * self.layout.numeric
        codes = np.empty((self.layout.categorical, len(table)), np.int32)
        for index, (feature, profile) in enumerate(zip(self.features, self.profiles, strict=True)):
            column, place = column_of(table, feature), int(self.layout.column[index])
            if profile.kind is Kind.NUMERIC:
                columns[place] = numbers(column, feature)
                continue
            if profile.vector is not None:
                vectors[place] = vectors_of(column, feature, length=profile.vector.length)
                continue
            slots = {name: FIRST_BIN + slot for slot, name in enumerate(profile.categories)}
            encode = boolean_codes if profile.kind is Kind.BOOLEAN else category_codes
            codes[place] = encode(column, slots)
        return columns, codes, vectors


def numbered(cell: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct cell numbers, ascending, and which of them each row has; -1 where negative."""
    if len(cell) == 0 or int(cell.max()) < 0:
        return np.empty(0, np.int64), np.full(len(cell), -1, np.int64)
    lowest = max(int(cell.min()), 0)
    span = int(cell.max()) - lowest + 1
    if span > 4 * len(cell):
        numbers_of, local = np.unique(cell, return_inverse=True)
        skipped = int(np.sum(numbers_of < 0))
        return numbers_of[skipped:], np.maximum(local - skipped, -1)
    place = np.maximum(cell - (lowest - 1), 0)
    seen = np.zeros(span + 1, np.bool_)
    seen[place] = True
    seen[0] = False
    return lowest + np.flatnonzero(seen[1:]), (np.cumsum(seen) - 1)[place]


def _rows(local: NDArray[np.int64], low: int, high: int, *, step: int) -> Iterator[slice | NDArray[np.int64]]:
    """The rows from `low` to `high`, in blocks of at most `step`."""
    for begin in range(0, len(local), step):
        own = local[begin : begin + step]
        inside = (own >= low) & (own < high)
        count = np.count_nonzero(inside)
        if count == len(own):
            yield slice(begin, begin + count)
        elif count:
            yield begin + np.flatnonzero(inside)


@dataclass(slots=True)
class _Sparse:
    """Counts of one pane: parts of ascending slots, added up now and then."""

    parts: list[tuple[NDArray[np.int32], NDArray[np.int64]]]

    def add(self, dense: NDArray[np.int64]) -> None:
        slots = np.flatnonzero(dense).astype(np.int32)
        self.parts.append((slots, dense[slots]))
        if len(self.parts) > LOOSE_PARTS:
            self.parts = [self.total()]

    def total(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        if len(self.parts) == 1:
            return self.parts[0]
        slots, inverse = np.unique(np.concatenate([part[0] for part in self.parts]), return_inverse=True)
        values = np.zeros(len(slots), np.int64)
        np.add.at(values, inverse, np.concatenate([part[1] for part in self.parts]))
        return slots.astype(np.int32), values


class PaneTally:
    """Adds up counts per pane; lives as long as one build."""

    def __init__(self, means: NDArray[np.int64] | None = None) -> None:
        """`means`: numbers of the words of vectors that are kept by pane."""
        self._means = means if means is not None else np.empty(0, np.int64)
        self._vectors: dict[int, NDArray[np.int64]] = {}
        self.words: NDArray[np.int64] = np.zeros(1, np.int64)
        """int64[words of all vector features], or zeros that add up with them."""
        self._counts: dict[int, _Sparse] = {}
        self._latency: dict[int, _Sparse] = {}
        self._rows: dict[int, int] = {}
        self._errors: dict[int, int] = {}

    def add(self, group: NDArray[np.int64], cells: CellArrays) -> None:
        """Take in what `Encoder.counted` yields."""
        self.words = self.words + cells.vectors.sum(axis=0)
        for row, pane in enumerate(group.tolist()):
            self._vectors[pane] = self._vectors.get(pane, 0) + cells.vectors[row, self._means]
            self._counts.setdefault(pane, _Sparse([])).add(cells.counts[row])
            self._latency.setdefault(pane, _Sparse([])).add(cells.latency[row])
            self._rows[pane] = self._rows.get(pane, 0) + int(cells.rows[row])
            self._errors[pane] = self._errors.get(pane, 0) + int(cells.errors[row])

    def panes(self, size: int) -> Panes:
        """All panes in event-time order; pane number p starts at p * size."""
        order = sorted(self._rows)
        indptr, slots, values = _stack([self._counts[pane].total() for pane in order])
        latency_indptr, latency_bins, latency_values = _stack([self._latency[pane].total() for pane in order])
        return Panes(
            starts=np.array(order, np.int64) * size,
            indptr=indptr,
            slots=slots,
            values=values,
            rows=np.array([self._rows[pane] for pane in order], np.int64),
            errors=np.array([self._errors[pane] for pane in order], np.int64),
            latency_indptr=latency_indptr,
            latency_bins=latency_bins,
            latency_values=latency_values,
            vectors=np.array([self._vectors[pane] for pane in order], np.int64).reshape(
                len(order), len(self._means)
            ),
        )


def tally(
    chunks: Iterable[Table], encoder: Encoder, place: Placement, keeper: Keeper | None = None
) -> PaneTally:
    """Count all rows by pane."""
    total = PaneTally(mean_words(encoder.layout.vectors))
    for chunk in chunks:
        for group, cells in encoder.counted(chunk, place(chunk), keeper=keeper):
            total.add(group, cells)
    return total


def summed(
    indptr: NDArray[np.int64], slots: NDArray[np.int32], values: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """The sum of all rows of a sparse array: int64[size]."""
    total = np.zeros(size, np.int64)
    np.add.at(total, slots[: indptr[-1]], values[: indptr[-1]])
    return total


def _stack(
    rows: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(slots) for slots, _ in rows], out=indptr[1:])
    slots = np.concatenate([slots for slots, _ in rows]) if rows else np.empty(0, np.int32)
    values = np.concatenate([values for _, values in rows]) if rows else np.empty(0, np.int64)
    return indptr, slots, values
