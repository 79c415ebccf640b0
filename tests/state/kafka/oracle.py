"""A fold that is cheap to do again: what a source counts after any number of offsets."""

from __future__ import annotations

from functools import cache

import numpy as np

from monitor.names import REASONS, SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.log import AGREE, Marker

A, B = Source("in", 0), Source("in", 1)


class Fold:
    """Counts offsets by pane. A pane closes when another begins that is two further on.

    Of model "m" the marker names what is live; of model "" it names nothing, so all of it is.
    """

    def __init__(self, source):
        self.source = source
        self.applied = 0
        self.cells = {}
        """key → (slots, first, last)"""
        self.changed = set()
        self.newest = 0

    @property
    def live(self):
        return max(self.newest - 100, 0)

    def apply(self, count=1):
        for _ in range(count):
            at = self.applied
            self.applied += 1
            pane = max(at // 5 * 100 - (300 if at % 11 == 4 else 100 if at % 7 == 3 else 0), 0)
            if pane >= self.live:
                self._count(SketchKey("m", "c", f"v{at % 2}", "", "", pane, self.source), at)
                self.newest = max(self.newest, pane)
            if at % 6 == 0:
                self._count(SketchKey("", "", "", "", "", at // 12 * 300, self.source), at)

    def _count(self, key, at):
        slots, first, _ = self.cells.get(key, ((0,) * 8, at, at))
        slots = tuple(count + (slot == at % 8) for slot, count in enumerate(slots))
        self.cells[key] = (slots, first, at)
        self.changed.add(key)

    def marker(self):
        largest = (self.newest,) + (-1,) * (AGREE - 1)
        return Marker(
            self.source, self.applied, 0, self.newest, largest, {"m": self.live}, records=self.applied
        )

    def checkpoint(self):
        return [self.sketch(key) for key in sorted(self.changed)], self.marker()

    def confirm(self, marker):
        self.changed.clear()
        self.cells = {key: cell for key, cell in self.cells.items() if marker.keeps(key)}

    def restore(self, checkpoint):
        marker = checkpoint.marker
        self.applied, self.newest = marker.applied, marker.watermark
        self.cells = {sketch.key: cell_of(sketch) for sketch in checkpoint.sketches}

    def sketch(self, key):
        slots, first, last = self.cells[key]
        none = np.zeros(0, np.int64)
        return Sketch(
            key=key, applied=self.applied, rows=sum(slots), errors=0, counts=np.array(slots),
            sums=none.reshape(0, 3), extremes=np.zeros((0, 2)), latency=none, violations=none,
            rejects=np.zeros(len(REASONS), np.int64), first=first, last=last,
        )  # fmt: skip


def cell_of(sketch):
    return tuple(sketch.counts.tolist()), sketch.first, sketch.last


@cache
def folded(source, applied):
    """The marker after `applied` offsets, and every cell there ever was."""
    fold = Fold(source)
    fold.apply(applied)
    return fold.marker(), fold.cells


def check(checkpoint, source):
    """A checkpoint is what the fold of the offsets below `applied` gives."""
    marker, cells = folded(source, checkpoint.marker.applied)
    assert checkpoint.marker == marker
    found = {sketch.key: cell_of(sketch) for sketch in checkpoint.sketches}
    assert found == {key: cell for key, cell in cells.items() if marker.keeps(key)}
    assert all(sketch.applied <= marker.applied for sketch in checkpoint.sketches)
