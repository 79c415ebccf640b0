"""Parquet files as tables; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind, Path, TimeUnit
from monitor.reference.csv_file import known_unit
from monitor.reference.moment import guess_unit
from monitor.reference.paths import format_path
from monitor.reference.selection import Selection, assemble, resolve, settled
from monitor.reference.table import FeatureDeclaration, Table

SCALAR, TIME, VECTOR, LIST = "scalar", "time", "vector", "list"
"""What a column holds: one value, a point in time, a list of fixed length, a list."""
CHUNK = 65_536
"""Rows unpacked at a time."""


@dataclass(slots=True)
class ParquetTables:
    """A Parquet file, or a folder of them in the order of their names.

    Read once per pass of the build, the needed columns only, CHUNK rows in memory. Fields of
    structs are columns named by their dotted path. Lists of numbers are vectors: those of fixed size,
    and others where a feature of kind vector is declared. Other lists and maps are left out.
    """

    path: str
    selection: Selection
    features: tuple[FeatureDeclaration, ...] = ()
    notes: tuple[str, ...] = ()
    rows: int = 0
    _files: list[str] = field(default_factory=list)
    _found: dict[str, Path] = field(default_factory=dict)
    _times: set[str] = field(default_factory=set)
    _lists: set[str] = field(default_factory=set)
    """Columns of lists that may differ in length: vectors where they are declared so."""
    _arrow: Any = None

    def __post_init__(self) -> None:
        self._arrow, parquet = load_arrow()
        self._files = _files(self.path)
        self._found = {}
        for name in self._files:
            try:
                file = parquet.ParquetFile(name)
            except (OSError, self._arrow.ArrowException) as error:
                raise ReferenceInvalid(
                    f"the file is not readable ({error}) - {name} - a Parquet file is right"
                ) from error
            with file:
                self.rows += file.metadata.num_rows
                for text, path, leaf in _leaves(self._arrow, file.schema_arrow, ()):
                    self._found.setdefault(text, path)
                    if leaf == TIME:
                        self._times.add(text)
                    elif leaf == LIST:
                        self._lists.add(text)
        self._leave_out_lists()
        available = {
            text: path if len(path) > 1 else (*self.selection.prefix, *path)
            for text, path in self._found.items()
        }
        self.selection = settled(self.selection, available)
        self._leave_out_times()
        self.features = resolve(self.selection, available, where=self.path)
        self._guess()

    def __iter__(self) -> Iterator[Table]:
        integral = set()
        for columns, types in self._chunks(self._needed()):
            integral |= {name for name, kind in types.items() if self._arrow.types.is_integer(kind)}
            yield assemble(columns, self.selection, integral=frozenset(integral), where=self.path)

    def _needed(self) -> list[str]:
        return list(dict.fromkeys([*self.selection.roles, *(feature.source for feature in self.features)]))

    def _leave_out_lists(self) -> None:
        declared = [feature for feature in self.selection.features or () if feature.kind is Kind.VECTOR]
        wanted = {name for one in declared for name in (one.source, one.name, format_path(one.live_path))}
        for text in self._lists - wanted:
            if not any(self._found[text] == one.path for one in declared):
                del self._found[text]

    def _leave_out_times(self) -> None:
        """A point in time is no feature: its distribution always moves."""
        left_out = sorted(self._times - {self.selection.time} - self.selection.exclude)
        if left_out and self.selection.features is None:
            self.selection = replace(self.selection, exclude=self.selection.exclude | set(left_out))
            self.notes = (f"columns of times left out: {', '.join(left_out)}",)

    def _guess(self) -> None:
        selection = self.selection
        if not selection.time or selection.time_unit is not None:
            return
        for columns, _ in self._chunks([selection.time]):
            column = columns[selection.time]
            unit = None if column.dtype.kind == "M" else guess_unit(column[:1000].tolist())
            is_time = column.dtype.kind == "M"
            known = TimeUnit.NANOSECONDS if is_time else known_unit(unit, selection.time, where=self.path)
            self.selection = replace(selection, time_unit=known)
            return

    def _chunks(self, names: list[str]) -> Iterator[tuple[dict[str, NDArray[Any]], dict[str, Any]]]:
        _, parquet = load_arrow()
        rows = CHUNK // 16 if any(feature.kind is Kind.VECTOR for feature in self.features) else CHUNK
        roots = list(dict.fromkeys(str(self._found[name][0]) for name in names))
        for path in self._files:
            try:
                with parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches(rows, columns=roots):
                        arrays = {name: self._pick(batch, self._found[name]) for name in names}
                        yield (
                            {name: to_numpy(self._arrow, array) for name, array in arrays.items()},
                            {name: array.type for name, array in arrays.items()},
                        )
            except (OSError, KeyError, self._arrow.ArrowException) as error:
                raise ReferenceInvalid(
                    f"the file is not readable ({error}) - {path} - a Parquet file with the columns"
                    f" {', '.join(names)} is right"
                ) from error

    def _pick(self, batch: Any, path: Path) -> Any:
        array = batch.column(path[0])
        for step in path[1:]:
            array = self._arrow.compute.struct_field(array, step)
        return array


def load_arrow() -> tuple[ModuleType, ModuleType]:
    """pyarrow and its Parquet part. Raises ReferenceInvalid with the command that installs it."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        from pyarrow import parquet
    except ImportError as error:
        raise ReferenceInvalid(
            "reading Parquet needs pyarrow - this installation - run: pip install 'driftline[parquet]'"
        ) from error
    return pa, parquet


def to_numpy(arrow: Any, array: Any) -> NDArray[Any]:
    """A column as `Table` holds it: float64, integers, bool, datetime64 or object."""
    types, kind = arrow.types, array.type
    if types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if types.is_boolean(kind) and array.null_count == 0:
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if types.is_timestamp(kind) or types.is_date(kind):
        return np.asarray(array.cast(arrow.timestamp("ms"), safe=False).to_numpy(zero_copy_only=False))
    if types.is_decimal(kind) or types.is_floating(kind) or types.is_null(kind):
        return np.asarray(array.cast(arrow.float64()).to_numpy(zero_copy_only=False), np.float64)
    if types.is_integer(kind):
        plain = array if array.null_count == 0 else array.cast(arrow.float64(), safe=False)
        return np.asarray(plain.to_numpy(zero_copy_only=False))
    if _is_list(types, kind):
        return _vectors(arrow, array)
    return np.array([_scalar(value) for value in array.to_pylist()], object)


def _vectors(arrow: Any, array: Any) -> NDArray[Any]:
    """float64[rows, length], NaN where null; a column of lists where lengths differ or none is known."""
    present = array.filter(array.is_valid())
    lengths = set(arrow.compute.list_value_length(present).to_pylist())
    if arrow.types.is_fixed_size_list(array.type):
        lengths = {array.type.list_size}
    if len(lengths) != 1:
        column = np.empty(len(array), object)
        column[:] = [*array.to_pylist(), None][:-1]
        return column
    out = np.full((len(array), lengths.pop()), np.nan)
    flat = present.flatten().cast(arrow.float64()).to_numpy(zero_copy_only=False)
    out[array.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(len(present), out.shape[1])
    return out


def _is_list(types: Any, kind: Any) -> bool:
    """Whether a column holds lists of numbers."""
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _leaves(arrow: Any, fields: Any, above: Path) -> Iterator[tuple[str, Path, str]]:
    """(column, path, what it holds) of every field that is a scalar or a list of numbers."""
    for one in fields:
        path = (*above, one.name)
        if arrow.types.is_struct(one.type):
            yield from _leaves(arrow, one.type, path)
            continue
        leaf = SCALAR
        if _is_list(arrow.types, one.type):
            leaf = VECTOR if arrow.types.is_fixed_size_list(one.type) else LIST
        elif arrow.types.is_nested(one.type) and not arrow.types.is_dictionary(one.type):
            continue
        elif arrow.types.is_timestamp(one.type) or arrow.types.is_date(one.type):
            leaf = TIME
        yield (format_path(path) if above else one.name), path, leaf


def _files(path: str) -> list[str]:
    place = FilePath(path)
    if not place.is_dir():
        return [path]
    found = sorted(str(file) for file in place.rglob("*.parquet"))
    if not found:
        raise ReferenceInvalid(f"no Parquet files - {path} - a folder of *.parquet files is right")
    return found
