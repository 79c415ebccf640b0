"""Which columns of a file or fields of a record mean what."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.intake.convert import Flags, flags
from monitor.plan import Path, TimeUnit
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.moment import event_times
from monitor.reference.paths import format_path
from monitor.reference.segment_tally import HIDDEN, HIDDEN_COLUMN, SegmentDeclaration
from monitor.reference.table import FeatureDeclaration, Table

PREDICTION = "prediction"
PER_MS = {
    TimeUnit.SECONDS: 1e3,
    TimeUnit.MILLISECONDS: 1.0,
    TimeUnit.MICROSECONDS: 1e-3,
    TimeUnit.NANOSECONDS: 1e-6,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read. Names are columns (Parquet, CSV) or dotted paths (JSON lines, topics).

    features    None: every column that has no other part to play
    prefix      where live records keep undeclared features: with ("features",) the column `age` is
                the feature `age` at `features.age`, and of JSON records only what lies below it
    outcomes    declared features that are read beside `features`: prediction and label
    record_time  the record timestamps are the event times
    only        path → names: JSON records that have none of them there are left out; None is absent
    optional    roles that may have no column
    paths       column → path, of roles that are known to be nested
    """

    features: tuple[FeatureDeclaration, ...] | None = None
    exclude: frozenset[str] = frozenset()
    prefix: Path = ()
    outcomes: tuple[FeatureDeclaration, ...] = ()
    time: str = ""
    time_unit: TimeUnit | None = None
    record_time: bool = False
    latency: str = ""
    latency_unit: TimeUnit = TimeUnit.MILLISECONDS
    error: str = ""
    cluster: str = ""
    only: Mapping[Path, frozenset[str | None]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    paths: Mapping[str, Path] = field(default_factory=dict)
    segments: tuple[SegmentDeclaration, ...] = ()
    groups: tuple[GroupDeclaration, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Columns that are needed and are no features."""
        return tuple(name for name in (self.time, self.latency, self.error, self.cluster) if name)


class TableSource(Protocol):
    """Tables that can be read several times, always the same. `features` are those found in it."""

    features: tuple[FeatureDeclaration, ...]
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Table]: ...


def settled(selection: Selection, available: Mapping[str, Path]) -> Selection:
    """The selection without the optional roles that have no column."""

    def there(name: str) -> str:
        return "" if name in selection.optional and name not in available else name

    return replace(
        selection,
        time=there(selection.time),
        latency=there(selection.latency),
        error=there(selection.error),
        cluster=there(selection.cluster),
    )


def resolve(
    selection: Selection, available: Mapping[str, Path], *, where: str
) -> tuple[FeatureDeclaration, ...]:
    """The features to read, each with the column that it is in.

    available  column → the path that live records have it at, in the order of the file

    A declared feature is looked for by its column, its path, and its name, in this order. Raises
    ReferenceInvalid, with what is near, when it has no column.
    """
    for role in selection.roles:
        column_for((role,), available, what="column", where=where)
    found = (
        []
        if selection.features is None
        else [_placed(feature, available, where=where) for feature in selection.features]
    )
    hidden = [own.hidden for own in selection.segments if own.hidden is not None]
    found += [_placed(feature, available, where=where) for feature in (*selection.outcomes, *hidden)]
    if selection.features is None:
        taken = {*selection.roles, *selection.exclude, *(feature.column for feature in found)}
        found = [*_undeclared(selection, available, taken), *found]
    if not found:
        raise ReferenceInvalid(f"no features are left - {where} - at least one column is right")
    return tuple(found)


def column_for(
    names: Sequence[str], available: Mapping[str, Path], *, what: str, where: str, also: str = ""
) -> str:
    """The first of `names` that is there; `also` ends what the error advises."""
    for name in names:
        if name in available:
            return name
    near = difflib.get_close_matches(names[0], available, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(list(available)[:20])}"
    raise ReferenceInvalid(f"no {what} {names[0]!r} - {where} - {hint}{also}")


def assemble(
    columns: Mapping[str, NDArray[Any]],
    selection: Selection,
    *,
    integral: frozenset[str],
    timestamps: NDArray[np.int64] | None = None,
    where: str,
) -> Table:
    """A table of raw columns: roles taken out, rows without an event time left out."""
    events = timestamps if selection.record_time and not selection.time else None
    if selection.time:
        assert selection.time_unit is not None
        events = event_times(columns[selection.time], selection.time_unit, where=f"{where}, {selection.time}")
    table = Table(
        columns=columns,
        events=events,
        latency=_latency(columns, selection),
        errors=flags(columns[selection.error].tolist(), Flags()) if selection.error else None,
        cluster=columns[selection.cluster] if selection.cluster else None,
        integral=integral,
    )
    if events is None or len(events) == 0 or int(events.min()) >= 0:
        return table
    return _taken(table, np.flatnonzero(events >= 0))


def _taken(table: Table, rows: NDArray[np.int64]) -> Table:
    def some(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else array[rows]

    return replace(
        table,
        columns={name: column[rows] for name, column in table.columns.items()},
        events=some(table.events),
        latency=some(table.latency),
        errors=some(table.errors),
        cluster=some(table.cluster),
    )


def _latency(columns: Mapping[str, NDArray[Any]], selection: Selection) -> NDArray[np.float64] | None:
    if not selection.latency:
        return None
    column = columns[selection.latency]
    if column.dtype.kind == "O":
        column = np.array(
            [value if type(value) in {int, float} else np.nan for value in column.tolist()], np.float64
        )
    return np.asarray(column, np.float64) * PER_MS[selection.latency_unit]


def _placed(feature: FeatureDeclaration, available: Mapping[str, Path], *, where: str) -> FeatureDeclaration:
    at_path = [column for column, path in available.items() if path == feature.path]
    own = feature.name.removeprefix(HIDDEN).removeprefix(HIDDEN_COLUMN)
    names = [name for name in (feature.column, format_path(feature.path), *at_path, own) if name]
    also = "; --prediction COLUMN says which" if feature.name == "prediction" else ""
    part = (
        "segments by " if feature.name.startswith(HIDDEN) else "the " if own != feature.name else "feature "
    )
    what = f"column of {part}{own},"
    column = column_for(names, available, what=what, where=where, also=also)
    return replace(feature, column=column, path=feature.path or available[column])


def _undeclared(
    selection: Selection, available: Mapping[str, Path], taken: set[str]
) -> list[FeatureDeclaration]:
    prefix = selection.prefix
    found = []
    for column, path in available.items():
        if column in taken:
            continue
        if path[: len(prefix)] != prefix:
            continue
        name = format_path(path[len(prefix) :])
        if name and name not in taken and name not in selection.exclude:
            found.append(FeatureDeclaration(name=name, path=path, column=column))
    return found
