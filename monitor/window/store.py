"""The newest sketch of every key of one model, kept small until windows are merged from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from monitor.names import SketchKey
from monitor.sketch import Sketch


class PaneStore:
    """Sketches by pane. Evaluate thread only.

    Counts and latency are held packed: a quiet pane of a wide model is then a hundred times smaller than
    its arrays.
    """

    def __init__(self) -> None:
        self._panes: dict[int, dict[SketchKey, Sketch]] = {}

    def put(self, sketch: Sketch) -> bool:
        """Replace the sketch of this key; False when a newer one is held already."""
        held = self._panes.setdefault(sketch.key.pane, {})
        old = held.get(sketch.key)
        if old is not None and old.applied > sketch.applied:
            return False
        held[sketch.key] = sketch.compact()
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
            yield from self._panes[pane].values()

    def rows(self, start: int, end: int, *, variants: Collection[str]) -> int:
        """Rows of `variants` in [start, end), without unpacking a sketch."""
        return sum(
            sketch.rows
            for pane, held in self._panes.items()
            if start <= pane < end
            for sketch in held.values()
            if sketch.key.variant in variants
        )

    def forget(self, before: int) -> None:
        """Drop panes that start before `before`."""
        for pane in [pane for pane in self._panes if pane < before]:
            del self._panes[pane]
