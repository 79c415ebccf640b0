"""Step 2, scan: the bytes of a batch to `Columns` and `Reject`s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.columns import Batch, Columns, Reject
from monitor.errors import IntakeError
from monitor.groups import member_columns, read_plan, with_groups
from monitor.intake.combine import combine
from monitor.intake.convert import names
from monitor.intake.fault import decode_all
from monitor.intake.gate import Gate, clip
from monitor.intake.joined import Joined
from monitor.intake.plausible import sift
from monitor.intake.rows import SCALAR, Rows
from monitor.intake.scanner import scanner_of
from monitor.intake.schema import Schema, show
from monitor.names import Reason
from monitor.plan import ModelPlan, SourcePlan
from monitor.reference.profile import Reference
from monitor.segments import hidden

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
    declined: int = 0
    """Records that the compiled scanner left to the slower decoder, rejects among them."""


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
        read = {name: _with_hidden(models[name]) for name in source.models}
        self._hidden = {name: len(models[name].segments) for name in source.models}
        self._joined = {
            name: Joined(models[name], source.id) for name in source.models if models[name].join is not None
        }
        self._members = {name: member_columns(models[name].features) for name in source.models}
        self._rows = {name: Rows(source, read[name], references.get(name)) for name in source.models}
        found = {name: scanner_of(source, read[name], references.get(name)) for name in source.models}
        self._scanners = {name: scanner for name, scanner in found.items() if scanner is not None}
        self._guess = next(iter(self._scanners), "")
        """The model that most records of the last batch named."""
        self._source = source
        self._only = source.models[0] if not source.model else ""
        self._gate = Gate(max_bytes=source.max_bytes, max_depth=source.max_depth)
        self._peek = Schema({source.model: SCALAR}) if source.model else None
        self.unknown: dict[str, int] = {}
        """Records by the unknown model they name, at most UNKNOWN_KEPT names."""

    def scan(self, batch: Batch) -> Scanned:
        """Rows and rejects of one batch."""
        columns, declined = self._scan(batch)
        positions, rejects = self._admit(batch, declined)
        if self._peek is None or not positions:
            chosen = {self._only: positions}
        else:
            chosen = self._route(self._peek, batch, positions, rejects)
        for name, rows in self._rows.items():
            if name not in columns or chosen.get(name):
                found, refused = rows.read(batch, chosen.get(name, ()))
                columns[name] = combine(columns[name], found) if name in columns else found
                rejects.extend(refused)
        for name in columns:
            columns[name], refused = sift(columns[name], self._source)
            rejects.extend(refused)
        rejects.sort(key=lambda reject: reject.index)
        told = tuple(self._told(name, columns[name], batch) for name in self._rows)
        return Scanned(told, tuple(rejects), len(declined))

    def use_scanner(self, *, active: bool) -> None:
        """Scan with compiled kernels, or leave every record to the slower decoder: the results are equal."""
        self._guess = next(iter(self._scanners), "") if active else ""

    def _scan(self, batch: Batch) -> tuple[dict[str, Columns], list[int]]:
        """What the compiled scanners take, and the positions of everything else, ascending."""
        if not self._guess:
            return {}, list(range(len(batch)))
        first = self._scanners[self._guess].read(batch, None)
        columns, declined = {self._guess: first.columns}, first.declined
        for name, positions in first.others.items():
            scanner = self._scanners.get(name)
            if scanner is None:
                declined += positions
                continue
            found = scanner.read(batch, np.array(positions))
            columns[name] = found.columns
            declined += found.declined
            declined += [position for other in found.others.values() for position in other]
        self._guess = max(columns, key=lambda name: len(columns[name]))
        return columns, sorted(declined)

    def _admit(self, batch: Batch, declined: Sequence[int]) -> tuple[list[int], list[Reject]]:
        """Which of the records at `declined` may be decoded, and the rejects among them."""
        if not declined:
            return [], []
        places, rejects = self._gate.admit(_pick(batch.values, declined), self._only)
        for reject in rejects:
            reject.index = declined[reject.index]
        return [declined[place] for place in places], rejects

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

    def _told(self, name: str, columns: Columns, batch: Batch) -> Columns:
        """The rows of a model as the fold takes them: hidden columns are no features."""
        joined, hidden = self._joined.get(name), self._hidden[name]
        if joined is None:
            return with_groups(_apart(columns, hidden), self._members[name])
        columns, read = joined.apart(columns)
        return joined.add(with_groups(_apart(columns, hidden), self._members[name]), batch, read)

    def _count(self, name: str) -> None:
        known = name if name in self.unknown or len(self.unknown) < UNKNOWN_KEPT else ""
        self.unknown[known] = self.unknown.get(known, 0) + 1


def _with_hidden(plan: ModelPlan) -> ModelPlan:
    read = read_plan(plan)
    return replace(read, features=(*read.features, *hidden(plan)))


def _apart(columns: Columns, hidden: int) -> Columns:
    """Columns whose last `hidden` codes say which segments rows belong to."""
    if not hidden:
        return columns
    last = len(columns.codes) - hidden
    return replace(columns, codes=columns.codes[:last], segments=columns.codes[last:])


def _pick(values: Sequence[bytes | None], positions: Sequence[int]) -> Sequence[bytes | None]:
    return list(map(values.__getitem__, positions))
