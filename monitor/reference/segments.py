"""The part of a reference that is counted by segment: as arrays of a file, checked, and as references of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.layout import LATENCY_BINS
from monitor.errors import ReferenceInvalid
from monitor.reference.profile import FeatureProfile, Panes, Part, Reference, SegmentColumn
from monitor.reference.tally import summed
from monitor.reference.vector import plain_vector
from monitor.segments import MISSING, OTHER, RESERVED, segment_of

MOST = 10_000
"""Segments of one reference: far more than are judged, far fewer than would fill the memory with pointers."""

ARRAYS = {
    "segment_indptr": "<i8",
    "segment_slots": "<i4",
    "segment_values": "<i8",
    "segment_rows": "<i8",
    "segment_errors": "<i8",
    "segment_latency_indptr": "<i8",
    "segment_latency_bins": "<i4",
    "segment_latency_values": "<i8",
    "segment_novelty": "<f8",
}
"""Of all parts, one after another; there where there are any."""


class SegmentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column in the header."""

    name: str
    values: tuple[str, ...]


def names_of(column: SegmentColumn | SegmentEntry) -> tuple[str, ...]:
    """The segments of a column, in the order of its parts."""
    return tuple(segment_of(column.name, value) for value in (*column.values, OTHER, MISSING))


def of_segment(reference: Reference, column: SegmentColumn, at: int) -> Reference:
    """One part as a reference: the whole's bins, its own counts. Nothing is known of its vectors but how many
    there are, and its moments are those of the whole."""
    part = column.parts[at]
    panes = part.panes
    return replace(
        reference,
        features=tuple(
            _of_part(profile, float(novelty))
            for profile, novelty in zip(reference.features, part.novelty, strict=True)
        ),
        panes=panes,
        rows=int(panes.rows.sum()),
        errors=int(panes.errors.sum()),
        counts=summed(panes.indptr, panes.slots, panes.values, len(reference.counts)),
        latency=summed(panes.latency_indptr, panes.latency_bins, panes.latency_values, LATENCY_BINS),
        vectors=np.zeros(
            3 * sum(f.vector.length for f in reference.features if f.vector is not None), np.int64
        ),
        segments=(),
        calibration=reference.calibration[:0],
        sample=reference.sample[:0],
        sampled=reference.sampled[:0],
    )


def _of_part(profile: FeatureProfile, novelty: float) -> FeatureProfile:
    vector = plain_vector(profile.vector.length) if profile.vector is not None else None
    return replace(profile, novelty=novelty, vector=vector)


def entries(reference: Reference) -> tuple[SegmentEntry, ...]:
    return tuple(SegmentEntry(column.name, column.values) for column in reference.segments)


def arrays(reference: Reference) -> list[tuple[str, str, NDArray[Any]]]:
    """Name, type and content of each of ARRAYS; none without segments."""
    parts = [part for column in reference.segments for part in column.parts]
    if not parts:
        return []
    flat: dict[str, NDArray[Any]] = {}
    for name in ("slots", "values", "rows", "errors", "latency_bins", "latency_values"):
        flat[f"segment_{name}"] = np.concatenate([getattr(part.panes, name) for part in parts])
    for name in ("indptr", "latency_indptr"):
        steps = np.concatenate([np.diff(getattr(part.panes, name)) for part in parts])
        flat[f"segment_{name}"] = np.concatenate([[0], np.cumsum(steps)])
    flat["segment_novelty"] = np.concatenate([part.novelty for part in parts])
    return [(name, dtype, flat[name]) for name, dtype in ARRAYS.items()]


def assembled(
    columns: tuple[SegmentEntry, ...], found: Mapping[str, NDArray[Any]], *, features: int, where: str
) -> tuple[SegmentColumn, ...]:
    """The columns of a file. Raises ReferenceInvalid where arrays do not fit each other; `check` says the rest."""
    count = sum(len(names_of(column)) for column in columns)
    if not columns:
        return ()
    if count > MOST:
        raise ReferenceInvalid(f"{count} segments - {where}, header - at most {MOST} are right")
    starts = found["starts"]
    panes = len(starts)
    right = {
        "segment_rows": count * panes,
        "segment_errors": count * panes,
        "segment_indptr": count * panes + 1,
        "segment_latency_indptr": count * panes + 1,
        "segment_novelty": count * features,
        "segment_values": len(found["segment_slots"]),
        "segment_latency_values": len(found["segment_latency_bins"]),
    }
    for name, size in right.items():
        if len(found[name]) != size:
            raise ReferenceInvalid(f"{len(found[name])} of {name} - {where} - {size} would be right")
    for name, of in (("segment_indptr", "segment_slots"), ("segment_latency_indptr", "segment_latency_bins")):
        pointers = found[name]
        if pointers[0] != 0 or pointers[-1] != len(found[of]) or bool((np.diff(pointers) < 0).any()):
            raise ReferenceInvalid(
                f"{name} that do not fit the counts - {where} - ascending ones from 0 to their number are right"
            )
    parts = iter([_part(found, at, panes, features) for at in range(count)])
    return tuple(
        SegmentColumn(column.name, column.values, tuple(next(parts) for _ in names_of(column)))
        for column in columns
    )


def _part(found: Mapping[str, NDArray[Any]], at: int, panes: int, features: int) -> Part:
    own = slice(at * panes, (at + 1) * panes)
    pointers, latency = (
        found[name][at * panes : (at + 1) * panes + 1]
        for name in ("segment_indptr", "segment_latency_indptr")
    )
    counts = slice(int(pointers[0]), int(pointers[-1]))
    bins = slice(int(latency[0]), int(latency[-1]))
    return Part(
        Panes(
            starts=found["starts"],
            indptr=pointers - pointers[0],
            slots=found["segment_slots"][counts],
            values=found["segment_values"][counts],
            rows=found["segment_rows"][own],
            errors=found["segment_errors"][own],
            latency_indptr=latency - latency[0],
            latency_bins=found["segment_latency_bins"][bins],
            latency_values=found["segment_latency_values"][bins],
        ),
        found["segment_novelty"][at * features : (at + 1) * features],
    )


def wrong(reference: Reference, column: SegmentColumn) -> str:
    """What is wrong with a column whose parts are each right; "" when nothing is: its segments are the whole."""
    if not column.name or "=" in column.name:
        return f"a column called {column.name!r}"
    if len(set(column.values)) != len(column.values) or RESERVED & set(column.values):
        return f"values {column.values}"
    whole = reference.panes
    for name in ("rows", "errors"):
        if not np.array_equal(sum(getattr(part.panes, name) for part in column.parts), getattr(whole, name)):
            return f"{name} of segments that do not add up to the whole"
    counts = sum(
        summed(p.panes.indptr, p.panes.slots, p.panes.values, len(reference.counts)) for p in column.parts
    )
    if not np.array_equal(counts, reference.counts):
        return "counts of segments that do not add up to the whole"
    return ""
