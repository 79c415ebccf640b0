"""JSON records, of a file or of a topic, as tables."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path as FilePath
from typing import IO, Any, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.intake.convert import number
from monitor.plan import Kind, Path
from monitor.reference.category import canonical
from monitor.reference.csv_file import known_unit
from monitor.reference.moment import guess_unit
from monitor.reference.paths import find, flatten, format_path, outside, vectors_in
from monitor.reference.selection import Selection, assemble, resolve
from monitor.reference.table import FeatureDeclaration, Table

CHUNK = 20_000
"""Records decoded at a time: some 40 MB at 20 fields."""
DISCOVERED = 10_000
"""Records from which the fields and their types are read."""
REFUSED_SHARE = 0.05
"""More unreadable records than this make a reference of the wrong rows, so they are an error."""


class RecordStream(Protocol):
    """Records that can be read several times, always the same ones in the same order.

    Iterating yields (record value, record timestamp in milliseconds or -1).
    """

    name: str
    size: int
    """Records, as far as known."""
    timed: bool
    """Records have timestamps."""

    def __iter__(self) -> Iterator[tuple[bytes | None, int]]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class JsonLines:
    """A file with one JSON record per line, unpacked when it is named .gz; empty lines are skipped."""

    name: str
    size: int = 0
    timed: bool = False

    def __post_init__(self) -> None:
        self.size = sum(1 for _ in self)

    def __iter__(self) -> Iterator[tuple[bytes | None, int]]:
        try:
            with self._open() as file:
                for line in file:
                    if line.strip():
                        yield line, -1
        except (OSError, EOFError) as error:
            raise ReferenceInvalid(
                f"the file cannot be read ({error}) - {self.name} - an existing, readable file is right"
            ) from error

    def close(self) -> None:
        """Nothing is open between passes."""

    def _open(self) -> IO[bytes]:
        if self.name.endswith(".gz"):
            return cast("IO[bytes]", gzip.open(self.name, "rb"))
        return FilePath(self.name).open("rb")


@dataclass(slots=True)
class RecordTables:
    """Records as tables. A field is a column; its path is what a configuration would say.

    Records that live ingest would reject (no JSON object, no event time, text where a number is
    declared) are left out and counted in `refused`; more than REFUSED_SHARE of them are an error.
    Fields that first appear after DISCOVERED records are not found unless they are declared.
    """

    stream: RecordStream
    selection: Selection
    features: tuple[FeatureDeclaration, ...] = ()
    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _paths: dict[str, Path] = field(default_factory=dict)
    _texts: dict[str, bool] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{count} records left out: {why}" for why, count in sorted(self.refused.items()))

    def __post_init__(self) -> None:
        self.rows = self.stream.size
        self.selection = replace(self.selection, record_time=self.selection.record_time and self.stream.timed)
        records = [record for record, _ in islice(self._records(), DISCOVERED)]
        vectors = vectors_in(records)
        columns = {path: found for path, found in discover(records).items() if outside(path, vectors)}
        self._paths = {format_path(path): path for path in (*columns, *vectors)} | dict(self.selection.paths)
        hidden = [own.hidden for own in self.selection.segments if own.hidden is not None]
        for feature in (*(self.selection.features or ()), *self.selection.outcomes, *hidden):
            self._paths.setdefault(format_path(feature.live_path), feature.live_path)
        self.features = tuple(
            self._with_length(one, vectors, records)
            for one in resolve(self.selection, self._paths, where=self.stream.name)
        )
        self._texts = {text: not _numeric(columns.get(path, ())) for text, path in self._paths.items()}
        selection = self.selection
        if selection.time and selection.time_unit is None:
            unit = guess_unit(columns.get(self._paths[selection.time], ())[:1000])
            self.selection = replace(
                selection, time_unit=known_unit(unit, selection.time, where=self.stream.name)
            )

    def _with_length(
        self, feature: FeatureDeclaration, vectors: Mapping[Path, int], records: list[Mapping[str, Any]]
    ) -> FeatureDeclaration:
        """The feature as a vector, if it is declared or found to be one; of the commonest length."""
        path = self._paths[feature.source]
        if feature.length or (feature.kind is not Kind.VECTOR and (feature.kind or path not in vectors)):
            return feature
        found = (find(record, path) for record in records)
        lengths = Counter(len(value) for value in found if isinstance(value, list))
        length = max(lengths, key=lambda one: (lengths[one], one), default=0)
        return replace(feature, kind=Kind.VECTOR, length=length)

    def __iter__(self) -> Iterator[Table]:
        self.refused.clear()
        source = self._records()
        needed = list(dict.fromkeys([*self.selection.roles, *(one.source for one in self.features)]))
        checks = [(self._paths[one.source], one) for one in self.features]
        taken = 0
        rows = CHUNK // 16 if any(one.kind is Kind.VECTOR for one in self.features) else CHUNK
        while batch := list(islice(source, rows)):
            kept = [(record, time) for record, time in batch if self._fits(record, checks)]
            columns, integral = {}, set()
            for name in needed:
                path = self._paths[name]
                columns[name], whole = self._column(name, [find(record, path) for record, _ in kept])
                if whole:
                    integral.add(name)
            taken += len(kept)
            self._refuse_many(taken)
            yield assemble(
                columns,
                self.selection,
                integral=frozenset(integral),
                timestamps=np.array([time for _, time in kept], np.int64),
                where=self.stream.name,
            )

    def _records(self) -> Iterator[tuple[Mapping[str, Any], int]]:
        decoder = msgspec.json.Decoder()
        only = list(self.selection.only.items())
        for value, time in self.stream:
            try:
                record = decoder.decode(value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.refused["no JSON"] += 1
                continue
            if not isinstance(record, dict):
                self.refused["no JSON object"] += 1
            elif all(_name(find(record, path)) in names for path, names in only):
                yield record, time

    def _fits(self, record: Mapping[str, Any], checks: list[tuple[Path, FeatureDeclaration]]) -> bool:
        if self.selection.time and find(record, self._paths[self.selection.time]) is None:
            self.refused["no event time"] += 1
            return False
        for path, feature in checks:
            value = find(record, path)
            if value is not None and not _allowed(value, feature, text=self._texts[feature.source]):
                self.refused[f"{feature.name} is of another kind"] += 1
                return False
        return True

    def _column(self, name: str, values: list[Any]) -> tuple[NDArray[Any], bool]:
        """The column, and whether its numbers are all integers."""
        if self._texts[name]:
            column = np.empty(len(values), object)
            column[:] = [*values, None][:-1]  # lists of one length are no second axis
            return column, False
        integral = all(value is None or type(value) is int for value in values)
        return np.array([np.nan if value is None else float(value) for value in values]), integral

    def _refuse_many(self, taken: int) -> None:
        refused = sum(self.refused.values())
        if refused > REFUSED_SHARE * (taken + refused):
            why, count = self.refused.most_common(1)[0]
            raise ReferenceInvalid(
                f"{refused} of {taken + refused} records cannot be used, {count} of them: {why} -"
                f" {self.stream.name} - at most {REFUSED_SHARE:.0%} would be right"
            )


def _is_vector(value: Any, length: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == (length or len(value))
        and all(type(one) is float or (type(one) is int and abs(one) < 1 << 1023) for one in value)
    )


def discover(records: list[Mapping[str, Any]]) -> dict[Path, list[Any]]:
    """The scalars of the records by path; null and absent are left out, paths of nothing else stay."""
    columns: dict[Path, list[Any]] = {}
    for record in records:
        for path, value in flatten(record):
            column = columns.setdefault(path, [])
            if value is not None:
                column.append(value)
    return columns


def _numeric(values: Any) -> bool:
    """Whether a column is one of numbers; a few texts in it are then the records that are wrong."""
    found = sum(type(value) in {int, float} for value in values)
    return found > 0 and found >= (1 - REFUSED_SHARE) * len(values)


def _name(value: Any) -> str | None:
    return canonical(value) if isinstance(value, str | bool | int | float) and value != "" else None


def _allowed(value: Any, feature: FeatureDeclaration, *, text: bool) -> bool:
    """Whether live ingest would take the value: the kinds of `plan.Kind`, no arrays or objects."""
    if feature.kind is Kind.VECTOR:
        return _is_vector(value, feature.length)
    if feature.kind is Kind.NUMERIC or (feature.kind is None and not text):
        if isinstance(value, str) and feature.numbers_in_strings:
            return number(value) is not None
        return type(value) is float or (type(value) is int and abs(value) < 1 << 1023)
    if feature.kind is Kind.BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, str | bool | int | float)
