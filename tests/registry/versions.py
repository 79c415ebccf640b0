"""Two versions of the model of `tests.daemon.build`: what they log, and a reference of each in the same bins."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from monitor.reference.build import build
from monitor.reference.file import pack
from monitor.reference.profile import Reference
from monitor.reference.table import Table
from tests.daemon.build import FEATURES, MODEL, PANE, PARTITIONS, Sent, reference, rows_of


def logged(window: int, partition: int, version: str) -> list[dict[str, Any]]:
    """Rows of one window and partition. Version 8 answers otherwise, and to others: who pays more."""
    rows = rows_of(window, partition)
    for row in rows:
        row["version"] = version
        if version == "8":
            row["score"] = round(1.0 - row["score"], 4)
            if row["features"]["amount"]:
                row["features"]["amount"] = round(row["features"]["amount"] * 3, 2)
    return rows


def sent(rows: list[dict[str, Any]], partition: int) -> list[Sent]:
    return [Sent(partition, json.dumps(row).encode(), row["ts"]) for row in rows]


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
