"""Rows of a table counted by segment and pane, for the reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN
from kernels.layout import MISSING as NO_VALUE
from monitor.plan import Kind, Path
from monitor.reference.column import boolean_codes, category_codes, column_of
from monitor.reference.profile import FeatureProfile, Panes, Part, SegmentColumn
from monitor.reference.survey import ColumnSurvey, ranked
from monitor.reference.table import FeatureDeclaration, Table
from monitor.reference.tally import Encoder, PaneTally, Placement
from monitor.segments import RESERVED, part_layout

HIDDEN_COLUMN = "\0"
"""Before the name of a declaration of a column that is no feature."""
HIDDEN = f"{HIDDEN_COLUMN}segment "
"""Before that of a column that is read for segments alone."""
ONCE = FIRST_BIN


@dataclass(frozen=True, slots=True)
class SegmentDeclaration:
    """One column that the reference is also to be counted by.

    feature  name of the feature it is; "" for a column of its own, then at `path`
    values   that have a segment of their own; () and `top`: the `top` ones with most rows
    """

    name: str
    feature: str = ""
    path: Path = ()
    values: tuple[str, ...] = ()
    top: int = 0

    @property
    def hidden(self) -> FeatureDeclaration | None:
        """The declaration of a column of its own."""
        if self.feature:
            return None
        return FeatureDeclaration(HIDDEN + self.name, path=self.path, kind=Kind.CATEGORICAL)


@dataclass(slots=True)
class Column:
    """One declared column while its rows are counted."""

    declaration: SegmentDeclaration
    source: FeatureDeclaration
    kind: Kind
    values: tuple[str, ...]
    tally: PaneTally = field(default_factory=PaneTally)
    once: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """int64[features, parts]: rows whose category occurs once in the whole reference."""

    def parts(self, table: Table) -> NDArray[np.int64]:
        """The part of each row: its value's, then `other`, then `missing`."""
        slots = {value: FIRST_BIN + at for at, value in enumerate(self.values)}
        encode = boolean_codes if self.kind is Kind.BOOLEAN else category_codes
        codes = encode(column_of(table, self.source), slots).astype(np.int64)
        rest = len(self.values)
        return np.where(codes >= FIRST_BIN, codes - FIRST_BIN, np.where(codes == NO_VALUE, rest + 1, rest))


def segment_columns(
    declared: Sequence[SegmentDeclaration],
    surveys: Sequence[ColumnSurvey],
    profiles: Sequence[FeatureProfile],
) -> list[Column]:
    """What each declared column is counted by; `surveys` of features and of columns of their own."""
    known = {column.feature.name: column for column in surveys}
    kinds = {profile.name: profile.kind for profile in profiles}
    found = []
    for one in declared:
        column = known[one.feature or HIDDEN + one.name]
        kind = kinds.get(one.feature, Kind.CATEGORICAL)
        values = one.values
        if kind is Kind.BOOLEAN:
            values = ("false", "true")
        elif not values:
            every = (category for category, _ in ranked(column.categories) if category not in RESERVED)
            values = tuple(value for _, value in zip(range(one.top), every, strict=False))
        found.append(Column(one, column.feature, kind, values))
    return found


def tally_segments(
    chunks: Iterable[Table],
    columns: Sequence[Column],
    encoder: Encoder,
    surveys: Sequence[ColumnSurvey],
    place: Placement,
    whole: Panes,
    size: int,
) -> tuple[SegmentColumn, ...]:
    """Count all rows once more, by the segments of each column. `whole`: panes of `size` of all rows."""
    if not columns:
        return ()
    encoder = replace(encoder, layout=part_layout(encoder.layout))
    rare = [_once(survey, profile) for survey, profile in zip(surveys, encoder.profiles, strict=False)]
    for column in columns:
        column.once = np.zeros((len(rare), len(column.values) + 2), np.int64)
    for chunk in chunks:
        panes = place(chunk)
        singles = [
            _rows_of(chunk, feature, names) for feature, names in zip(encoder.features, rare, strict=True)
        ]
        for column in columns:
            parts, width = column.parts(chunk), len(column.values) + 2
            for cell, cells in encoder.counted(chunk, np.where(panes >= 0, panes * width + parts, -1)):
                column.tally.add(cell, cells)
            for at, rows in enumerate(singles):
                column.once[at] += np.bincount(parts[rows], minlength=width)
    return tuple(_assembled(column, whole, max(size, 1)) for column in columns)


def _once(survey: ColumnSurvey, profile: FeatureProfile) -> frozenset[str]:
    """Categories that occur in one row."""
    if profile.kind is not Kind.CATEGORICAL:
        return frozenset()
    return frozenset(name for name, rows in survey.categories.items() if rows == 1)


def _rows_of(table: Table, feature: FeatureDeclaration, names: frozenset[str]) -> NDArray[np.int64]:
    if not names:
        return np.empty(0, np.int64)
    return np.flatnonzero(category_codes(column_of(table, feature), dict.fromkeys(names, ONCE)) == ONCE)


def _assembled(column: Column, whole: Panes, size: int) -> SegmentColumn:
    width = len(column.values) + 2
    found = column.tally.panes(1)
    of_pane, part = np.divmod(found.starts, width)
    rows = np.bincount(part, found.rows, minlength=width)
    parts = []
    for at in range(width):
        own = np.flatnonzero(part == at)
        into = np.searchsorted(whole.starts, of_pane[own] * size)
        novelty = column.once[:, at] / max(rows[at], 1.0)
        parts.append(Part(_spread(found, own, into, whole), np.minimum(novelty, 1.0)))
    return SegmentColumn(column.declaration.name, column.values, tuple(parts))


def _spread(found: Panes, own: NDArray[np.int64], into: NDArray[np.int64], whole: Panes) -> Panes:
    """The cells `own` as panes of the whole, the others of which are empty."""
    indptr, slots, values = _rows_taken(found.indptr, (found.slots, found.values), own, into, len(whole))
    latency = _rows_taken(
        found.latency_indptr, (found.latency_bins, found.latency_values), own, into, len(whole)
    )
    rows, errors = np.zeros(len(whole), np.int64), np.zeros(len(whole), np.int64)
    rows[into], errors[into] = found.rows[own], found.errors[own]
    return Panes(whole.starts, indptr, slots, values, rows, errors, *latency)


def _rows_taken(
    indptr: NDArray[np.int64],
    columns: tuple[NDArray[np.int32], NDArray[np.int64]],
    own: NDArray[np.int64],
    into: NDArray[np.int64],
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    sizes = np.zeros(count, np.int64)
    sizes[into] = np.diff(indptr)[own]
    spans = [np.arange(indptr[row], indptr[row + 1]) for row in own.tolist()]
    at = np.concatenate([np.empty(0, np.int64), *spans])
    return np.concatenate([[0], np.cumsum(sizes)]), columns[0][at], columns[1][at]
