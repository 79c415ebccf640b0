"""Rows on their way into the samples of open cells: part of step 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout
from kernels.lookup import lookup
from kernels.sample import encode_rows, pick_rows
from monitor.columns import Columns
from monitor.names import CHAMPION, SketchKey, Source
from monitor.plan import ModelPlan
from monitor.sample import Reservoir, Sample, cell_rows, seed_of, unpack


class Sampler:
    """What gives the cells of one model on one partition their samples. Of the thread of its cells.

    A batch costs one pass over its offsets; codes are made of the rows that enter, which are few once a
    sample is full: 512 * ln(n / 512) of n.
    """

    def __init__(self, plan: ModelPlan, layout: Layout, source: Source) -> None:
        self._layout = layout
        self._variants = (plan.champion, CHAMPION)
        self._seed: Any = np.uint64(seed_of(source))
        self._source = source
        self.rows = cell_rows(plan.sample, layout.features)
        """Rows of one sample; 0: nothing is sampled."""
        self._room(4096)

    def open(self, variant: str, segment: str) -> Reservoir | None:
        """An empty sample of a new cell; None for one that needs none: segments are found in the whole."""
        if not self.rows or segment or variant not in self._variants:
            return None
        none = Sample(np.empty(0, np.uint64), np.empty((0, self._layout.features), np.uint16))
        return Reservoir(none, self.rows)

    def restore(self, key: SketchKey, rows: int, data: bytes) -> Reservoir | None:
        """The sample of a recovered sketch of `rows` rows. One whose rows were not sampled from the start
        goes on without: a sample of its last rows would pass for one of all."""
        found = self.open(key.variant, key.segment)
        if found is None or (rows and not data):
            return None
        return Reservoir(unpack(data, self._source), self.rows) if data else found

    def add(self, columns: Columns, number: NDArray[np.int32], samples: Sequence[Reservoir | None]) -> None:
        """Sample the rows of a batch; `number` int32[rows] says which of `samples` each is for, -1 for none."""
        if not self.rows:
            return
        bounds = np.array([sample.bound if sample else 0 for sample in samples], np.uint64)
        if len(number) >= len(self._rows):
            self._room(len(number))
        offsets = np.ascontiguousarray(columns.offsets)
        count = pick_rows(self._rows, self._hashes, number, offsets, bounds, self._seed)
        if not count:
            return
        rows, hashes = self._rows[:count], self._hashes[:count]
        if len(samples) == 1:
            self._enter(samples[0], columns, rows, hashes)
            return
        order = np.argsort(number[rows], kind="stable")
        rows, hashes = rows[order], hashes[order]
        own, begin = np.unique(number[rows], return_index=True)
        for at, low, high in zip(own.tolist(), begin, [*begin[1:], count], strict=True):
            self._enter(samples[at], columns, rows[low:high], hashes[low:high])

    def _enter(
        self, sample: Reservoir | None, columns: Columns, rows: NDArray[np.int32], hashes: NDArray[np.uint64]
    ) -> None:
        assert sample is not None  # its bound was 0, and no row of it was picked
        if len(rows) > self.rows:
            best = np.argpartition(hashes, self.rows)[: self.rows]
            rows, hashes = rows[best], hashes[best]
        layout = self._layout
        codes = np.empty((len(rows), layout.features), np.uint16)
        vectors = columns.vectors if columns.vectors is not None else np.empty((0, 0))
        encode_rows(
            codes, np.empty(len(rows)), np.empty(len(rows), np.int32), rows, columns.values, columns.codes, vectors,
            layout.kind, layout.column, layout.vectors.dim_start, *lookup(layout),
        )  # fmt: skip
        sample.add(hashes, codes)

    def _room(self, rows: int) -> None:
        self._rows = np.empty(rows + 1, np.int32)
        self._hashes = np.empty(rows + 1, np.uint64)
