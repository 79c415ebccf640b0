"""The immutable profile of what is normal for a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, VECTOR, VECTOR_SLOTS, Layout
from monitor.plan import Kind, Path
from monitor.reference.vector import VectorProfile, stacked

_KINDS = {Kind.NUMERIC: NUMERIC, Kind.VECTOR: VECTOR}
CATEGORIES = frozenset({Kind.CATEGORICAL, Kind.BOOLEAN})
"""Kinds whose values are counted by category."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureProfile:
    """The frozen bins of one feature and what the reference knew of it.

    edges       float64[bins + 1]  numeric only; ascending, the last just above the maximum
    coarse      int16[bins]        numeric only: coarse group (0…19) of each fine bin
    categories  categorical and boolean only, in slot order; slot FIRST_BIN is categories[0]
    """

    name: str
    path: Path
    kind: Kind
    edges: NDArray[np.float64]
    coarse: NDArray[np.int16]
    categories: tuple[str, ...]
    center: float
    """Reference median."""
    scale: float
    """Unit of the exact moments: IQR, or the standard deviation where it is 0, or 1."""
    minimum: float
    maximum: float
    mean: float
    std: float
    iqr: float
    design: float = 1.0
    """Design effect: variance of shares between blocks over the binomial variance, at least 1."""
    design_measured: bool = False
    coarse_levels: tuple[int, ...] = (20, 10, 5, 2)
    tail: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """uint64[tail], ascending: `monitor.novel.hash64` of the categories that share the slot `other`.
    Without it a rare category of the reference could not be told from one that was never seen."""
    novelty: float = 0.0
    """Share of rows to be expected in categories that the reference never saw: the share of its
    rows whose category occurs once (Good 1953). Categorical only."""
    vector: VectorProfile | None = None
    """Of a vector feature; its own `center`, `scale` and moments mean nothing."""
    members: tuple[str, ...] = ()
    """Of a group: the numeric features whose values are its vector. It has no path, and stands behind all others."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What is shown for each slot from FIRST_BIN on; of all kinds but numeric."""
        if self.kind is Kind.VECTOR:
            return ("complete" if self.members else "present",)
        return self.categories

    @property
    def slots(self) -> int:
        if self.kind is Kind.NUMERIC:
            return len(self.edges) + 3
        if self.kind is Kind.VECTOR:
            return VECTOR_SLOTS
        return FIRST_BIN + len(self.categories)


@dataclass(frozen=True, slots=True, eq=False)
class Panes:
    """Counts of the reference per pane, in event-time order, sparse (CSR over slots of all features).

    starts   int64[panes]       milliseconds since the epoch
    indptr   int64[panes + 1]   row p is slots[indptr[p]:indptr[p + 1]], values alike
    slots    int32[nnz]
    values   int64[nnz]
    rows     int64[panes]
    errors   int64[panes]
    latency_indptr, latency_bins, latency_values: the same for the latency histogram
    vectors  int64[panes, mean words]  the words of vector features that means are made of, see
             `monitor.reference.vector.mean_words`
    """

    starts: NDArray[np.int64]
    indptr: NDArray[np.int64]
    slots: NDArray[np.int32]
    values: NDArray[np.int64]
    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    latency_indptr: NDArray[np.int64]
    latency_bins: NDArray[np.int32]
    latency_values: NDArray[np.int64]
    vectors: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of one segment. `panes` has the panes of the whole, empty ones too, and no vectors.

    novelty  float64[features]  `FeatureProfile.novelty` among these rows
    """

    panes: Panes
    novelty: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentColumn:
    """A column that the reference was also counted by; see `monitor.segments`.

    `parts` are of the values in their order, then of all `other` ones, then of rows without one.
    """

    name: str
    values: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What `driftline reference build` writes and the judge compares against.

    Untimed references have one pane and `timed` False; everything that needs time says so.
    """

    model: str
    name: str
    created: int
    origin: Mapping[str, Any]
    features: tuple[FeatureProfile, ...]
    panes: Panes
    pane: int
    """Pane size, milliseconds; 0 when untimed."""
    timed: bool
    rows: int
    errors: int
    counts: NDArray[np.int64]
    """int64[slots of all features]: the sum over panes."""
    latency: NDArray[np.int64]
    """int64[LATENCY_BINS]: the sum over panes."""
    digest: str = ""
    """sha256 of the file's content."""
    notes: tuple[str, ...] = field(default_factory=tuple)
    vectors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64[words of all vector features]: the sum over panes, squares included."""
    sample: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((0, 0), np.uint16))
    """uint16[rows, features]: some of its rows, as slots within the features; none in files of format 3 and before."""
    sampled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """int64[panes]: rows of `sample` that are of each pane; they come in the order of panes."""
    segments: tuple[SegmentColumn, ...] = ()
    calibration: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0, 2), np.int64))
    """int64[parts, bins of the prediction, 2]: labelled rows by score and label, of the whole and of each segment; see
    `monitor.reference.calibrated`. None in files of format 5 and before."""

    def categories(self) -> tuple[tuple[str, ...], ...]:
        """The names of the categories of each categorical column, in slot order from slot 3."""
        return tuple(profile.categories for profile in self.features if profile.kind in CATEGORIES)

    def layout(self) -> Layout:
        """The slot arrays of this reference's features, in its order."""
        kinds: list[int] = []
        columns, start, edges, edge_start = [], [0], [], [0]
        center, scale = [], []
        for profile in self.features:
            kind = _KINDS.get(profile.kind, CATEGORICAL)
            columns.append(kinds.count(kind))
            kinds.append(kind)
            if kind == NUMERIC:
                edges.append(profile.edges)
                edge_start.append(edge_start[-1] + len(profile.edges))
                center.append(profile.center)
                scale.append(profile.scale)
            start.append(start[-1] + profile.slots)
        return Layout(
            kind=np.array(kinds, np.int8),
            column=np.array(columns, np.int32),
            start=np.array(start, np.int32),
            edges=np.concatenate(edges) if edges else np.empty(0),
            edge_start=np.array(edge_start, np.int32),
            center=np.array(center, np.float64),
            scale=np.array(scale, np.float64),
            vectors=stacked([profile.vector for profile in self.features if profile.vector is not None]),
        )
