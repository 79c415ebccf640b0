"""The frozen meaning of a model's counts: which slot a value of a feature lands in.

Slots of a numeric feature:      0 missing, 1 non-finite, 2 below, 3… bins, last above.
Slots of a categorical feature:  0 missing, 1 novel, 2 other, 3… categories.
Slots of a vector feature:       0 missing, 1 non-finite, 2 unused, 3 present.

Features are ragged: the slots of feature f are `counts[start[f]:start[f + 1]]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array whose type and shape the docstring gives."""

NUMERIC = 0
CATEGORICAL = 1
VECTOR = 2

MISSING = 0
NON_FINITE = 1
BELOW = 2
NOVEL = 1
OTHER = 2
FIRST_BIN = 3
"""First value slot of any kind."""
PRESENT = 3
VECTOR_SLOTS = 4

LATENCY_GAMMA = 1.01 / 0.99
"""Ratio of neighbouring latency bin edges: 1 % relative error (DDSketch's guarantee)."""
LATENCY_MIN_MS = 1e-3
LATENCY_BINS = 1152
"""0: missing or negative, 1: up to LATENCY_MIN_MS, then log bins up to about 2.6 hours, last: above."""

SUM_WORDS = 3
"""Words of the exact moments of a numeric feature: sum, low and high word of the sum of squares."""
SUM_SCALE = 65536.0
SUM_CLIP = 65536.0

FREQUENCIES = 128
"""Random Fourier features of a vector feature. Their distance between two samples of the same kind
is 1 ± sqrt(2 / 128) of what the kernel itself would give; 1 kB per pane."""
FOURIER_SCALE = 131072.0
"""2**20 * sqrt(2 / FREQUENCIES): what a cosine of 1 adds to a sum of Fourier features."""
PHASE_SCALE = 2048.0
"""Steps per scale of a dimension, in phases."""
PHASE_CLIP = 32767.0
"""Steps that an element counts at most: 16 scales from the centre."""
WAVE_WIDTH = 32
"""Dimensions of a vector feature are filled up to a multiple of this with waves of 0: 32 of 16 bits
are one register of the widest vector unit, so that no loop over them has a rest."""


class Vectors(NamedTuple):
    """Arrays that give the meaning of all vector features of a model; immutable.

    dim_start   int32[vectors + 1]          dimensions of vector feature v: dim_start[v] … [v + 1]
    word_start  int32[vectors + 1]          its words of state, likewise
    wave_start  int32[vectors + 1]          its columns of `waves`, likewise; WAVE_WIDTH divides them
    center      float64[dims]               reference median of each dimension
    scale       float64[dims]               reference scale, > 0
    waves       int16[frequencies, columns] random frequencies, in 2**(shift - 21) turns per scale
    phases      int32[vectors, frequencies] in 2**-32 turns
    shift       int32[vectors]              0 to 21

    The words of a vector feature of d dimensions are int64: d sums of q, d low and d high words of
    the squares of q (see `kernels.moments`), then a sum for each Fourier feature, all of the
    vectors in slot PRESENT. A model without a reference has no frequencies.
    """

    dim_start: NDArray[np.int32]
    word_start: NDArray[np.int32]
    wave_start: NDArray[np.int32]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    waves: NDArray[np.int16]
    phases: NDArray[np.int32]
    shift: NDArray[np.int32]

    @property
    def count(self) -> int:
        return len(self.shift)

    @property
    def dims(self) -> int:
        return int(self.dim_start[-1])

    @property
    def words(self) -> int:
        return int(self.word_start[-1])


NO_VECTORS = Vectors(
    dim_start=np.zeros(1, np.int32),
    word_start=np.zeros(1, np.int32),
    wave_start=np.zeros(1, np.int32),
    center=np.empty(0),
    scale=np.empty(0),
    waves=np.empty((0, 0), np.int16),
    phases=np.empty((0, 0), np.int32),
    shift=np.empty(0, np.int32),
)


class Layout(NamedTuple):
    """Arrays that give the slots of all features of a model; immutable.

    kind        int8[features]        NUMERIC, CATEGORICAL or VECTOR
    column      int32[features]       row of the feature in `values` (numeric) or `codes` (categorical),
                                      number among the vector features
    start       int32[features + 1]   first slot of each feature; the last entry is the slot count
    edges       float64[all edges]    ascending within a feature, at least two per numeric feature
    edge_start  int32[numeric + 1]    edges of numeric column c are edges[edge_start[c]:edge_start[c + 1]]
    center      float64[numeric]      reference median; origin of the exact moments
    scale       float64[numeric]      reference scale, > 0; unit of the exact moments
    vectors     what the vector features mean; NO_VECTORS without any

    A numeric value x with k edges <= x lands in slot 2 + k: bins are right-open, and the last
    edge lies just above the reference maximum. So a numeric feature has len(edges) + 3 slots.
    """

    kind: NDArray[np.int8]
    column: NDArray[np.int32]
    start: NDArray[np.int32]
    edges: NDArray[np.float64]
    edge_start: NDArray[np.int32]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    vectors: Vectors = NO_VECTORS

    @property
    def features(self) -> int:
        return len(self.kind)

    @property
    def slots(self) -> int:
        return int(self.start[-1])

    @property
    def numeric(self) -> int:
        return len(self.center)

    @property
    def categorical(self) -> int:
        return self.features - self.numeric - self.vectors.count


class Rules(NamedTuple):
    """The contract rules of a model by feature, as the fold counts them; immutable.

    count      number of rules: columns of `CellArrays.violations`
    null       int32[features]     rule that counts missing values, -1 none
    range      int32[features]     rule that counts numbers outside [low, high], -1 none; infinities
                                   are outside, missing values are not
    category   int32[features]     rule that counts forbidden categories, -1 none
    low, high  float64[features]   closed interval, -inf and inf where open
    forbidden  uint8[slots]        1 where a category (slot 3…) breaks the category rule; 0 for missing,
                                   novel and other, whose names the arrays do not know

    A feature has at most one rule of each kind.
    """

    count: int
    null: NDArray[np.int32]
    range: NDArray[np.int32]
    category: NDArray[np.int32]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    forbidden: NDArray[np.uint8]


def no_rules(layout: Layout) -> Rules:
    """A contract that allows everything; the arrays are fresh ones."""
    none = (np.full(layout.features, -1, np.int32) for _ in range(3))
    low, high = np.full(layout.features, -np.inf), np.full(layout.features, np.inf)
    return Rules(0, *none, low, high, np.zeros(layout.slots, np.uint8))


class CellArrays(NamedTuple):
    """Mutable state of the open cells of one model and one source partition; one row per cell.

    counts      int64[cells, slots]
    sums        int64[cells, numeric, SUM_WORDS]   see `kernels.moments`
    extremes    float64[cells, numeric, 2]         min and max of finite values; +inf, -inf when none
    vectors     int64[cells, words]                see `Vectors`
    latency     int64[cells, LATENCY_BINS]
    rows        int64[cells]                       rows counted
    errors      int64[cells]                       rows whose error status is set
    violations  int64[cells, rules]                contract breaches by rule, see `plan.ModelPlan.rules`
    rejects     int64[cells, reasons]              by `names.REASONS`
    first       int64[cells]                       smallest offset counted, -1 when none
    last        int64[cells]                       largest offset counted, -1 when none
    """

    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    extremes: NDArray[np.float64]
    vectors: NDArray[np.int64]
    latency: NDArray[np.int64]
    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    violations: NDArray[np.int64]
    rejects: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def allocate(layout: Layout, *, cells: int, rules: int, reasons: int) -> CellArrays:
    """Empty state for `cells` cells."""
    extremes = np.empty((cells, layout.numeric, 2))
    extremes[:, :, 0] = np.inf
    extremes[:, :, 1] = -np.inf
    return CellArrays(
        counts=np.zeros((cells, layout.slots), np.int64),
        sums=np.zeros((cells, layout.numeric, SUM_WORDS), np.int64),
        extremes=extremes,
        vectors=np.zeros((cells, layout.vectors.words), np.int64),
        latency=np.zeros((cells, LATENCY_BINS), np.int64),
        rows=np.zeros(cells, np.int64),
        errors=np.zeros(cells, np.int64),
        violations=np.zeros((cells, rules), np.int64),
        rejects=np.zeros((cells, reasons), np.int64),
        first=np.full(cells, -1, np.int64),
        last=np.full(cells, -1, np.int64),
    )


def grow(cells: CellArrays, layout: Layout, *, to: int) -> CellArrays:
    """A copy of `cells` with room for `to` cells; the new ones are empty."""
    wider = allocate(layout, cells=to, rules=cells.violations.shape[1], reasons=cells.rejects.shape[1])
    for old, new in zip(cells, wider, strict=True):
        new[: len(old)] = old
    return wider


def clear(cells: CellArrays, index: int) -> None:
    """Make one cell empty again."""
    for array in cells:
        array[index] = 0
    cells.extremes[index, :, 0] = np.inf
    cells.extremes[index, :, 1] = -np.inf
    cells.first[index] = -1
    cells.last[index] = -1


def merge(into: CellArrays, other: CellArrays) -> None:
    """Add `other` to `into`, cell by cell. Associative and commutative to the last bit."""
    for name in ("counts", "sums", "vectors", "latency", "rows", "errors", "violations", "rejects"):
        total = getattr(into, name)
        total += getattr(other, name)
    low, high = into.extremes[:, :, 0], into.extremes[:, :, 1]
    np.minimum(low, other.extremes[:, :, 0], out=low)
    np.maximum(high, other.extremes[:, :, 1], out=high)
    seen = (other.first >= 0) & ((into.first < 0) | (other.first < into.first))
    into.first[seen] = other.first[seen]
    np.maximum(into.last, other.last, out=into.last)
