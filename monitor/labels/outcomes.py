"""From sketches to sums of predictions and labels, by cohort, version and segment. Evaluate thread only.

A newer sketch of a cell begins with the rows of an older one, so only those behind are taken. What is added
up is a function of the rows of all sketches: `monitor.labels.join`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from math import gcd
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.join import OVER
from monitor.joinable import PREDICTIONS, unpack
from monitor.labels.brief import early, is_brief, less, quota
from monitor.labels.join import Group, Join
from monitor.labels.sampled import pooled
from monitor.names import SketchKey, Source
from monitor.novel import hash64
from monitor.plan import JoinPlan, ModelPlan
from monitor.segments import WHOLE, by_code
from monitor.sketch import Sketch

K = TypeVar("K")

QUARTER = 900_000
"""Midnights of all time zones lie at a multiple of it."""
KEPT = 2 * 86_400_000
"""How many rows of a sketch were taken is known for as long as the sketch may be there (`monitor.evaluate`)."""


class Outcomes:
    """The predictions of one model and their labels."""

    def __init__(self, plan: ModelPlan) -> None:
        assert plan.join is not None
        self._plan = plan
        self._join: JoinPlan = plan.join
        self.span = cohort_span(plan)
        self._names = [by_code(segment) for segment in plan.segments]
        self._taken: dict[SketchKey, int] = {}
        """Rows of each sketch that were taken."""
        self._cells: dict[tuple[int, Group], int] = {}
        self._rows: dict[int, dict[tuple[str, str, str, int], int]] = {}
        """Cohort → version, variant, segment, level → row of sums."""
        self.join = Join(plan.join, less=less(plan))
        self._early = early(plan.join)
        self._quota = quota(plan)
        self._brief: dict[int, int] = {}
        """Labels that are brief, by the cohort of predictions that they were sent with."""
        self._partitions: set[Source] = set()
        """Of the labels."""
        self._came = 0
        """Labels since it was last looked how many nobody has predicted."""
        self._kept = plan.join.wait + plan.lateness + max(spec.size for spec in plan.windows) + KEPT
        self._forgotten = self._swept = -1
        self._gone = -1
        """Labels were let go that predictions before this could have had."""
        self.whole = OVER
        """Predictions from then on may lack labels that were put off."""
        self._left: list[int] = []
        """Rows of sums of cohorts that were left."""
        self.missed = False
        """Something came for a cohort that was forgotten: what was measured of it is not all that there is."""

    def observe(self, sketch: Sketch) -> None:
        """Take what is new in a sketch of predictions or of labels; of any other configuration, nothing."""
        if not sketch.joinable:
            return
        found = unpack(sketch.joinable)
        if found.digest != self._join.digest:
            return
        begin = self._taken.get(sketch.key, 0)
        rows = found.rows[begin:]
        if not len(rows):
            return
        self._taken[sketch.key] = begin + len(rows)
        if found.kind == PREDICTIONS:
            self._predict(sketch.key, rows, found.level)
        else:
            self.missed |= bool(rows["mark"].min() < self._forgotten + self._join.wait)
            self._label(sketch.key, rows, begin)

    def _predict(self, key: SketchKey, rows: NDArray[np.void], level: int) -> None:
        if key.pane < max(self._forgotten, self._gone):
            self.missed = True
        if key.pane < self._forgotten:
            return
        ids, value = (np.ascontiguousarray(rows[name]) for name in ("id", "value"))
        self.join.predict(ids, self._cells_of(key, rows["segment"], level), value)

    def _label(self, key: SketchKey, rows: NDArray[np.void], begin: int) -> None:
        """`begin`: how many rows of their cell came before."""
        self._partitions.add(key.source)
        self._came += len(rows)
        if 2 * (begin + len(rows)) <= self._quota:
            self.join.label(rows)
            return
        brief = is_brief(rows["id"], begin, self._quota)
        self.join.label(rows, brief)
        cohort = rows["stamp"] // self.span * self.span
        in_time = brief & (rows["mark"] < cohort + self.span + self._join.wait)
        found, counts = np.unique(cohort[in_time], return_counts=True)
        for at, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._brief[at] = self._brief.get(at, 0) + count

    def brief(self, start: int, end: int) -> int:
        """Labels that were not held for those of the predictions in [start, end) that came later than they."""
        return sum(count for cohort, count in self._brief.items() if start - self._early <= cohort < end)

    def parts(
        self, start: int, end: int, variants: Collection[str], segment: str = WHOLE
    ) -> dict[int, NDArray[np.int64]]:
        """What was counted of the predictions in [start, end), by level: int64[width of `kernels.join`]."""
        return self._added(start, end, variants, segment, lambda _cohort, _version, level: level)

    def sums(
        self, start: int, end: int, variants: Collection[str], segment: str = WHOLE
    ) -> NDArray[np.int64]:
        """The same, together."""
        return pooled(self.parts(start, end, variants, segment), self.join.width)

    def by_version(
        self, start: int, end: int, variants: Collection[str]
    ) -> dict[str, dict[int, NDArray[np.int64]]]:
        """The `parts` of the whole, by version."""
        parts: dict[str, dict[int, NDArray[np.int64]]] = {}
        found = self._added(start, end, variants, WHOLE, lambda _cohort, version, level: (version, level))
        for (version, level), sums in found.items():
            parts.setdefault(version, {})[level] = sums
        return parts

    def by_cohort(self, start: int, end: int, variants: Collection[str]) -> dict[int, NDArray[np.int64]]:
        """The sums of the whole, by cohort."""
        found = self._added(start, end, variants, WHOLE, lambda cohort, _version, level: (cohort, level))
        cohorts: dict[int, dict[int, NDArray[np.int64]]] = {}
        for (cohort, level), sums in found.items():
            cohorts.setdefault(cohort, {})[level] = sums
        return {cohort: pooled(parts, self.join.width) for cohort, parts in cohorts.items()}

    def _added(
        self, start: int, end: int, variants: Collection[str], segment: str, key: Callable[[int, str, int], K]
    ) -> dict[K, NDArray[np.int64]]:
        found: dict[K, NDArray[np.int64]] = {}
        for cohort in range(start // self.span * self.span, end, self.span):
            for (version, variant, own, level), row in self._rows.get(cohort, {}).items():
                if own == segment and variant in variants:
                    at = key(cohort, version, level)
                    found[at] = found.get(at, 0) + self.join.sums(row)
        return found

    def delays(
        self, start: int, end: int, variants: Collection[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Of the predictions in [start, end) that have one: the label, and how long after the start of its cohort it came."""
        cells = [
            cell
            for (cohort, group), cell in self._cells.items()
            if start <= cohort < end and group.variant in variants
        ]
        pairs = self.join.pairs(cells)
        return pairs.value, pairs.stamp - self.join.opening(pairs.cell) - self._early

    def oldest_from(self, start: int) -> int | None:
        """The first cohort at `start` or behind it."""
        return min((cohort for cohort in self._rows if cohort >= start), default=None)

    def segments(self) -> Iterator[str]:
        """Every segment that rows may belong to, without the whole."""
        for names in self._names:
            yield from dict.fromkeys(names)

    def leave(self, before: int) -> None:
        """Cohorts before `before` are asked for no more, and are as if they had never been: a prediction of an id that they
        had is counted in the next cohort that has it. Their memory is held until `sweep`."""
        before = before // self.span * self.span
        if before <= self._forgotten:
            return
        self._forgotten = before
        if over := [key for key in self._cells if key[0] < before]:
            self.join.end([self._cells.pop(key) for key in over])
        for cohort in [cohort for cohort in self._rows if cohort < before]:
            self._left += self._rows.pop(cohort).values()

    def sweep(self, *, passed: int = -1) -> None:
        """Let go of what was left, if there is anything new. No prediction comes any more that is older than `passed`."""
        if self._swept == self._forgotten:
            return
        self._swept = self._forgotten
        if self._left or self.join.labels:
            self._let_go(passed)
        for row in self._left:
            self.join.free(row)
        self._left = []
        for sketch in [key for key in self._taken if key.pane < self._forgotten - self._kept]:
            del self._taken[sketch]
        for cohort in [cohort for cohort in self._brief if cohort < self._forgotten - self._early]:
            del self._brief[cohort]

    def relieve(self, *, passed: int) -> None:
        """Bound the labels that nobody has predicted, also while no window is left; called often.

        Where more than may be held are ahead of the predictions they are put off: taken once more, with all sketches, when
        a window needs them. `passed` as of `sweep`, -1: not known yet.
        """
        most, join = self._join.most_early, self.join
        if passed < 0 or self._came <= max(most // 4, join.used // 2):
            return
        self._came = 0
        if 2 * join.unpredicted > most:
            self._let_go(passed)
        if join.unpredicted > 2 * most * len(self._partitions):
            self.whole = min(self.whole, max(self._forgotten, passed // self.span * self.span))
            join.put_off()

    def _let_go(self, passed: int) -> None:
        """Of labels that nobody has predicted those for which no prediction can come."""
        before, first = (
            self.join.unknown + self.join.brief,
            max(self._forgotten, passed // self.span * self.span),
        )
        self.join.sweep(oldest=first - self._early)
        if self.join.unknown + self.join.brief > before:
            self._gone = max(self._gone, first)

    def forget(self, before: int, *, passed: int = -1) -> None:
        """Both at once."""
        self.leave(before)
        self.sweep(passed=passed)

    def waiting(self) -> dict[str, int]:
        """What is waited for, in numbers, and labels that were let go."""
        join, unpredicted = self.join, self.join.unpredicted
        return {"predicted": join.used - unpredicted, "labelled": unpredicted, "late": join.late,
                "unknown": join.unknown, "early": join.brief, "bytes": join.nbytes}  # fmt: skip

    def _cells_of(self, key: SketchKey, codes: NDArray[np.uint8], level: int) -> NDArray[np.int32]:
        cohort = key.pane // self.span * self.span
        if not self._names:
            return np.full(
                len(codes), self._cell(cohort, Group(key.version, key.variant, (), level)), np.int32
            )
        distinct, place = np.unique(codes, axis=0, return_inverse=True)
        groups = [
            tuple(names[min(code, len(names) - 1)] for names, code in zip(self._names, own, strict=False))
            for own in distinct.tolist()
        ]
        cells = [self._cell(cohort, Group(key.version, key.variant, own, level)) for own in groups]
        return np.array(cells, np.int32)[place.ravel()]

    def _cell(self, cohort: int, group: Group) -> int:
        found = self._cells.get((cohort, group))
        if found is None:
            parts = [
                self._row(cohort, (group.version, group.variant, own, group.level))
                for own in (WHOLE, *group.segments)
            ]
            wait = self._join.wait
            found = self.join.cell(
                opening=cohort - self._early,
                # A window is measured when labels are as far as this, and more may come while they are not farther.
                deadline=cohort + self.span + wait - 1,
                rank=hash64("|".join((group.version, group.variant, *group.segments, str(group.level)))),
                parts=parts,
            )
            self._cells[cohort, group] = found
        return found

    def _row(self, cohort: int, key: tuple[str, str, str, int]) -> int:
        rows = self._rows.setdefault(cohort, {})
        if key not in rows:
            rows[key] = self.join.row()
        return rows[key]


def cohort_span(plan: ModelPlan) -> int:
    """Milliseconds of event time that predictions are counted together for: every window is made of such."""
    span = gcd(*(number for spec in plan.windows for number in (spec.size, spec.step)))
    if any(spec.timezone != "UTC" for spec in plan.windows):
        span = gcd(span, QUARTER)
    return span
