"""The records of one model to `Columns`, in chunks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.columns import NOTHING_NOVEL, Batch, Columns, Novel, Reject
from monitor.intake import convert
from monitor.intake.fault import Fault, decode_all
from monitor.intake.schema import ANYTHING, Schema, Types, Vector, show
from monitor.intake.times import LATEST_MS, milliseconds
from monitor.names import CHAMPION, Reason
from monitor.plan import FeaturePlan, Kind, ModelPlan, Path, SourcePlan, TimeUnit
from monitor.reference.category import canonical
from monitor.reference.profile import Reference

CHUNK = 512
"""Records decoded at a time. Fewer than the 700 tuples after which Python looks for garbage: whole
batches of 5,000 took half as long again, in collections that found nothing."""

NUMBER: Types = frozenset({float})
NUMBER_OR_TEXT: Types = frozenset({float, str})
BOOLEAN: Types = frozenset({bool})
SCALAR: Types = frozenset({str, int, float, bool})
TIME: Types = frozenset({int, float, str})


@dataclass(slots=True)
class _Arrays:
    """What the chunks of one batch are written to; `rows` of them are used."""

    index: NDArray[np.int64]
    events: NDArray[np.int64]
    values: NDArray[np.float64]
    codes: NDArray[np.int32]
    vectors: NDArray[np.float64] | None
    latency: NDArray[np.float64]
    errors: NDArray[np.uint8]
    group: NDArray[np.int32]
    groups: convert.Numbers[tuple[str, str]]
    novel: list[tuple[NDArray[np.int32], int, list[int]]]
    """Rows, categorical column, numbers in `names`."""
    names: convert.Numbers[str]
    rows: int = 0


class Rows:
    """Decodes the records of one model. Raises IntakeError when its paths contradict each other.

    Not shared between threads. A record is taken or rejected by its bytes alone, never by its
    neighbours in the batch.
    """

    def __init__(self, source: SourcePlan, plan: ModelPlan, reference: Reference | None) -> None:
        self.model = plan.name
        self._source = source
        self._numeric = [f for f in plan.features if f.kind is Kind.NUMERIC]
        self._categorical = [f for f in plan.features if f.kind in {Kind.CATEGORICAL, Kind.BOOLEAN}]
        self._vectors = [f for f in plan.features if f.kind is Kind.VECTOR]
        profiles = {p.name: p for p in reference.features} if reference is not None else {}
        self._slots = [convert.slots_of(f, profiles.get(f.name)) for f in self._categorical]
        self._flags = convert.Flags()
        self._latency_ms = convert.LATENCY_MS.get(source.latency_unit, 1.0)
        wanted = _wanted(source, plan.features)
        merged = _merged(wanted)
        if source.model:
            Schema(_merged([*wanted, (source.model, SCALAR)]))  # raises where the model's path contradicts
        self._schema = Schema(merged)
        self._checked = [(path, types) for path, types in wanted if types != merged[path]]
        self._spelled = [f.path for f in self._numeric if f.numbers_in_strings]

    def read(self, batch: Batch, positions: Sequence[int]) -> tuple[Columns, list[Reject]]:
        """The rows among the records at `positions` (ascending, none null), and the rejects."""
        arrays = self._allocate(len(positions))
        rejects: list[Reject] = []
        for start in range(0, len(positions), CHUNK):
            self._chunk(batch, positions[start : start + CHUNK], arrays, rejects)
        return self._columns(batch, arrays), rejects

    def _chunk(self, batch: Batch, positions: Sequence[int], arrays: _Arrays, rejects: list[Reject]) -> None:
        values = batch.values
        records, faults = decode_all(self._schema.decode, [values[p] for p in positions])
        rejects.extend(Reject(positions[i], *fault, self.model) for i, fault in faults.items())
        if faults:
            positions = [p for i, p in enumerate(positions) if i not in faults]
        columns = self._schema.columns(records)
        events, wrong = self._examine(columns, batch.timestamps[positions])
        if wrong:
            rejects.extend(Reject(positions[i], *fault, self.model) for i, fault in wrong.items())
            kept = [i for i in range(len(positions)) if i not in wrong]
            positions = [positions[i] for i in kept]
            columns = self._schema.columns([records[i] for i in kept])
            events = events[kept]
        if positions:
            self._fill(columns, arrays, slice(arrays.rows, arrays.rows + len(positions)))
            arrays.index[arrays.rows : arrays.rows + len(positions)] = positions
            arrays.events[arrays.rows : arrays.rows + len(positions)] = events
            arrays.rows += len(positions)

    def _examine(
        self, columns: dict[Path, tuple[Any, ...]], timestamps: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], dict[int, Fault]]:
        """Event times, and what the decoder's types could not say."""
        faults: dict[int, Fault] = {}
        for path, types in self._checked:
            for row in _mistyped(columns[path], types):
                expected = " or ".join(sorted(kind.__name__ for kind in types))
                faults[row] = (Reason.WRONG_TYPE, f"wrong type - {show(path)} - must be {expected} or null")
        for path in self._spelled:
            for row, value in enumerate(columns[path]):
                if isinstance(value, str) and convert.number(value) is None:
                    detail = f"text that is no number - {show(path)} - must be a number, as text or not"
                    faults[row] = (Reason.WRONG_TYPE, detail)
        return self._times(columns, timestamps, faults), faults

    def _times(
        self, columns: dict[Path, tuple[Any, ...]], timestamps: NDArray[np.int64], faults: dict[int, Fault]
    ) -> NDArray[np.int64]:
        path = self._source.time
        if not path:
            for row in np.flatnonzero((timestamps < 0) | (timestamps > LATEST_MS)).tolist():
                detail = "no record timestamp - the record - set time: to the path of the event time"
                faults[row] = (Reason.MISSING_FIELD if timestamps[row] == -1 else Reason.BAD_TIME, detail)
            return timestamps
        column: Sequence[Any] = columns[path]
        if None in column:
            absent = [row for row, value in enumerate(column) if value is None]
            detail = f"no event time - {show(path)} - must be present"
            faults.update((row, (Reason.MISSING_FIELD, detail)) for row in absent)
            filler = "1970-01-01T00:00:00Z" if self._source.time_unit is TimeUnit.RFC3339 else 0
            column = [filler if value is None else value for value in column]
        events, bad = milliseconds(column, self._source.time_unit)
        for row, detail in bad.items():
            faults.setdefault(row, (Reason.BAD_TIME, f"not an event time - {show(path)} - {detail}"))
        return events

    def _fill(self, columns: dict[Path, tuple[Any, ...]], arrays: _Arrays, rows: slice) -> None:
        source = self._source
        for at, feature in enumerate(self._numeric):
            column: Sequence[Any] = columns[feature.path]
            if feature.numbers_in_strings:
                column = [convert.number(v) if isinstance(v, str) else v for v in column]
            convert.numbers(column, arrays.values[at, rows])
        count = rows.stop - rows.start
        for at, feature in enumerate(self._categorical):
            column = columns[feature.path]
            codes = np.fromiter(map(self._slots[at].__getitem__, column), np.int32, count)
            arrays.codes[at, rows] = codes
            found = np.flatnonzero(np.isin(codes, convert.unnamed(feature))).astype(np.int32)
            if len(found):
                names = [arrays.names[convert.shorten(canonical(column[row]))] for row in found.tolist()]
                arrays.novel.append((found + np.int32(rows.start), at, names))
        self._fill_vectors(columns, arrays, rows)
        if source.latency:
            convert.numbers(columns[source.latency], arrays.latency[rows])
        if source.error:
            arrays.errors[rows] = convert.flags(columns[source.error], self._flags)
        if source.version or source.variant:
            versions = convert.names(columns[source.version], "") if source.version else [""] * count
            variants = (
                convert.names(columns[source.variant], CHAMPION) if source.variant else [CHAMPION] * count
            )
            keys = zip(versions, variants, strict=True)
            arrays.group[rows] = np.fromiter(map(arrays.groups.__getitem__, keys), np.int32, count)

    def _fill_vectors(self, columns: dict[Path, tuple[Any, ...]], arrays: _Arrays, rows: slice) -> None:
        if arrays.vectors is None:
            return
        low = 0
        for feature in self._vectors:
            high = low + feature.length
            convert.vectors(columns[feature.path], arrays.vectors[rows, low:high])
            low = high

    def _allocate(self, rows: int) -> _Arrays:
        return _Arrays(
            index=np.empty(rows, np.int64),
            events=np.empty(rows, np.int64),
            values=np.empty((len(self._numeric), rows)),
            codes=np.empty((len(self._categorical), rows), np.int32),
            vectors=np.empty((rows, sum(f.length for f in self._vectors))) if self._vectors else None,
            latency=np.full(rows, np.nan),
            errors=np.zeros(rows, np.uint8),
            group=np.zeros(rows, np.int32),
            groups=convert.Numbers(),
            novel=[],
            names=convert.Numbers(),
        )

    def _columns(self, batch: Batch, arrays: _Arrays) -> Columns:
        rows = arrays.rows
        index = arrays.index[:rows]
        if not (self._source.version or self._source.variant):
            arrays.groups[("", CHAMPION)] = 0
        return Columns(
            model=self.model,
            index=index,
            offsets=batch.offsets[index],
            timestamps=batch.timestamps[index],
            events=arrays.events[:rows],
            values=np.ascontiguousarray(arrays.values[:, :rows]),
            codes=np.ascontiguousarray(arrays.codes[:, :rows]),
            latency=convert.scaled(arrays.latency[:rows], self._latency_ms),
            errors=arrays.errors[:rows],
            group=arrays.group[:rows],
            groups=tuple(arrays.groups),
            novel=_novel(arrays),
            vectors=arrays.vectors[:rows] if arrays.vectors is not None else None,
        )


def _novel(arrays: _Arrays) -> Novel:
    if not arrays.novel:
        return NOTHING_NOVEL
    return Novel(
        row=np.concatenate([rows for rows, _, _ in arrays.novel]),
        column=np.repeat(
            [at for _, at, _ in arrays.novel], [len(rows) for rows, _, _ in arrays.novel]
        ).astype(np.int32),
        name=np.concatenate([names for _, _, names in arrays.novel]).astype(np.int32),
        names=tuple(arrays.names),
    )


def _wanted(source: SourcePlan, features: Sequence[FeaturePlan]) -> list[tuple[Path, Types]]:
    """Every path that is read and the types it may have, once per use."""
    wanted: list[tuple[Path, Types]] = []
    for feature in features:
        if feature.kind is Kind.VECTOR:
            wanted.append((feature.path, frozenset({Vector(feature.length)})))
            continue
        types = {Kind.NUMERIC: NUMBER, Kind.CATEGORICAL: SCALAR, Kind.BOOLEAN: BOOLEAN}[feature.kind]
        wanted.append((feature.path, NUMBER_OR_TEXT if feature.numbers_in_strings else types))
    fields = (
        (source.time, TIME),
        (source.version, SCALAR),
        (source.variant, SCALAR),
        (source.latency, NUMBER),
        (source.error, ANYTHING),
    )
    return wanted + [(path, types) for path, types in fields if path]


def _merged(wanted: Sequence[tuple[Path, Types]]) -> dict[Path, Types]:
    merged: dict[Path, Types] = {}
    for path, types in wanted:
        merged[path] = merged.get(path, frozenset()) | types
    return merged


def _mistyped(column: Sequence[Any], types: Types) -> list[int]:
    """Rows whose value is of none of `types`; for a path that is read in two ways."""
    if types == ANYTHING or set(map(type, column)) <= {*types, type(None)}:
        return []
    return [row for row, value in enumerate(column) if not _fits(value, types)]


def _fits(value: Any, types: Types) -> bool:
    if value is None or type(value) in types:
        return True
    if isinstance(value, list):
        lengths = {one.length for one in types if isinstance(one, Vector)}
        return len(value) in lengths and all(_fits(one, NUMBER) and one is not None for one in value)
    return float in types and type(value) is int and abs(value) < 1 << 1023
