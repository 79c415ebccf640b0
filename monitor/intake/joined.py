"""What labels are joined by: the id of a row, and the prediction or label itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING
from monitor.columns import Batch, Columns
from monitor.intake.fault import decode_all
from monitor.intake.rows import CHUNK, SCALAR
from monitor.intake.schema import Schema
from monitor.novel import hash64
from monitor.plan import JoinPlan, Kind, ModelPlan, Path
from monitor.reference.category import canonical
from monitor.segments import PREDICTION


class Read(NamedTuple):
    """Columns that are read for the join alone: int32[rows] codes of classes, or float64[rows] numbers."""

    outcome: NDArray[np.int32] | None
    """None: it is a column of the features."""
    label: NDArray[np.int32] | NDArray[np.float64] | None
    """None: labels come on a topic of their own."""


class Joined:
    """Reads them for one model of one source: 1.5 us a record, as its id is read on its own."""

    def __init__(self, plan: ModelPlan, path: Path) -> None:
        assert plan.join is not None
        self._join: JoinPlan = plan.join
        self._path = path
        self._schema = Schema({path: SCALAR}) if plan.join.source else None
        by_class = plan.join.kind == "class" or (plan.join.is_label and plan.join.kind == "score")
        numeric = [feature.name for feature in plan.features if feature.kind is Kind.NUMERIC]
        name = "label" if plan.join.is_label else PREDICTION
        self._column = -1 if by_class else numeric.index(name)

    def apart(self, columns: Columns) -> tuple[Columns, Read]:
        """The columns without those that are hidden for the join, which stand behind all others; and these."""
        codes, values, join = columns.codes, columns.values, self._join
        if join.is_label:  # its only column is no other
            return columns, Read(codes[-1] if self._column < 0 else None, None)
        outcome, label = None, None
        if not join.source and join.kind == "number":
            values, label = values[:-1], values[-1]
        elif not join.source:
            codes, label = codes[:-1], codes[-1]
        if join.kind == "class":
            codes, outcome = codes[:-1], codes[-1]
        return replace(columns, codes=codes, values=values), Read(outcome, label)

    def add(self, columns: Columns, batch: Batch, read: Read) -> Columns:
        """The columns with ids and outcomes, or with labels and outcomes."""
        outcome = (
            _floats(columns.values[self._column]) if read.outcome is None else self._classes(read.outcome)
        )
        if read.label is None:
            return replace(columns, ids=self._ids(batch, columns.index), outcome=outcome)
        label = _floats(read.label) if self._join.kind == "number" else self._classes(read.label)
        return replace(columns, label=label, outcome=outcome)

    def _classes(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        found = codes >= FIRST_BIN
        if self._join.kind == "class":
            found = np.where(found, codes - FIRST_BIN, len(self._join.classes))
        return np.asarray(np.where(codes == MISSING, np.nan, found), np.float32)

    def _ids(self, batch: Batch, index: NDArray[np.int64]) -> NDArray[np.uint64]:
        assert self._schema is not None
        found = np.zeros(len(index), np.uint64)
        places = index.tolist()
        for start in range(0, len(places), CHUNK):
            part: Sequence[bytes | None] = [batch.values[place] for place in places[start : start + CHUNK]]
            records, faults = decode_all(self._schema.decode, part)
            kept = [at for at in range(len(part)) if at not in faults]
            values = self._schema.columns(records)[self._path]
            hashes = [
                0 if value is None or value == "" else max(hash64(canonical(value)), 1) for value in values
            ]
            found[start + np.array(kept, np.int64)] = np.array(hashes, np.uint64)
        return found


def _floats(values: NDArray[Any]) -> NDArray[np.float32]:
    """What is too large for single precision is infinite, and so is no prediction."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)
