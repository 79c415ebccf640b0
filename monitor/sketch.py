"""The integer counts of one cell, as they are stored, merged and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.names import SketchKey

NOVEL_KEPT = 64
"""Novel values kept per feature: those of smallest hash, so that merging loses nothing exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """Counts of one (model, config, version, variant, segment, pane, source partition).

    Holds exactly its rows among the offsets below `applied`. Absolute: a newer sketch of the
    same key replaces an older one, it is never added to it. Arrays are not to be written to;
    shapes are those of one row of `kernels.layout.CellArrays`.

    novel: categorical column → {category: count}, the NOVEL_KEPT categories of smallest hash.

    Compared by identity; equal content is equal `state.codec.digest`.
    """

    key: SketchKey
    applied: int
    rows: int
    errors: int
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    extremes: NDArray[np.float64]
    latency: NDArray[np.int64]
    violations: NDArray[np.int64]
    rejects: NDArray[np.int64]
    first: int
    last: int
    novel: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
