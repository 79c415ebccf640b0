"""Sums of predictions that had their label beside them, by cohort, version and segment. Evaluate thread only.

Nothing waits and nothing is found: each sketch has the sums of its rows, and the newest of a cell replaces older ones.
`Outcomes` has the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.join import OVER
from monitor.joinable import digest_of, is_counted, unpack_sums
from monitor.labels.outcomes import KEPT, cohort_span
from monitor.names import SketchKey
from monitor.plan import JoinPlan, ModelPlan
from monitor.segments import WHOLE, by_code
from monitor.sketch import Sketch
from monitor.window.beside_label import width

K = TypeVar("K")


class Counted:
    """The predictions of one model, with their labels."""

    def __init__(self, plan: ModelPlan) -> None:
        assert plan.join is not None
        self._join: JoinPlan = plan.join
        self._width = width(plan.join)
        self.span = cohort_span(plan)
        self._names = [by_code(segment) for segment in plan.segments]
        self._held: dict[int, dict[SketchKey, bytes]] = {}
        """By cohort."""
        self._applied: dict[SketchKey, int] = {}
        self._kept = plan.lateness + max(spec.size for spec in plan.windows) + KEPT
        self._forgotten = -1
        self.missed = False
        """Something came for a cohort that was forgotten."""
        self.whole = OVER
        """As of `Outcomes`: nothing is put off."""

    def observe(self, sketch: Sketch) -> None:
        """Take a sketch; of any other configuration, nothing."""
        data, key = sketch.joinable, sketch.key
        if not data or not is_counted(data) or digest_of(data) != self._join.digest:
            return
        if sketch.applied <= self._applied.get(key, -1):
            return
        self._applied[key] = sketch.applied
        if key.pane < self._forgotten:
            self.missed = True
            return
        self._held.setdefault(key.pane // self.span * self.span, {})[key] = data

    def parts(
        self, start: int, end: int, variants: Collection[str], segment: str = WHOLE
    ) -> dict[int, NDArray[np.int64]]:
        """What was counted of the predictions in [start, end), none of them left out: {0: int64[width of `kernels.join`]}."""
        return self._added(start, end, variants, segment, lambda _cohort, _version: 0)

    def sums(
        self, start: int, end: int, variants: Collection[str], segment: str = WHOLE
    ) -> NDArray[np.int64]:
        """The same."""
        return self.parts(start, end, variants, segment).get(0, np.zeros(self._width, np.int64))

    def by_version(
        self, start: int, end: int, variants: Collection[str]
    ) -> dict[str, dict[int, NDArray[np.int64]]]:
        """The `parts` of the whole, by version."""
        found = self._added(start, end, variants, WHOLE, lambda _cohort, version: version)
        return {version: {0: sums} for version, sums in found.items()}

    def by_cohort(self, start: int, end: int, variants: Collection[str]) -> dict[int, NDArray[np.int64]]:
        """The sums of the whole, by cohort."""
        return self._added(start, end, variants, WHOLE, lambda cohort, _version: cohort)

    def delays(
        self, _start: int, _end: int, _variants: Collection[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Labels are there with their predictions."""
        return np.zeros(0, np.float32), np.zeros(0, np.int64)

    def oldest_from(self, start: int) -> int | None:
        """The first cohort at `start` or behind it."""
        return min((cohort for cohort in self._held if cohort >= start), default=None)

    def segments(self) -> Iterator[str]:
        """Every segment that rows may belong to, without the whole."""
        for names in self._names:
            yield from dict.fromkeys(names)

    def leave(self, before: int) -> None:
        """Cohorts before `before` are asked for no more."""
        before = before // self.span * self.span
        if before <= self._forgotten:
            return
        self._forgotten = before
        for cohort in [cohort for cohort in self._held if cohort < before]:
            del self._held[cohort]
        for key in [key for key in self._applied if key.pane < before - self._kept]:
            del self._applied[key]

    def sweep(self, *, passed: int = -1) -> None:
        """Nothing is held of what was left."""

    def relieve(self, *, passed: int) -> None:
        """Nothing waits."""

    def brief(self, _start: int, _end: int) -> int:
        """No label comes early."""
        return 0

    def waiting(self) -> dict[str, int]:
        """What is held, in numbers."""
        size = sum(len(data) for held in self._held.values() for data in held.values())
        return {"predicted": 0, "labelled": 0, "late": 0, "unknown": 0, "early": 0, "bytes": size}

    def _added(
        self, start: int, end: int, variants: Collection[str], segment: str, name: Callable[[int, str], K]
    ) -> dict[K, NDArray[np.int64]]:
        found: dict[K, NDArray[np.int64]] = {}
        for cohort in range(start // self.span * self.span, end, self.span):
            for key, data in self._held.get(cohort, {}).items():
                if key.segment == segment and key.variant in variants:
                    at = name(cohort, key.version)
                    found[at] = found.get(at, 0) + unpack_sums(data, self._width)
        return found
