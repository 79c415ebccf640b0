"""Whether two decoders made the same of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.columns import Batch, Columns
from monitor.intake.decode import Decoder, Scanned
from tests.intake.mutate import PLACE, START


def batch_of(values: Sequence[bytes | None]) -> Batch:
    """A batch of these values, with record timestamps."""
    none = [None] * len(values)
    return Batch(PLACE, values, none, none, np.arange(len(values)), np.full(len(values), START))


def differences(one: Decoder, other: Decoder, values: Sequence[bytes | None]) -> tuple[list[str], int]:
    """What differs, in words with the record in them, and how many records the first one's scanner declined."""
    a, b = one.scan(batch_of(values)), other.scan(batch_of(values))
    found = [line for x, y in zip(a.columns, b.columns, strict=True) for line in _columns(x, y, values)]
    return found + _rejects(a, b, values), a.declined


def _rejects(a: Scanned, b: Scanned, values: Sequence[bytes | None]) -> list[str]:
    mine = {r.index: (r.reason, r.detail, r.model) for r in a.rejects}
    theirs = {r.index: (r.reason, r.detail, r.model) for r in b.rejects}
    return [
        f"reject {mine.get(i)} - {theirs.get(i)} - {values[i]!r}"
        for i in mine.keys() | theirs.keys()
        if mine.get(i) != theirs.get(i)
    ]


def _columns(a: Columns, b: Columns, values: Sequence[bytes | None]) -> list[str]:
    if a.index.tolist() != b.index.tolist():
        rows = set(a.index.tolist()) ^ set(b.index.tolist())
        return [f"taken by one alone - {a.model} - {values[row]!r}" for row in sorted(rows)]
    found = []
    pairs = {
        "offsets": (a.offsets, b.offsets), "timestamps": (a.timestamps, b.timestamps), "events": (a.events, b.events),
        "values": (_bits(a.values), _bits(b.values)), "codes": (a.codes, b.codes),
        "vectors": (_vectors(a), _vectors(b)), "latency": (_bits(a.latency), _bits(b.latency)), "errors": (a.errors, b.errors),
        "group": (_groups(a), _groups(b)), "novel": (_novel(a), _novel(b)),
        "segments": (_segments(a), _segments(b)),
    }  # fmt: skip
    for name, (x, y) in pairs.items():
        if name == "novel":
            rows = {row for row, _, _ in set(x) ^ set(y)}
        elif x.shape != y.shape:
            found.append(f"{name} - shapes {x.shape} and {y.shape}")
            continue
        else:
            rows = set(np.flatnonzero(np.atleast_2d(x != y).any(axis=0)).tolist())
        found += [f"{name} - {a.model} - {values[int(a.index[row])]!r}" for row in sorted(rows)]
    return found


def _bits(values: np.ndarray) -> np.ndarray:
    """Bits of doubles, all NaN alike."""
    return np.ascontiguousarray(np.where(np.isnan(values), np.nan, values)).view(np.int64)


def _vectors(columns: Columns) -> np.ndarray:
    return _bits(columns.vectors).T if columns.vectors is not None else np.zeros((0, len(columns)), np.int64)


def _segments(columns: Columns) -> np.ndarray:
    return columns.segments if columns.segments is not None else np.zeros((0, len(columns)), np.int32)


def _groups(columns: Columns) -> np.ndarray:
    return np.array(["|".join(columns.groups[group]) for group in columns.group.tolist()], object)


def _novel(columns: Columns) -> list[tuple[int, int, str]]:
    novel = columns.novel
    return [
        (row, column, novel.names[name])
        for row, column, name in zip(
            novel.row.tolist(), novel.column.tolist(), novel.name.tolist(), strict=True
        )
    ]
