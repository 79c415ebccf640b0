"""Rows that a reference is built from, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind, Path


@dataclass(frozen=True, slots=True)
class FeatureDeclaration:
    """One feature that a reference is to have. `kind` None: read off the values.

    column  name of the column in the table; "" when it is the feature's name
    path    where live records have it; () when it is the feature's name
    length  numbers in a vector; 0: read off the values
    members of a group: the features whose columns are its vector; it has no column and no path of its own
    """

    name: str
    path: Path = ()
    kind: Kind | None = None
    column: str = ""
    length: int = 0
    numbers_in_strings: bool = False
    members: tuple[FeatureDeclaration, ...] = ()

    @property
    def source(self) -> str:
        return self.column or self.name

    @property
    def live_path(self) -> Path:
        return () if self.members else self.path or (self.name,)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Some rows of training or logged data. Arrays of equal length, one per column.

    columns   float64 (NaN is missing), any integer type, bool, or object of str | bool | int |
              float | None. A column has the same of these in every chunk of one source. A column
              of vectors is float64[rows, length], all NaN where missing, or object of lists | None.
    integral  float64 columns whose present values are all integers
    events    int64[rows] event times, milliseconds; None when untimed
    latency   float64[rows] milliseconds, NaN when absent
    errors    bool or uint8[rows]
    cluster   any[rows]: rows of one value depend on each other (a user, a session)
    """

    columns: Mapping[str, NDArray[Any]]
    events: NDArray[np.int64] | None = None
    latency: NDArray[np.float64] | None = None
    errors: NDArray[Any] | None = None
    cluster: NDArray[Any] | None = None
    integral: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self._arrays().items()}
        if len(set(lengths.values())) > 1:
            raise ReferenceInvalid(f"columns differ in length - {lengths} - one value per row is right")

    def __len__(self) -> int:
        return next((len(array) for array in self._arrays().values()), 0)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = dict(self.columns)
        for name in ("events", "latency", "errors", "cluster"):
            array = getattr(self, name)
            if array is not None:
                arrays[f"<{name}>"] = array
        return arrays
