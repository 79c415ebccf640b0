"""A change that is put into the rows of a log from some event time on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import NOVEL, NUMERIC
from monitor.backtest.injection import Injection, owner_of, renamed
from monitor.columns import Columns, Novel
from monitor.groups import member_columns, renewed
from monitor.reference.profile import Reference
from monitor.sample import hashes_of

NAME = "injected"
"""What novel and renamed categories are called."""
_SEED = 0x696E6A
_LARGEST = float(1 << 64)


class RowChange:
    """What `Replay` does with the rows of one model. Which rows of a share are changed depends on their offsets
    alone, so every replay changes the same."""

    def __init__(
        self,
        model: str,
        reference: Reference,
        injection: Injection,
        *,
        pane: int,
        since: int = -1,
        after: int = 0,
    ) -> None:
        """Changed is what has an event time of `since` or later; -1: `after` milliseconds behind the first row."""  # fmt: skip
        owner = owner_of(reference, injection)
        layout = reference.layout()
        self.model = model
        self.injection = injection
        self.since = since
        self._after = after
        self._is_number = bool(layout.kind[owner] == NUMERIC)
        self._column = int(layout.column[owner])
        self._spread = float(reference.features[owner].std)
        self._slot = renamed(reference, owner, injection.size) if injection.kind == "rename" else -1
        self._members = member_columns(reference.features)
        self._pane = pane
        self._rows: dict[int, int] = {}

    def __call__(self, columns: Columns) -> Columns:
        if columns.model != self.model or not len(columns):
            return columns
        if self.since < 0:
            self.since = int(columns.events.min()) + self._after
        rows = np.flatnonzero(columns.events >= self.since)
        panes, counts = np.unique(columns.events[rows] // self._pane, return_counts=True)
        for pane, count in zip(panes.tolist(), counts.tolist(), strict=True):
            self._rows[pane] = self._rows.get(pane, 0) + count
        if self.injection.kind in {"missing", "novel"}:
            picked = (
                hashes_of(columns.offsets[rows], _SEED).astype(np.float64) < self.injection.size * _LARGEST
            )
            rows = rows[picked]
        if not len(rows):
            return columns
        return self._numbers(columns, rows) if self._is_number else self._categories(columns, rows)

    @property
    def rows(self) -> int:
        """Rows that came from the change on."""
        return sum(self._rows.values())

    def rows_before(self, end: int) -> int:
        """Rows that came from the change on and have event times before `end`, in whole panes."""
        return sum(count for pane, count in self._rows.items() if pane * self._pane < end)

    def _numbers(self, columns: Columns, rows: NDArray[np.int64]) -> Columns:
        values = columns.values.copy()
        own, kind, size = values[self._column], self.injection.kind, self.injection.size
        if kind == "missing":
            own[rows] = np.nan
        elif kind == "shift":
            own[rows] += size * self._spread
        else:
            own[rows] *= size
        return renewed(replace(columns, values=values), self._members)

    def _categories(self, columns: Columns, rows: NDArray[np.int64]) -> Columns:
        codes = columns.codes.copy()
        own = codes[self._column]
        if self.injection.kind == "missing":
            own[rows] = 0
            return replace(columns, codes=codes, novel=_forget(columns.novel, self._column, rows))
        rows = rows[own[rows] == self._slot] if self.injection.kind == "rename" else rows[own[rows] != 0]
        own[rows] = NOVEL
        novel = _forget(columns.novel, self._column, rows)
        added = np.full(len(rows), len(novel.names), np.int32)
        novel = Novel(
            row=np.concatenate([novel.row, rows.astype(np.int32)]),
            column=np.concatenate([novel.column, np.full(len(rows), self._column, np.int32)]),
            name=np.concatenate([novel.name, added]),
            names=(*novel.names, f"{NAME} {self.injection.kind}"),
        )
        return replace(columns, codes=codes, novel=novel)


def _forget(novel: Novel, column: int, rows: NDArray[np.int64]) -> Novel:
    """Without what these rows had there."""
    kept = ~((novel.column == column) & np.isin(novel.row, rows))
    return Novel(novel.row[kept], novel.column[kept], novel.name[kept], novel.names)
