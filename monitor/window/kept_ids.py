"""Which predictions of a partition are kept for the labels that are waited for: all, or as many as may wait at once.

Ids are sampled by their hash, so that all predictions of one are kept or none. The level of a pane is chosen before its
first row, by what was counted in other panes that can still change: by the log alone, whenever the process was started.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.joinable import DEEPEST, is_kept
from monitor.plan import ModelPlan
from monitor.window.grid import floor_pane


class KeptIds:
    """What of the predictions of one model on one source partition is kept. One thread at a time."""

    def __init__(self, plan: ModelPlan) -> None:
        assert plan.join is not None
        self._most = plan.join.most
        self._pane, self._lateness = plan.pane, plan.lateness
        self._panes = panes_waiting(plan)
        self._levels: dict[int, int] = {}
        self._kept: dict[int, int] = {}
        """Rows of each pane that were kept."""

    def level(self, pane: int) -> int:
        """Of a pane that has rows."""
        return self._levels[pane]

    def restore(self, pane: int, level: int, rows: int) -> None:
        """Go on from a recovered sketch, one of several of a pane."""
        self._levels[pane] = level
        self._kept[pane] = self._kept.get(pane, 0) + rows

    def forget(self, live: int) -> None:
        """Panes before `live` are final."""
        for pane in [pane for pane in self._levels if pane < live]:
            del self._levels[pane], self._kept[pane]

    def take(
        self, ids: NDArray[np.uint64], panes: NDArray[np.int64], marks: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which rows are kept; `panes` is negative where there is none, `marks` the watermark before each."""
        found = np.zeros(len(ids), np.bool_)
        rows = np.flatnonzero((ids != 0) & (panes >= 0))
        if not len(rows):
            return found
        distinct, first = np.unique(panes[rows], return_index=True)
        opened = [(int(rows[at]), int(pane)) for pane, at in zip(distinct.tolist(), first, strict=True)
                  if pane not in self._levels]  # fmt: skip
        begin = 0
        for at, pane in sorted(opened):
            self._keep(found, ids, panes, slice(begin, at))
            self._levels[pane], self._kept[pane] = self._choose(pane, int(marks[at])), 0
            begin = at
        self._keep(found, ids, panes, slice(begin, len(ids)))
        return found

    def _choose(self, pane: int, mark: int) -> int:
        live = floor_pane(max(mark - self._lateness, 0), self._pane)
        busiest = max((rows << self._levels[at] for at, rows in self._kept.items() if at >= live), default=0)
        level = 0
        while busiest * self._panes >> level > self._most and level < DEEPEST:
            level += 1
        return level

    def _keep(
        self, found: NDArray[np.bool_], ids: NDArray[np.uint64], panes: NDArray[np.int64], part: slice
    ) -> None:
        own = panes[part]
        for pane in np.unique(own[(own >= 0) & (ids[part] != 0)]).tolist():
            mine = (own == pane) & is_kept(ids[part], self._levels[pane])
            found[part] |= mine
            self._kept[pane] += int(np.count_nonzero(mine))


def panes_waiting(plan: ModelPlan) -> int:
    """Panes whose predictions are held at once: those that labels are waited for, and of the longest window."""
    assert plan.join is not None
    reach = plan.join.wait + max(spec.size + spec.step for spec in plan.windows) + plan.lateness
    return -(-reach // plan.pane) + 1
