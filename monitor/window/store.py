"""The newest sketch of every key of one model, kept small until windows are merged from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.names import SketchKey
from monitor.sketch import Sketch

_Packed = tuple[NDArray[np.int32], NDArray[np.int64], int]


class PaneStore:
    """Sketches by pane. Evaluate thread only.

    Counts and latency are held as non-empty slots: a quiet pane of a wide model is then a hundred
    times smaller than its arrays.
    """

    def __init__(self) -> None:
        self._panes: dict[int, dict[SketchKey, tuple[Sketch, _Packed, _Packed]]] = {}

    def put(self, sketch: Sketch) -> bool:
        """Replace the sketch of this key; False when a newer one is held already."""
        held = self._panes.setdefault(sketch.key.pane, {})
        old = held.get(sketch.key)
        if old is not None and old[0].applied > sketch.applied:
            return False
        empty = np.empty(0, np.int64)
        slim = replace(sketch, counts=empty, latency=empty)
        held[sketch.key] = (slim, _pack(sketch.counts), _pack(sketch.latency))
        return True

    def oldest(self) -> int | None:
        """Start of the oldest pane held."""
        return min(self._panes, default=None)

    def oldest_from(self, start: int) -> int | None:
        """Start of the oldest pane not before `start`."""
        return min((pane for pane in self._panes if pane >= start), default=None)

    def between(self, start: int, end: int) -> Iterator[Sketch]:
        """Every sketch whose pane starts in [start, end)."""
        for pane in sorted(pane for pane in self._panes if start <= pane < end):
            for slim, counts, latency in self._panes[pane].values():
                yield replace(slim, counts=_unpack(counts), latency=_unpack(latency))

    def rows(self, start: int, end: int, *, variants: Collection[str]) -> int:
        """Rows of `variants` in [start, end), without unpacking a sketch."""
        return sum(
            slim.rows
            for pane, held in self._panes.items()
            if start <= pane < end
            for slim, _, _ in held.values()
            if slim.key.variant in variants
        )

    def forget(self, before: int) -> None:
        """Drop panes that start before `before`."""
        for pane in [pane for pane in self._panes if pane < before]:
            del self._panes[pane]


def _pack(dense: NDArray[np.int64]) -> _Packed:
    index = np.flatnonzero(dense).astype(np.int32)
    return index, dense[index], len(dense)


def _unpack(packed: _Packed) -> NDArray[np.int64]:
    index, values, size = packed
    dense = np.zeros(size, np.int64)
    dense[index] = values
    return dense
