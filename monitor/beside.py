"""What a model's windows are shown beside: windows that closed before, and other references.

Evaluate thread only. The previous window is added up anew from the panes that are held, also after a
restart. Counts of last week's windows are remembered in memory alone: a restart forgets them for a week,
and verdicts say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kernels.layout import Layout
from monitor.judge.beside import Neighbour, compare, counted
from monitor.judge.kept import Kept
from monitor.judge.prepare import Prepared
from monitor.pack import Packed, pack
from monitor.plan import LAST_WEEK, PREVIOUS, ModelPlan, WindowSpec
from monitor.verdict import Beside, Verdict, Window
from monitor.window.grid import start_of, week_before
from monitor.window.merge import merge
from monitor.window.store import PaneStore

LIMIT = 64 << 20
"""Bytes of the windows of a week that are remembered for each window name: 168 of 500 features are 45 MB."""
FORGOTTEN = "not known: it closed before a restart, or there is none"


@dataclass(frozen=True, slots=True)
class _Packed:
    start: int
    end: int
    rows: int
    errors: int
    counts: Packed
    latency: Packed
    means: Packed

    @property
    def nbytes(self) -> int:
        return sum(len(one.data) for one in (self.counts, self.latency, self.means))

    def counted(self) -> Neighbour:
        parts = (self.counts.dense(), self.latency.dense(), self.means.dense())
        return Neighbour(self.rows, self.errors, *parts)


class Besides:
    """The windows of a week of one model, by name, and the other references of its configuration."""

    def __init__(self, store: PaneStore, layout: Layout) -> None:
        self._store, self._layout = store, layout
        self._weeks: dict[str, dict[int, _Packed]] = {}

    def show(
        self,
        verdict: Verdict,
        window: Window,
        prepared: Prepared,
        *,
        plan: ModelPlan,
        others: Mapping[str, Neighbour],
        judged: Iterable[Kept],
        since: int,
    ) -> Verdict:
        """The verdict with all that the plan names beside it. `judged` are verdicts of this window name;
        panes from `since` on are held."""
        if not plan.beside or window.rows == 0:
            return verdict
        found = []
        for name in plan.beside:
            start, end, other = -1, -1, others.get(name)
            if name == PREVIOUS:
                start, end = start_of(prepared.spec, window.start), window.start
                rows = next((kept.rows for kept in judged if kept.end == end), None)
                other = self._again(start, end, rows, prepared, plan) if start >= since else None
            elif name == LAST_WEEK:
                end = week_before(prepared.spec, window.end)
                start, kept = start_of(prepared.spec, end), self._weeks.get(window.name, {}).get(end)
                other = None if kept is None else kept.counted()
            if other is None:
                found.append(Beside(name, start, end, 0, FORGOTTEN))
            else:
                found.append(compare(window, prepared, other, name=name, start=start, end=end))
        return replace(verdict, beside=tuple(found))

    def remember(self, window: Window, prepared: Prepared | None, plan: ModelPlan) -> None:
        """Take note of a window that closed, or of what a correction made of it."""
        if prepared is None or LAST_WEEK not in plan.beside:
            return
        week = self._weeks.setdefault(window.name, {})
        own = counted(window, prepared)
        parts = (pack(own.counts), pack(own.latency), pack(own.means, signed=True))
        week[window.end] = _Packed(window.start, window.end, own.rows, own.errors, *map(Packed, parts))
        oldest = week_before(prepared.spec, max(week))
        for end in sorted(week):
            if end >= oldest and sum(one.nbytes for one in week.values()) <= LIMIT:
                break
            del week[end]

    def _again(
        self, start: int, end: int, rows: int | None, prepared: Prepared, plan: ModelPlan
    ) -> Neighbour | None:
        """A window that was judged with so many rows; None where it was not, or not all of them are held."""
        if rows is None:
            return None
        parts = self._store.sums(start, end, plan=plan, layout=self._layout)
        window = merge(prepared.spec, start=start, end=end, parts=parts, plan=plan, layout=self._layout)
        return counted(window, prepared) if window.rows >= rows else None


def reach(spec: WindowSpec, start: int, plan: ModelPlan) -> int:
    """From where on panes are needed for a window that starts at `start`, and what is shown beside it."""
    return start_of(spec, start) if PREVIOUS in plan.beside else start
