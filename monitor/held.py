"""The panes of one model that are held, and the windows that they make. Evaluate thread only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout
from monitor.judge.early import Slots
from monitor.judge.prepare import Prepared
from monitor.names import CHAMPION
from monitor.plan import ModelPlan, WindowSpec
from monitor.sample import Sample
from monitor.segments import WHOLE, part_layout, part_plan
from monitor.sketch import Sketch
from monitor.verdict import Window
from monitor.window.merge import merge
from monitor.window.parts import SegmentStores, seasonal
from monitor.window.store import PaneStore


@dataclass(frozen=True, slots=True)
class Held:
    """The panes of a model or of one of its segments."""

    store: PaneStore
    plan: ModelPlan
    layout: Layout
    whole: int
    """Panes before this were forgotten."""

    def window(self, spec: WindowSpec, start: int, end: int) -> Window:
        """What was counted in [start, end)."""
        parts = self.store.sums(start, end, plan=self.plan, layout=self.layout)
        return merge(spec, start=start, end=end, parts=parts, plan=self.plan, layout=self.layout)

    def slots(self, spec: WindowSpec, start: int, end: int, slots: Slots) -> NDArray[np.int64]:
        """The same in the slots that looks go by."""
        own = self.window(spec, start, end)
        return slots.count(own.counts, rows=own.rows, errors=own.errors, latency=own.latency)


class Panes:
    """All panes of a model and of its segments.

    whole  panes before this were forgotten: what comes for them later is not all that there was
    """

    def __init__(self, plan: ModelPlan) -> None:
        self.store = PaneStore()
        self.whole = -1
        self._segments = SegmentStores(plan)

    def put(self, sketch: Sketch) -> bool:
        """Take a sketch; False where it is no newer than what is held."""
        return (self._segments if sketch.key.segment else self.store).put(sketch)

    def of(self, segment: str, plan: ModelPlan, layout: Layout) -> Held:
        if segment == WHOLE:
            return Held(self.store, plan, layout, self.whole)
        return Held(self._segments.store(segment), part_plan(plan), part_layout(layout), self.whole)

    def segments(
        self, window: Window, spec: WindowSpec, plan: ModelPlan, layout: Layout
    ) -> Mapping[str, Window]:
        """Segment → its part of a window. Segments without rows are left out."""
        return self._segments.windows(spec, start=window.start, end=window.end, plan=plan, layout=layout)

    def seasonal(
        self, window: Window, segments: Mapping[str, Window], prepared: Prepared, plan: ModelPlan
    ) -> tuple[Window, Mapping[str, Window]]:
        """The same windows, with their rows by season where the reference is read by season."""
        if plan.season == "none":
            return window, segments
        own = self._segments.seasonal(segments, prepared.parts, plan)
        return seasonal(window, prepared, self.store, plan), own

    def sample(self, window: Window, plan: ModelPlan, layout: Layout) -> Sample | None:
        return self.store.sample(window.start, window.end, plan=plan, layout=layout)

    def rows(self, start: int, end: int, plan: ModelPlan) -> tuple[int, int]:
        """Rows of the whole, and of all segments together."""
        variants = (plan.champion, CHAMPION)
        return (
            self.store.rows(start, end, variants=variants, version=plan.version),
            self._segments.rows(start, end, variants=variants, version=plan.version),
        )

    def versions(self, start: int, end: int, plan: ModelPlan) -> dict[str, int]:
        """Rows that could be judged, by version, whichever the plan is of."""
        return self.store.versions(start, end, variants=(plan.champion, CHAMPION))

    def renew(self) -> None:
        """Counts are of another layout from now on."""
        self.store.renew()
        self._segments.renew()

    def forget(self, before: int) -> None:
        """Drop panes before this."""
        self.whole = max(self.whole, before)
        self.store.forget(self.whole)
        self._segments.forget(self.whole)
