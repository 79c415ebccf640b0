"""Two versions of the model of `tests.daemon.build`: what they log, and a reference of each in the same bins.

`Served` is a stream around now in which one takes over from the other.
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.reference.build import build
from monitor.reference.file import pack
from monitor.reference.profile import Reference
from monitor.reference.table import Table
from tests.daemon.build import (
    FEATURES,
    MODEL,
    PANE,
    PARTITIONS,
    ROWS,
    START,
    WINDOW,
    Sent,
    reference,
    rows_of,
)

NOW = 4
"""The window of a stream that the wall clock is in when it begins."""
SLICES = 6
"""Parts of a window that are sent one after the other."""


def logged(window: int, partition: int, version: str, rows: int = ROWS) -> list[dict[str, Any]]:
    """Rows of one window and partition. Version 8 answers otherwise, and to others: who pays more."""
    made = rows_of(window, partition, rows=rows)
    for row in made:
        row["version"] = version
        if version == "8":
            row["score"] = round(1.0 - row["score"], 4)
            if row["features"]["amount"]:
                row["features"]["amount"] = round(row["features"]["amount"] * 3, 2)
    return made


def sent(rows: list[dict[str, Any]], partition: int) -> list[Sent]:
    return [Sent(partition, json.dumps(row).encode(), row["ts"]) for row in rows]


@dataclass
class Served:
    """Prediction logs around now, slice by slice of a window: `switch` is the slice from which on version 8 answers."""

    switch: int
    slices: int = SLICES
    """Of a window."""
    rows: int = ROWS
    """Of a window and partition."""
    models: tuple[str, ...] = (MODEL,)
    """In turn those that the rows are of."""
    shift: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        now = time.time_ns() // 1_000_000
        self.shift = (now - START) // WINDOW * WINDOW - NOW * WINDOW

    def part(self, number: int) -> list[Sent]:
        """One slice of a window, of all partitions."""
        window, at = divmod(number, self.slices)
        version = "8" if number >= self.switch else "7"
        found: list[Sent] = []
        for partition in range(PARTITIONS):
            rows = _kept(window, partition, version, self.rows)
            own = rows[at * len(rows) // self.slices : (at + 1) * len(rows) // self.slices]
            moved = [
                row | {"ts": row["ts"] + self.shift, "model": self.models[place % len(self.models)]}
                for place, row in enumerate(own)
            ]
            found += sent(moved, partition)
        self.count += len(found)
        return found

    def window(self, end: int) -> int:
        return (end - START - self.shift) // WINDOW - 1


@functools.lru_cache(maxsize=2 * PARTITIONS)
def _kept(window: int, partition: int, version: str, rows: int) -> list[dict[str, Any]]:
    return logged(window, partition, version, rows)


@functools.cache
def reference_of(version: str, *, own_bins: bool = False) -> Reference:
    """What is normal for a version; `own_bins`: not those of version 7."""
    if version == "7":
        return reference()
    rows = sorted(
        (row for window in range(-60, 0) for at in range(PARTITIONS) for row in logged(window, at, version)),
        key=lambda row: row["ts"],
    )
    amounts = [np.nan if row["features"]["amount"] is None else row["features"]["amount"] for row in rows]
    columns = {
        "returning": np.array([row["features"]["returning"] for row in rows], bool),
        "amount": np.array(amounts),
        "country": np.array([row["features"]["country"] for row in rows], object),
        "prediction": np.array([row["score"] for row in rows]),
    }
    table = Table(columns, events=np.array([row["ts"] for row in rows], np.int64))
    bins = None if own_bins else reference()
    return build(table, model=MODEL, name=f"version-{version}", features=FEATURES, pane=PANE, bins=bins)


@functools.cache
def content_of(version: str, *, own_bins: bool = False) -> bytes:
    return pack(reference_of(version, own_bins=own_bins))
