"""What labels are joined by: the id of a row, and the prediction or label itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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


class Joined:
    """Reads them for one model of one source: 1.5 us a record, as its id is read on its own."""

    def __init__(self, plan: ModelPlan, path: Path) -> None:
        assert plan.join is not None
        self._join: JoinPlan = plan.join
        self._path = path
        self._schema = Schema({path: SCALAR})
        by_class = plan.join.kind == "class" or (plan.join.is_label and plan.join.kind == "score")
        numeric = [feature.name for feature in plan.features if feature.kind is Kind.NUMERIC]
        name = "label" if plan.join.is_label else PREDICTION
        self._column = -1 if by_class else numeric.index(name)

    @property
    def reads_class(self) -> bool:
        """Whether the last of the codes that are read says it: hidden behind all others, of a label its only one."""
        return self._column < 0

    @property
    def is_label(self) -> bool:
        return self._join.is_label

    def add(self, columns: Columns, batch: Batch, codes: NDArray[np.int32] | None) -> Columns:
        """The columns with ids and outcomes; `codes` int32[rows] are of the class that was predicted or labelled."""
        return replace(columns, ids=self._ids(batch, columns.index), outcome=self._outcome(columns, codes))

    def _ids(self, batch: Batch, index: NDArray[np.int64]) -> NDArray[np.uint64]:
        found = np.zeros(len(index), np.uint64)
        places = index.tolist()
        for start in range(0, len(places), CHUNK):
            part: Sequence[bytes | None] = [batch.values[place] for place in places[start : start + CHUNK]]
            records, faults = decode_all(self._schema.decode, part)
            kept = [at for at in range(len(part)) if at not in faults]
            values = self._schema.columns(records)[self._path]
            hashes = [max(hash64(canonical(value)), 1) if value is not None else 0 for value in values]
            found[start + np.array(kept, np.int64)] = np.array(hashes, np.uint64)
        return found

    def _outcome(self, columns: Columns, codes: NDArray[np.int32] | None) -> NDArray[np.float32]:
        if codes is None:
            return np.asarray(columns.values[self._column], np.float32)
        found = codes >= FIRST_BIN
        if self._join.kind == "class":
            found = np.where(found, codes - FIRST_BIN, len(self._join.classes))
        return np.asarray(np.where(codes == MISSING, np.nan, found), np.float32)
