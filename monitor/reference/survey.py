"""First pass over the rows: what the columns hold, before there are bins to count them in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.column import category_counts, column_of, numbers, vectors_of
from monitor.reference.table import FeatureDeclaration, Table

SAMPLE_ROWS = 262_144
"""Rows whose values are kept for quantiles: the rank of the 0.001 quantile is then known to
0.00006, and a feature takes 2 MB. Tables with fewer rows are kept whole. Counts are always exact."""
VECTOR_ROWS = 8_192
"""Vectors kept for centres and scales: a quartile is then known to 1 % of the rows."""
VECTOR_NUMBERS = 1 << 23
"""Most numbers in them, 64 MB."""
LOW_CARDINALITY = 20
"""An undeclared column of integers with at most this many distinct values is categorical."""
CATEGORIES_TRACKED = 200_000
"""Distinct categories counted per feature; beyond, the rarest half is forgotten (about 20 MB)."""


@dataclass(slots=True)
class ColumnSurvey:
    """What is known of one feature's column. `kind` is settled by `settle`."""

    feature: FeatureDeclaration
    text: bool = False
    boolean: bool = False
    integral: bool = True
    distinct: set[float] = field(default_factory=set)
    categories: Counter[str] = field(default_factory=Counter)
    forgotten: bool = False
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """Of the vectors of the sample."""
    finite: int = 0
    mean: float = 0.0
    spread: float = 0.0
    """Sum of squared deviations from the mean."""
    length: int = 0
    """Numbers in a vector."""
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, column: NDArray[Any], kept: NDArray[np.intp], *, integral: bool) -> None:
        """Take in one chunk; `kept` are the rows of the sample, ascending."""
        kind = self.feature.kind
        if kind is Kind.VECTOR or (kind is None and column.ndim == 2):
            self._keep(vectors_of(column, self.feature, length=self.feature.length or self.length))
        elif kind in {Kind.CATEGORICAL, Kind.BOOLEAN}:
            self._count(column)
        elif kind is Kind.NUMERIC:
            self._measure(numbers(column, self.feature), kept)
        elif column.dtype.kind == "b":
            self.boolean = True
            self._count(column)
        elif column.dtype.kind in "iuf":
            self.integral = self.integral and (integral or column.dtype.kind in "iu")
            values = np.asarray(column, np.float64)
            self._measure(values, kept)
            if self.integral and len(self.distinct) <= LOW_CARDINALITY:
                self.distinct.update(np.unique(values[np.isfinite(values)])[: LOW_CARDINALITY + 1].tolist())
                self._count(column)
            elif self.categories:
                self.categories = Counter()
        else:
            types = {type(value) for value in column.tolist()} - {type(None)}
            self.boolean = self.boolean or bool in types
            self.text = self.text or bool(types - {bool})
            self._count(column)

    def settle(self) -> Kind:
        """The declared kind, or the one that the values suggest."""
        if self.feature.kind is not None:
            return self.feature.kind
        if self.length:
            return Kind.VECTOR
        if self.boolean and not self.text:
            return Kind.BOOLEAN
        if self.text or (self.integral and 0 < len(self.distinct) <= LOW_CARDINALITY):
            return Kind.CATEGORICAL
        return Kind.NUMERIC

    def thin(self, kept: Sequence[NDArray[np.bool_]]) -> None:
        """Keep only the marked rows of the sample, chunk by chunk."""
        if self.sample and not self.length:
            self.sample = [values[mask] for values, mask in zip(self.sample, kept, strict=True)]

    def sampled(self) -> NDArray[np.float64]:
        """The finite values of the sample, in row order."""
        values = np.concatenate(self.sample) if self.sample else np.empty(0)
        finite = np.isfinite(values)
        return values if finite.all() else np.asarray(values[finite], np.float64)

    def vectors(self) -> NDArray[np.float64]:
        """The finite vectors of the sample, float64[rows, length]."""
        rows = np.concatenate([np.empty((0, self.length)), *self.sample])
        return np.asarray(rows[np.isfinite(rows).all(axis=1)], np.float64)

    def _keep(self, vectors: NDArray[np.float64]) -> None:
        """Keep VECTOR_ROWS of the vectors that are not missing, those of smallest hash of their number."""
        self.length = vectors.shape[1] if len(vectors) else self.length
        if self.length == 0:
            return
        present = vectors[~np.isnan(vectors).all(axis=1)]
        order = mix(np.arange(self.finite, self.finite + len(present), dtype=np.uint64))
        self.finite += len(present)
        hashes = np.concatenate([self.hashes, order])
        rows = np.concatenate([np.empty((0, self.length)), *self.sample, present])
        limit = max(min(VECTOR_ROWS, VECTOR_NUMBERS // self.length), 2)
        chosen = np.argsort(hashes, kind="stable")[:limit]
        self.hashes, self.sample = hashes[chosen], [rows[chosen]]

    def _count(self, column: NDArray[Any]) -> None:
        self.categories.update(category_counts(column))
        if len(self.categories) > CATEGORIES_TRACKED:
            self.categories = Counter(dict(ranked(self.categories)[: CATEGORIES_TRACKED // 2]))
            self.forgotten = True

    def _measure(self, values: NDArray[np.float64], kept: NDArray[np.intp]) -> None:
        self.sample.append(values[kept])
        if len(values) == 0:
            return
        low, high = float(values.min()), float(values.max())  # NaN where a value is missing
        finite = values
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = values[np.isfinite(values)]
            if len(finite) == 0:
                return
            low, high = float(finite.min()), float(finite.max())
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        with np.errstate(over="ignore", invalid="ignore"):
            # Chan, Golub, LeVeque 1983: pairwise update of mean and squared deviations
            mean = float(np.mean(finite))
            delta = mean - self.mean
            total = self.finite + len(finite)
            away = finite - mean
            away *= away
            self.spread += float(np.sum(away)) + delta * delta * self.finite * len(finite) / total
            self.mean += delta * len(finite) / total
            self.finite = total


@dataclass(slots=True)
class Survey:
    """What the first pass found. `panes`: the distinct numbers of the finest panes, ascending."""

    columns: list[ColumnSurvey]
    rows: int
    timed: bool
    clustered: bool
    sampled: int
    panes: NDArray[np.int64]


def survey(chunks: Iterable[Table], *, features: Sequence[FeatureDeclaration], pane: int) -> Survey:
    """Read all rows once.

    In memory at the end: `SAMPLE_ROWS` values per numeric feature, the counts of at most
    `CATEGORIES_TRACKED` categories per categorical one, and the numbers of the panes that have
    rows. Which rows are sampled depends on their number alone, so the result does not depend on
    how the rows are cut into chunks, except in the last digits of mean and deviation.
    """
    columns = [ColumnSurvey(feature) for feature in features]
    hashes: list[NDArray[np.uint64]] = []
    panes: NDArray[np.int64] = np.empty(0, np.int64)
    limit, rows, timed, clustered = np.uint64(2**64 - 1), 0, None, False
    for chunk in chunks:
        clustered = clustered or chunk.cluster is not None
        timed = _timed(chunk, before=timed)
        order = mix(np.arange(rows, rows + len(chunk), dtype=np.uint64))
        hashes.append(order[order <= limit])
        while sum(map(len, hashes)) > SAMPLE_ROWS:
            limit >>= np.uint64(1)
            masks = [known <= limit for known in hashes]
            hashes = [known[mask] for known, mask in zip(hashes, masks, strict=True)]
            for column in columns:
                column.thin(masks[:-1])
        kept = np.flatnonzero(order <= limit)
        for column in columns:
            column.add(
                column_of(chunk, column.feature), kept, integral=column.feature.source in chunk.integral
            )
        rows += len(chunk)
        if chunk.events is not None and pane:
            panes = np.union1d(panes, _distinct(np.floor_divide(chunk.events, pane)))
    if rows == 0:
        raise ReferenceInvalid("there are no rows - the input of the reference - at least one row is right")
    return Survey(columns, rows, bool(timed), clustered, sum(map(len, hashes)), panes)


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct ones, ascending. Rows mostly come in order of time: then there is little to sort."""
    return np.unique(numbers[np.flatnonzero(np.diff(numbers, prepend=-1))])


def ranked(categories: Counter[str]) -> list[tuple[str, int]]:
    """Categories by falling count; equal counts by name, so that every build agrees."""
    return sorted(categories.items(), key=lambda item: (-item[1], item[0]))


def _timed(chunk: Table, *, before: bool | None) -> bool:
    timed = chunk.events is not None
    if chunk.events is not None and len(chunk.events) and int(chunk.events.min()) < 0:
        raise ReferenceInvalid(
            "event times before 1970 - the time column of the reference - milliseconds since the epoch"
            " are right; check the time unit"
        )
    if before is not None and before != timed:
        raise ReferenceInvalid(
            "some chunks have event times and some have none - the input of the reference - one kind is right"
        )
    return timed


def mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64 (Steele, Lea, Flood 2014): a well-mixed 64-bit hash of each row number."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)
