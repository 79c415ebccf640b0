"""CSV files as tables, with the types of their columns read off all rows."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path as FilePath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.intake.convert import number
from monitor.plan import TimeUnit
from monitor.reference.moment import guess_unit
from monitor.reference.selection import Selection, assemble, resolve, settled
from monitor.reference.table import FeatureDeclaration, Table

CHUNK = 50_000
"""Rows held as text at a time: some 50 MB for 20 columns."""
MISSING_TOKENS = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_PLAIN = re.compile(r"(?:-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?\n)*+", re.ASCII)
_PLAIN_INTEGERS = re.compile(r"(?:-?[0-9]{1,40}\n)*+", re.ASCII)
"""Lines of tokens that are numbers, and integers, without a closer look."""


@dataclass(slots=True)
class _Type:
    """What the tokens of one column have in common so far."""

    number: bool = True
    integer: bool = True
    boolean: bool = True
    empty: bool = True

    def add(self, present: Sequence[str]) -> None:
        """Take in the tokens of a chunk that stand for a value."""
        if not present:
            return
        self.empty = False
        lines = "\n".join(present) + "\n"
        # a tenth of the time of looking at each; a token with a line end would count twice
        if self.number and lines.count("\n") == len(present) and _PLAIN.fullmatch(lines):
            self.boolean = False
            self.integer = self.integer and _PLAIN_INTEGERS.fullmatch(lines) is not None
            return
        tokens = set(present)
        self.boolean = self.boolean and tokens <= _BOOLEANS.keys()
        self.number = self.number and all(map(_is_number, tokens))
        self.integer = self.number and self.integer and all(map(_is_integer, tokens))


def _is_number(token: str) -> bool:
    """Leading zeros make a text: 01234 is a postcode."""
    digits = token.strip().lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return False
    return number(token) is not None


def _is_integer(token: str) -> bool:
    return token.strip().lstrip("+-").isdecimal()


@dataclass(slots=True)
class CsvTables:
    """A CSV file with a header line, comma, semicolon or tab between fields, gzip if named .gz.

    The file is read once to find the types and once per pass of the build; CHUNK rows are in
    memory. A column is boolean, numbers or text as a whole; `missing` are the texts that stand
    for no value.
    """

    path: str
    selection: Selection
    missing: frozenset[str] = MISSING_TOKENS
    features: tuple[FeatureDeclaration, ...] = ()
    notes: tuple[str, ...] = ()
    rows: int = 0
    _types: dict[str, _Type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        header = self._header()
        self._types = {name: _Type() for name in header}
        first: dict[str, tuple[str, ...]] = {}
        for columns in self._chunks():
            for name, tokens in columns.items():
                self._types[name].add([token for token in tokens if token not in self.missing])
            first = first or {name: tokens[:1000] for name, tokens in columns.items()}
            self.rows += len(next(iter(columns.values())))
        self.selection = settled(self.selection, {name: (name,) for name in header})
        self.selection = _timed(self.selection, first, self._types, missing=self.missing, where=self.path)
        prefix = self.selection.prefix
        self.features = resolve(self.selection, {name: (*prefix, name) for name in header}, where=self.path)

    def __iter__(self) -> Iterator[Table]:
        needed = {*self.selection.roles, *(feature.source for feature in self.features)}
        integral = frozenset(name for name in needed if self._types[name].integer)
        for chunk in self._chunks():
            columns = {name: self._column(name, chunk[name]) for name in needed}
            yield assemble(columns, self.selection, integral=integral, where=self.path)

    def _column(self, name: str, tokens: Sequence[str]) -> NDArray[Any]:
        found, missing = self._types[name], self.missing
        if found.number or found.empty:
            return _numbers(tokens, missing)
        if found.boolean:
            return np.array([_BOOLEANS.get(token) for token in tokens], object)
        return np.array([None if token in missing else token for token in tokens], object)

    def _header(self) -> list[str]:
        with open_text(self.path) as file:
            header = next(csv.reader(file, delimiter=_delimiter(self.path)), [])
        if not header or len(set(header)) != len(header):
            raise ReferenceInvalid(
                f"no header, or a column name that occurs twice - {self.path}, line 1 - a line of distinct"
                " column names is right"
            )
        return header

    def _chunks(self) -> Iterator[dict[str, tuple[str, ...]]]:
        header = list(self._types)
        with open_text(self.path) as file:
            reader = csv.reader(file, delimiter=_delimiter(self.path))
            next(reader, None)
            try:
                while rows := [row for row in islice(reader, CHUNK) if row]:
                    short = next((row for row in rows if len(row) != len(header)), None)
                    if short is not None:
                        raise ReferenceInvalid(
                            f"a row of {len(short)} fields - {self.path}, near line {reader.line_num} -"
                            f" {len(header)} fields, as in the header, are right"
                        )
                    yield dict(zip(header, zip(*rows, strict=True), strict=True))
            except (csv.Error, UnicodeDecodeError, EOFError, OSError) as error:
                raise ReferenceInvalid(
                    f"the file is not readable ({error}) - {self.path}, near line {reader.line_num} - UTF-8"
                    " text with quoted fields is right"
                ) from error


def _numbers(tokens: Sequence[str], missing: frozenset[str]) -> NDArray[np.float64]:
    if not missing.isdisjoint(tokens):
        return np.array([np.nan if token in missing else float(token) for token in tokens])
    return np.fromiter(map(float, tokens), np.float64, len(tokens))


def open_text(path: str) -> IO[str]:
    """A text file, unpacked when it is named .gz; a byte order mark is skipped."""
    try:
        if path.endswith(".gz"):
            return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        return FilePath(path).open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ReferenceInvalid(
            f"the file cannot be read ({error.strerror}) - {path} - an existing, readable file is right"
        ) from error


def _delimiter(path: str) -> str:
    try:
        with open_text(path) as file:
            line = file.readline(1 << 20)
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise ReferenceInvalid(
            f"the file is not readable ({error}) - {path}, line 1 - UTF-8 text is right"
        ) from error
    return max((",", ";", "\t"), key=line.count)


def _timed(
    selection: Selection,
    first: dict[str, tuple[str, ...]],
    types: dict[str, _Type],
    *,
    missing: frozenset[str],
    where: str,
) -> Selection:
    """The selection with its time unit, read off the first rows when it is not declared."""
    if not selection.time or selection.time_unit is not None or selection.time not in first:
        return selection
    tokens = [token for token in first[selection.time] if token not in missing]
    numeric = types[selection.time].number
    unit = guess_unit([float(token) for token in tokens] if numeric else tokens)
    return replace(selection, time_unit=known_unit(unit, selection.time, where=where))


def known_unit(unit: TimeUnit | None, name: str, *, where: str) -> TimeUnit:
    """The guessed unit. Raises ReferenceInvalid when there was none."""
    if unit is None:
        raise ReferenceInvalid(
            f"the unit of the event times cannot be told - {where}, {name} - --time-unit s, ms, us, ns or"
            " rfc3339 is right"
        )
    return unit
