"""Sketches of all source partitions → one window: step 7."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kernels.layout import Layout, allocate
from monitor.names import CHAMPION, REASONS, Source
from monitor.novel import keep
from monitor.plan import ModelPlan, WindowSpec
from monitor.sketch import NOVEL_KEPT, Sketch
from monitor.verdict import Window


def merge(
    model: str,
    spec: WindowSpec,
    *,
    start: int,
    end: int,
    sketches: Iterable[Sketch],
    plan: ModelPlan,
    layout: Layout,
    coverage: float = 1.0,
    missing: tuple[Source, ...] = (),
    revision: int = 0,
) -> Window:
    """Sum what `sketches` counted of `model` in the panes of [start, end).

    Pure, and independent of the order of `sketches`. Taken are those of the plan's configuration
    whose variant is the champion or CHAMPION (rows that name no variant). Each sketch must be the
    newest of its key and come once: two versions of one key would be added up. Without sketches
    the window has zeros in the layout's shapes. Sketches are read one at a time, never held.
    """
    judged = (plan.champion, CHAMPION)
    total = _Total(layout, len(plan.rules))
    for sketch in sketches:
        key = sketch.key
        if (
            start <= key.pane < end
            and key.model == model
            and key.config == plan.config
            and key.variant in judged
        ):
            total.add(sketch)
    return Window(
        model=model,
        name=spec.name,
        start=start,
        end=end,
        rows=total.rows,
        errors=total.errors,
        counts=total.counts,
        sums=total.sums,
        extremes=total.extremes,
        latency=total.latency,
        violations=total.violations,
        rejects=total.rejects,
        coverage=coverage,
        missing_partitions=tuple(sorted(missing)),
        offsets=dict(sorted(total.offsets.items())),
        versions=dict(sorted(total.versions.items(), key=lambda item: (-item[1], item[0]))),
        novel={column: keep(counts, NOVEL_KEPT) for column, counts in sorted(total.novel.items())},
        revision=revision,
    )


class _Total:
    """The running sum; lives for one merge."""

    def __init__(self, layout: Layout, rules: int) -> None:
        empty = allocate(layout, cells=1, rules=rules, reasons=len(REASONS))
        self.rows = self.errors = 0
        self.counts, self.sums, self.extremes = empty.counts[0], empty.sums[0], empty.extremes[0]
        self.latency, self.violations, self.rejects = empty.latency[0], empty.violations[0], empty.rejects[0]
        self.offsets: dict[Source, tuple[int, int]] = {}
        self.versions: dict[str, int] = {}
        self.novel: dict[int, dict[str, int]] = {}

    def add(self, sketch: Sketch) -> None:
        self.rows += sketch.rows
        self.errors += sketch.errors
        sketch.packed("counts").add_to(self.counts)
        self.sums += sketch.sums
        sketch.packed("latency").add_to(self.latency)
        self.violations += sketch.violations
        self.rejects += sketch.rejects
        np.minimum(self.extremes[:, 0], sketch.extremes[:, 0], out=self.extremes[:, 0])
        np.maximum(self.extremes[:, 1], sketch.extremes[:, 1], out=self.extremes[:, 1])
        if sketch.rows:
            version = sketch.key.version
            self.versions[version] = self.versions.get(version, 0) + sketch.rows
        if sketch.first >= 0:
            first, last = self.offsets.get(sketch.key.source, (sketch.first, sketch.last))
            self.offsets[sketch.key.source] = (min(first, sketch.first), max(last, sketch.last))
        for column, counts in sketch.novel.items():
            summed = self.novel.setdefault(column, {})
            for category, count in counts.items():
                summed[category] = summed.get(category, 0) + count
