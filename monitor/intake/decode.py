"""Step 2, scan: the bytes of a batch to `Columns` and `Reject`s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.columns import Batch, Columns, Reject
from monitor.errors import IntakeError
from monitor.intake.convert import names
from monitor.intake.fault import decode_all
from monitor.intake.gate import Gate, clip
from monitor.intake.rows import SCALAR, Rows
from monitor.intake.schema import Schema, show
from monitor.names import Reason
from monitor.plan import ModelPlan, SourcePlan
from monitor.reference.profile import Reference

UNKNOWN_KEPT = 100
"""Names of unknown models that are counted; later ones are counted together under ""."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What became of a batch: every record is one row of `columns` or one of `rejects`.

    One `Columns` per model of the source, in the order of `SourcePlan.models`, empty ones too.
    Rejects are in the order of the batch.
    """

    columns: tuple[Columns, ...]
    rejects: tuple[Reject, ...]


class Decoder:
    """Reads the records of one source. Lives as long as its plan; belongs to the fold thread.

    Never raises for any bytes. What becomes of a record depends on nothing but the record, its
    offset and its record timestamp. Raises IntakeError at construction when the plan cannot be
    read: contradicting paths, or several models without a path to the model's name.
    """

    def __init__(
        self,
        source: SourcePlan,
        models: Mapping[str, ModelPlan],
        references: Mapping[str, Reference | None],
    ) -> None:
        if not source.model and len(source.models) != 1:
            raise IntakeError(
                f"{len(source.models)} models on one topic - source {source.name} - "
                "set model: to the path of the model's name"
            )
        self._path = source.model
        self._rows = {name: Rows(source, models[name], references.get(name)) for name in source.models}
        self._only = source.models[0] if not source.model else ""
        self._gate = Gate(max_bytes=source.max_bytes, max_depth=source.max_depth)
        self._peek = Schema({source.model: SCALAR}) if source.model else None
        self.unknown: dict[str, int] = {}
        """Records by the unknown model they name, at most UNKNOWN_KEPT names."""

    def scan(self, batch: Batch) -> Scanned:
        """Rows and rejects of one batch."""
        positions, rejects = self._gate.admit(batch.values, self._only)
        if self._peek is None:
            chosen = {self._only: positions}
        else:
            chosen = self._route(self._peek, batch, positions, rejects)
        columns = []
        for name, rows in self._rows.items():
            found, refused = rows.read(batch, chosen.get(name, ()))
            columns.append(found)
            rejects.extend(refused)
        rejects.sort(key=lambda reject: reject.index)
        return Scanned(tuple(columns), tuple(rejects))

    def _route(
        self, peek: Schema, batch: Batch, positions: Sequence[int], rejects: list[Reject]
    ) -> dict[str, list[int]]:
        """Positions by model, from a first look at nothing but the model's name."""
        records, faults = decode_all(peek.decode, _pick(batch.values, positions))
        rejects.extend(Reject(positions[i], *fault) for i, fault in faults.items())
        if faults:
            positions = [p for i, p in enumerate(positions) if i not in faults]
        chosen: dict[str, list[int]] = {name: [] for name in self._rows}
        for position, name in zip(positions, names(peek.columns(records)[self._path], ""), strict=True):
            if name in chosen:
                chosen[name].append(position)
            elif name:
                self._count(name)
                detail = f"unknown model {clip(name)!r} - {show(self._path)} - add it to models:"
                rejects.append(Reject(position, Reason.UNKNOWN_MODEL, detail))
            else:
                detail = f"no model name - {show(self._path)} - must be present"
                rejects.append(Reject(position, Reason.MISSING_FIELD, detail))
        return chosen

    def _count(self, name: str) -> None:
        known = name if name in self.unknown or len(self.unknown) < UNKNOWN_KEPT else ""
        self.unknown[known] = self.unknown.get(known, 0) + 1


def _pick(values: Sequence[bytes | None], positions: Sequence[int]) -> Sequence[bytes | None]:
    return list(map(values.__getitem__, positions))
