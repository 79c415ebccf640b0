"""One column of a table as the numbers or the categories of a feature."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import MISSING, NOVEL, OTHER
from monitor.errors import ReferenceInvalid
from monitor.reference.category import canonical
from monitor.reference.table import FeatureDeclaration, Table

_SPELLINGS = {"false": ("false", "False", "FALSE", "0"), "true": ("true", "True", "TRUE", "1")}


def column_of(table: Table, feature: FeatureDeclaration) -> NDArray[Any]:
    """The feature's column; of a group those of its members side by side. Raises ReferenceInvalid when the table
    has none."""
    if feature.members:
        return np.stack([numbers(column_of(table, one), one) for one in feature.members], axis=1)
    column = table.columns.get(feature.source)
    if column is None:
        have = ", ".join(sorted(table.columns)[:20])
        raise ReferenceInvalid(
            f"no column {feature.source!r} - feature {feature.name} - the columns are: {have}"
        )
    if column.dtype.kind in "Mm":
        raise ReferenceInvalid(
            f"a column of times - feature {feature.name}, column {feature.source!r} - a number derived from"
            " it (an hour, an age) is right, or --exclude"
        )
    return column


def numbers(column: NDArray[Any], feature: FeatureDeclaration) -> NDArray[np.float64]:
    """The column as float64, NaN for missing.

    Raises ReferenceInvalid when it holds text that may not be read as a number.
    """
    if column.dtype.kind in "biuf":
        return np.asarray(column, np.float64)
    out = np.full(len(column), np.nan)
    for row, value in enumerate(column.tolist()):
        if value is None:
            continue
        if isinstance(value, str):
            out[row] = _parse(value, feature, row)
        else:
            out[row] = float(value)
    return out


def vectors_of(column: NDArray[Any], feature: FeatureDeclaration, *, length: int = 0) -> NDArray[np.float64]:
    """The column as float64[rows, length], all NaN for missing; any one length is right for 0.

    Raises ReferenceInvalid when it holds anything else, or vectors of different length.
    """
    where = f"feature {feature.name}, column {feature.source!r}"
    if column.ndim == 1:
        rows = column.tolist()
        found = {len(row) if isinstance(row, list | tuple) else -1 for row in rows if row is not None}
        length = length or max({0, *found})
        if found - {length}:
            raise ReferenceInvalid(
                f"values that are no list of {max(length, 1)} numbers - {where} - lists of one length are right"
            )
        absent = [math.nan] * length
        try:
            plain = [absent if row is None else row for row in rows]
            column = np.array(plain, np.float64).reshape(len(rows), length)
        except (TypeError, ValueError, OverflowError) as error:
            raise ReferenceInvalid(f"a list of other than numbers - {where} - numbers are right") from error
    if column.dtype.kind not in "iuf" or column.shape[1] != (length or column.shape[1]):
        raise ReferenceInvalid(
            f"vectors of {column.shape[1]} {column.dtype} - {where} - {length} numbers would be right"
        )
    return np.asarray(column, np.float64)


def _parse(text: str, feature: FeatureDeclaration, row: int) -> float:
    if feature.numbers_in_strings:
        try:
            return float(text)
        except ValueError:
            pass
    raise ReferenceInvalid(
        f"text where a number is expected - feature {feature.name}, column {feature.source!r}, row {row} of"
        " its chunk - kind: categorical, or a column of numbers, is right"
    )


def category_counts(column: NDArray[Any]) -> Counter[str]:
    """How often each category occurs; missing values are left out."""
    if column.dtype.kind in "biuf":
        distinct, rows = np.unique(column[~_missing(column)], return_counts=True)
        counts: Counter[str] = Counter()
        for value, number in zip(distinct.tolist(), rows.tolist(), strict=True):
            counts[canonical(value)] += number
        return counts
    values = column.tolist()
    if {type(value) for value in values} <= {str, type(None)}:
        counts = Counter(values)
        counts.pop(None, None)  # type: ignore[call-overload]
        return counts
    return Counter(canonical(value) for value in values if not _absent(value))


def category_codes(
    column: NDArray[Any], slots: Mapping[str, int], *, unseen: int = OTHER
) -> NDArray[np.int32]:
    """The slot of each value: int32[rows]; categories that are not in `slots` get `unseen`."""
    if column.dtype.kind in "biuf":
        distinct, inverse = np.unique(column, return_inverse=True)
        absent = _missing(distinct)
        table = [
            MISSING if gone else slots.get(canonical(value), unseen)
            for value, gone in zip(distinct.tolist(), absent.tolist(), strict=True)
        ]
        return np.array(table, np.int32)[inverse] if len(column) else np.empty(0, np.int32)
    return np.array(
        [
            MISSING
            if _absent(value)
            else slots.get(value if type(value) is str else canonical(value), unseen)
            for value in column.tolist()
        ],
        np.int32,
    ).reshape(len(column))


def boolean_codes(column: NDArray[Any], slots: Mapping[str, int]) -> NDArray[np.int32]:
    """As `category_codes`; tables also write 0 and 1. What is neither true nor false is novel."""
    spelt = {word: slots[meaning] for meaning, words in _SPELLINGS.items() for word in words}
    return category_codes(column, spelt, unseen=NOVEL)


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.dtype.kind == "f":
        return np.asarray(np.isnan(column), np.bool_)
    return np.zeros(len(column), np.bool_)


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  NaN
