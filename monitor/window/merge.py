"""Sketches of all source partitions → one window: step 7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout, allocate
from monitor.names import CHAMPION, REASONS, Source
from monitor.novel import keep
from monitor.pack import Packed, pack
from monitor.plan import ModelPlan, WindowSpec
from monitor.segments import WHOLE
from monitor.sketch import NOVEL_KEPT, Sketch
from monitor.verdict import Window


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """What several sketches counted, added up and packed; several windows may be made of it.

    As of a `Window`, but for the order of its mappings. Arrays are not to be written to.
    """

    rows: int
    errors: int
    counts: Packed
    latency: Packed
    flat: Mapping[str, NDArray[np.int64]]
    """The other integer arrays by name, see FLAT."""
    extremes: NDArray[np.float64]
    offsets: Mapping[Source, tuple[int, int]]
    versions: Mapping[str, int]
    novel: Mapping[int, Mapping[str, int]]

    @classmethod
    def of(cls, sketch: Sketch) -> Sum:
        """One sketch, whatever its key is."""
        key = sketch.key
        return cls(
            rows=sketch.rows,
            errors=sketch.errors,
            counts=sketch.packed("counts"),
            latency=sketch.packed("latency"),
            flat={name: getattr(sketch, name) for name in FLAT},
            extremes=sketch.extremes,
            offsets={key.source: (sketch.first, sketch.last)} if sketch.first >= 0 else {},
            versions={key.version: sketch.rows} if sketch.rows else {},
            novel=sketch.novel,
        )


FLAT = ("sums", "vectors", "violations", "rejects")
"""Integer arrays of a sketch that are small, and added as they are."""


def belongs(sketch: Sketch, plan: ModelPlan, segment: str = WHOLE) -> bool:
    """Whether a sketch is judged: of the plan's model, configuration and version, of this segment, and of the
    champion or of rows that name no variant."""
    key = sketch.key
    return (
        key.model == plan.name
        and key.config == plan.config
        and key.segment == segment
        and key.variant in (plan.champion, CHAMPION)
        and (plan.version is None or key.version == plan.version)
    )


def merge(
    spec: WindowSpec,
    *,
    start: int,
    end: int,
    parts: Iterable[Sketch | Sum],
    plan: ModelPlan,
    layout: Layout,
    coverage: float = 1.0,
    missing: tuple[Source, ...] = (),
    revision: int = 0,
) -> Window:
    """Sum what `parts` counted of the plan's model in the panes of [start, end).

    Pure, and independent of the order of `parts`. Of sketches those are taken that belong to the whole (see
    `belongs`) and lie in the window; sums are taken as they are. Each sketch must be the newest of
    its key and come once: two versions of one key would be added up. Without parts the window has
    zeros in the layout's shapes. Parts are read one at a time, never held.
    """
    total = Total(layout, len(plan.rules))
    for part in parts:
        if isinstance(part, Sum):
            total.add(part)
        elif start <= part.key.pane < end and belongs(part, plan):
            total.add(Sum.of(part))
    return Window(
        model=plan.name,
        name=spec.name,
        start=start,
        end=end,
        rows=total.rows,
        errors=total.errors,
        counts=total.counts,
        extremes=total.extremes,
        latency=total.latency,
        coverage=coverage,
        missing_partitions=tuple(sorted(missing)),
        offsets=dict(sorted(total.offsets.items())),
        versions=dict(sorted(total.versions.items(), key=lambda item: (-item[1], item[0]))),
        novel=total.kept(),
        revision=revision,
        **total.flat,
    )


class Total:
    """A running sum, in arrays."""

    def __init__(self, layout: Layout, rules: int) -> None:
        empty = allocate(layout, cells=1, rules=rules, reasons=len(REASONS))
        self.rows = self.errors = 0
        self.counts, self.extremes, self.latency = empty.counts[0], empty.extremes[0], empty.latency[0]
        self.flat = {name: getattr(empty, name)[0] for name in FLAT}
        self.offsets: dict[Source, tuple[int, int]] = {}
        self.versions: dict[str, int] = {}
        self._novel: dict[int, dict[str, int]] = {}

    def add(self, part: Sum) -> None:
        self.rows += part.rows
        self.errors += part.errors
        part.counts.add_to(self.counts)
        part.latency.add_to(self.latency)
        for name, array in part.flat.items():
            self.flat[name] += array
        np.minimum(self.extremes[:, 0], part.extremes[:, 0], out=self.extremes[:, 0])
        np.maximum(self.extremes[:, 1], part.extremes[:, 1], out=self.extremes[:, 1])
        for source, (low, high) in part.offsets.items():
            first, last = self.offsets.get(source, (low, high))
            self.offsets[source] = min(first, low), max(last, high)
        for version, rows in part.versions.items():
            self.versions[version] = self.versions.get(version, 0) + rows
        for column, found in part.novel.items():
            summed = self._novel.setdefault(column, {})
            for category, count in found.items():
                summed[category] = summed.get(category, 0) + count

    def kept(self) -> dict[int, dict[str, int]]:
        """The novel categories that are kept, by column."""
        return {column: keep(counts, NOVEL_KEPT) for column, counts in sorted(self._novel.items())}

    def pack(self) -> Sum:
        """What was added so far. The total is used up: its arrays are in the sum."""
        return Sum(
            rows=self.rows,
            errors=self.errors,
            counts=Packed(pack(self.counts)),
            latency=Packed(pack(self.latency)),
            flat=self.flat,
            extremes=self.extremes,
            offsets=self.offsets,
            versions=self.versions,
            novel=self.kept(),
        )
