"""The JSON header of a reference file."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile
from monitor.reference.segments import SegmentEntry
from monitor.reference.vector import VectorProfile

DTYPES = {"<u2": np.uint16, "<i2": np.int16, "<i4": np.int32, "<i8": np.int64, "<f8": np.float64}
"""The only element types that a file may hold."""


class ArrayEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array that follows the header. `stored`: its compressed bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored: int


class FeatureEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature. null stands for a number that there is not; `bins` -1 is not numeric.

    What was added since format 1 has a default and is not written where it is that.
    """

    name: str
    path: tuple[str | int, ...]
    kind: Kind
    bins: int
    categories: tuple[str, ...]
    center: float
    scale: float
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    iqr: float | None
    design: float
    design_measured: bool
    coarse_levels: tuple[int, ...]
    novelty: float
    tail: int
    """Categories beyond those with a slot of their own."""
    length: int = 0
    """Numbers in a vector."""
    bandwidth: float = 0.0
    shift: int = 0
    members: tuple[str, ...] = ()
    """Of a group."""
    traces: tuple[float, ...] = ()


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything of a reference that is no array. What was added since format 1 has a default."""

    model: str
    name: str
    created: int
    origin: dict[str, Any]
    pane: int
    timed: bool
    rows: int
    errors: int
    notes: tuple[str, ...]
    features: tuple[FeatureEntry, ...]
    arrays: tuple[ArrayEntry, ...]
    segments: tuple[SegmentEntry, ...] = ()
    sample: int = 0
    """Rows that are kept."""
    calibrated: bool = False


def entry_of(profile: FeatureProfile) -> FeatureEntry:
    """The header's part of a profile; edges and coarse groups are arrays."""
    return FeatureEntry(
        name=profile.name,
        path=profile.path,
        kind=profile.kind,
        bins=len(profile.coarse) if profile.kind is Kind.NUMERIC else -1,
        categories=profile.categories,
        center=profile.center,
        scale=profile.scale,
        minimum=_stated(profile.minimum),
        maximum=_stated(profile.maximum),
        mean=_stated(profile.mean),
        std=_stated(profile.std),
        iqr=_stated(profile.iqr),
        design=profile.design,
        design_measured=profile.design_measured,
        coarse_levels=profile.coarse_levels,
        novelty=profile.novelty,
        tail=len(profile.tail),
        length=profile.vector.length if profile.vector is not None else 0,
        bandwidth=profile.vector.bandwidth if profile.vector is not None else 0.0,
        shift=profile.vector.shift if profile.vector is not None else 0,
        members=profile.members,
        traces=profile.vector.traces if profile.vector is not None else (),
    )


def profile_of(
    entry: FeatureEntry,
    *,
    edges: NDArray[np.float64],
    coarse: NDArray[np.int16],
    tail: NDArray[np.uint64],
    vector: VectorProfile | None = None,
) -> FeatureProfile:
    return FeatureProfile(
        name=entry.name,
        path=entry.path,
        kind=entry.kind,
        edges=edges,
        coarse=coarse,
        categories=entry.categories,
        center=entry.center,
        scale=entry.scale,
        minimum=_absent(entry.minimum),
        maximum=_absent(entry.maximum),
        mean=_absent(entry.mean),
        std=_absent(entry.std),
        iqr=_absent(entry.iqr),
        design=entry.design,
        design_measured=entry.design_measured,
        coarse_levels=entry.coarse_levels,
        novelty=entry.novelty,
        tail=tail,
        vector=vector,
        members=entry.members,
    )


def _stated(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _absent(number: float | None) -> float:
    return math.nan if number is None else number
