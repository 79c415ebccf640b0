"""The sketches of a model's segments, and the windows that they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from kernels.layout import Layout
from monitor.judge.prepare import Prepared
from monitor.plan import ModelPlan, WindowSpec
from monitor.segments import names, part_layout, part_plan
from monitor.sketch import Sketch
from monitor.verdict import Window
from monitor.window.merge import merge
from monitor.window.store import PaneStore


def seasonal(window: Window, prepared: Prepared | None, store: PaneStore, plan: ModelPlan) -> Window:
    """The same window, with its rows by season where the reference is read by season."""
    if prepared is None or prepared.seasons is None:
        return window
    panes = store.by_pane(window.start, window.end, plan=plan)
    return replace(window, seasons=prepared.seasons.calendar.rows_of(panes))


class SegmentStores:
    """One `PaneStore` for each segment of a plan; none without segments. Evaluate thread only."""

    def __init__(self, plan: ModelPlan) -> None:
        self._stores = {name: PaneStore(name) for name in names(plan)}

    def put(self, sketch: Sketch) -> bool:
        """As of `PaneStore`; False too for a segment that the plan does not have."""
        store = self._stores.get(sketch.key.segment)
        return store is not None and store.put(sketch)

    def store(self, name: str) -> PaneStore:
        return self._stores[name]

    def windows(
        self, spec: WindowSpec, *, start: int, end: int, plan: ModelPlan, layout: Layout
    ) -> Mapping[str, Window]:
        """Segment → its window. Segments without rows are left out."""
        if not self._stores:
            return {}
        own, slots = part_plan(plan), part_layout(layout)
        found = {
            name: merge(
                spec, start=start, end=end, parts=store.sums(start, end, plan=own, layout=slots), plan=own,
                layout=slots,
            )
            for name, store in self._stores.items()
        }  # fmt: skip
        return {name: window for name, window in found.items() if window.rows}

    def seasonal(
        self, windows: Mapping[str, Window], prepared: Mapping[str, Prepared], plan: ModelPlan
    ) -> Mapping[str, Window]:
        """The same windows, with their rows by season where the segment's reference is read by season."""
        return {
            name: seasonal(window, prepared.get(name), self._stores[name], plan)
            for name, window in windows.items()
        }

    def rows(self, start: int, end: int, *, variants: Collection[str], version: str | None = None) -> int:
        each = (store.rows(start, end, variants=variants, version=version) for store in self._stores.values())
        return sum(each)

    def renew(self) -> None:
        for store in self._stores.values():
            store.renew()

    def forget(self, before: int) -> None:
        for store in self._stores.values():
            store.forget(before)
