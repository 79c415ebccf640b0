"""The newest sketch of every key of one model, kept small until windows are merged from them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator

from kernels.layout import Layout
from monitor.names import SketchKey
from monitor.plan import ModelPlan
from monitor.sample import WINDOW_ROWS, Sample, bound_of, features_of, merged, unpack
from monitor.segments import WHOLE
from monitor.sketch import Sketch
from monitor.window.merge import Sum, Total, belongs

_Block = tuple[str | None, int, int]
"""Version, level and number: what is of this version, None of any, in the 2**level panes from number * 2**level panes
after the epoch on."""
HIGHEST = 12
"""Level of the widest blocks: two weeks of panes of five minutes."""


class PaneStore:
    """Sketches by pane. Evaluate thread only.

    Counts and latency are held packed: a quiet pane of a wide model is then a hundred times smaller than
    its arrays. Sums of aligned blocks of 1, 2, 4, 8… panes are kept once a window has asked for them:
    windows that overlap, and families of windows of one model, are made of a few blocks instead of
    every sketch again. A newer sketch of a pane drops the blocks that hold it.
    """

    def __init__(self, segment: str = WHOLE) -> None:
        """`segment`: that of the sketches that are summed up."""
        self._segment = segment
        self._panes: dict[int, dict[SketchKey, Sketch]] = {}
        self._starts: list[int] = []
        """The panes that are held, ascending."""
        self._sums: dict[_Block, Sum] = {}
        self._rows: dict[tuple[str | None, int], int] = {}
        """Rows that belong to the plan, by version, of panes that were asked for."""
        self._pane = 1

    def put(self, sketch: Sketch) -> bool:
        """Replace the sketch of this key; False when a newer one is held already."""
        pane = sketch.key.pane
        held = self._panes.get(pane)
        if held is None:
            held = self._panes[pane] = {}
            insort(self._starts, pane)
        old = held.get(sketch.key)
        if old is not None and old.applied > sketch.applied:
            return False
        held[sketch.key] = sketch.compact()
        self._drop(pane, (None, sketch.key.version))
        return True

    def oldest(self) -> int | None:
        """Start of the oldest pane held."""
        return self._starts[0] if self._starts else None

    def oldest_from(self, start: int) -> int | None:
        """Start of the oldest pane not before `start`."""
        at = bisect_left(self._starts, start)
        return self._starts[at] if at < len(self._starts) else None

    def between(self, start: int, end: int) -> Iterator[Sketch]:
        """Every sketch whose pane starts in [start, end)."""
        for pane in self._within(start, end):
            yield from self._panes[pane].values()

    def sums(self, start: int, end: int, *, plan: ModelPlan, layout: Layout) -> Iterator[Sum]:
        """Sums that add up to the sketches of [start, end) that belong to `plan`.

        Between two calls with plans of another pane or champion there must be a `renew`; of another version, not.
        """
        if plan.pane != self._pane:
            self.renew()
            self._pane = plan.pane
        low, high = -(-start // plan.pane), -(-end // plan.pane)
        while low < high:
            level = min((low & -low).bit_length() - 1 if low else HIGHEST, HIGHEST)
            while low + (1 << level) > high:
                level -= 1
            found = self._sum(level, low >> level, plan, layout)
            if found is not None:
                yield found
            low += 1 << level

    def renew(self) -> None:
        """Forget the sums: what belongs to them is another matter from now on."""
        self._sums.clear()
        self._rows.clear()

    def by_pane(self, start: int, end: int, *, plan: ModelPlan) -> dict[int, int]:
        """Rows of the sketches of [start, end) that belong to `plan`, by pane; see `sums`."""
        for pane in (within := self._within(start, end)):
            if (plan.version, pane) not in self._rows:
                held = self._panes[pane].values()
                own = (sketch for sketch in held if belongs(sketch, plan, self._segment))
                self._rows[plan.version, pane] = sum(sketch.rows for sketch in own)
        return {pane: self._rows[plan.version, pane] for pane in within}

    def rows(self, start: int, end: int, *, variants: Collection[str], version: str | None = None) -> int:
        """Rows of `variants`, and of one version, in [start, end), without unpacking a sketch."""
        found = self.versions(start, end, variants=variants)
        return sum(found.values()) if version is None else found.get(version, 0)

    def versions(self, start: int, end: int, *, variants: Collection[str]) -> dict[str, int]:
        """Rows of `variants` in [start, end) by version, without unpacking a sketch."""
        found: dict[str, int] = {}
        for pane in self._within(start, end):
            for sketch in self._panes[pane].values():
                if sketch.key.variant in variants and sketch.rows:
                    found[sketch.key.version] = found.get(sketch.key.version, 0) + sketch.rows
        return found

    def sample(self, start: int, end: int, *, plan: ModelPlan, layout: Layout) -> Sample | None:
        """A uniform sample of the rows of [start, end) that belong to `plan`, of at most WINDOW_ROWS.

        Made of the sketches each time: windows that drift are few. Sketches that no rows were sampled of
        are left out; None where that is all.
        """
        held = [
            sketch
            for sketch in self.between(start, end)
            if sketch.sample and belongs(sketch, plan) and features_of(sketch.sample) == layout.features
        ]
        if not held:
            return None
        bound = min(bound_of(sketch.sample) for sketch in held)
        parts = (unpack(sketch.sample, sketch.key.source).below(bound) for sketch in held)
        return merged(parts, layout.features, WINDOW_ROWS)

    def forget(self, before: int) -> None:
        """Drop panes that start before `before`."""
        gone = bisect_left(self._starts, before)
        for pane in self._starts[:gone]:
            self._drop(pane, {None, *(key.version for key in self._panes.pop(pane))})
        del self._starts[:gone]
        if gone:
            self._rows = {key: rows for key, rows in self._rows.items() if key[1] >= before}

    def _drop(self, pane: int, versions: Iterable[str | None]) -> None:
        """Forget what was made with sketches of this pane and of these versions."""
        for version in versions:
            for level in range(HIGHEST + 1):
                self._sums.pop((version, level, pane // self._pane >> level), None)
            self._rows.pop((version, pane), None)

    def _within(self, start: int, end: int) -> list[int]:
        return self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def _sum(self, level: int, number: int, plan: ModelPlan, layout: Layout) -> Sum | None:
        """The sum of a block, None when nothing lies in it. One that is a single sketch is not kept twice."""
        known = self._sums.get((plan.version, level, number))
        if known is not None:
            return known
        width = plan.pane << level
        panes = self._within(number * width, (number + 1) * width)
        if level and len(panes) > 1:
            halves = (self._sum(level - 1, 2 * number + half, plan, layout) for half in (0, 1))
            parts = [part for part in halves if part is not None]
        else:
            held = (sketch for pane in panes for sketch in self._panes[pane].values())
            parts = [Sum.of(sketch) for sketch in held if belongs(sketch, plan, self._segment)]
        if len(parts) < 2:
            return parts[0] if parts else None
        total = Total(layout, len(plan.rules))
        for part in parts:
            total.add(part)
        found = self._sums[plan.version, level, number] = total.pack()
        return found
