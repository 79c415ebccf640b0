"""Blocks of a reference's panes, and the reference without some of them. Pure.

A window that is judged must not be part of what it is judged by: in M it would never exceed itself. So blocks
fall into folds, and what is drawn from the blocks of a fold is judged by the reference without that fold, its
length kept by copies of other blocks (as in cross-validation; Stone 1974). With F folds a window of the reference
is missing in 1/F of what it is ranked among, so 1/(F - 1) more windows page than would live: 5 % with 20 folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

import numpy as np
from numpy.typing import NDArray

from monitor.errors import UsageError
from monitor.plan import ModelPlan
from monitor.reference.profile import Panes, Part, Reference, SegmentColumn
from monitor.reference.span import DAY, show_span
from monitor.reference.tally import summed
from monitor.reference.vector import mean_words

FOLDS = 20
FEWEST = 4
"""Blocks below which nothing can be said."""
ENOUGH_DAYS = 7
"""Whole days from which on blocks are days: shorter ones would mix nights with noons."""
WEEKLY = frozenset({"day_of_week", "hour_of_week"})


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Equal stretches of the reference's time, each the panes [first, last).

    length  milliseconds: at least the longest window; whole days where the reference has enough of them
    cycle   a block is put only where it lies at the same place of a cycle of so many milliseconds
    fold    int64[blocks]
    """

    anchor: int
    length: int
    cycle: int
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    def start(self, block: int) -> int:
        return self.anchor + block * self.length

    def fitting(self, at: int) -> NDArray[np.int64]:
        """The blocks that may stand at a time: those of its place in the cycle, all where there is none."""
        starts = self.anchor + self.length * np.arange(len(self))
        found = np.flatnonzero((starts - at) % self.cycle == 0)
        return found if len(found) else np.arange(len(self))

    def after(self) -> int:
        """A time behind the reference at which its first block could stand."""
        whole = lcm(self.length, self.cycle)
        return self.anchor + -(-len(self) * self.length // whole) * whole


def cut(reference: Reference, plan: ModelPlan) -> Blocks:
    """The blocks of a reference. Raises UsageError where there are none, or windows cannot be cut from panes."""
    where = f"reference {reference.name} of {plan.name}"
    if not reference.timed or reference.pane <= 0 or len(reference.panes) == 0:
        raise UsageError(f"nothing to draw from - {where} - a reference with event times")
    for spec in plan.windows:
        if spec.size % reference.pane or spec.step % reference.pane:
            raise UsageError(
                f"panes of {show_span(reference.pane)} - {where} - panes of which windows of "
                f"{show_span(spec.size)} each {show_span(spec.step)} can be made: build it with these windows"
            )
    starts, pane = reference.panes.starts, reference.pane
    begin, end = int(starts[0]), int(starts[-1]) + pane
    longest = max(spec.size for spec in plan.windows)
    length = _up(longest, lcm(DAY, pane))
    if _count(begin, end, length) < ENOUGH_DAYS and longest < DAY:
        length = _up(longest, pane)
    count = _count(begin, end, length)
    if count < FEWEST:
        raise UsageError(
            f"{show_span(end - begin)} of panes - {where} - at least {FEWEST} times {show_span(length)}, the longest "
            "window, are needed to draw from"
        )
    anchor = _up(begin, min(length, DAY))
    edges = anchor + length * np.arange(count + 1)
    first, last = np.searchsorted(starts, edges[:-1]), np.searchsorted(starts, edges[1:])
    is_weekly = plan.season in WEEKLY and count * length >= 14 * DAY
    return Blocks(
        anchor=anchor, length=length, cycle=7 * DAY if is_weekly else length, first=first, last=last,
        fold=np.arange(count) % min(count, FOLDS),
    )  # fmt: skip


def without(reference: Reference, blocks: Blocks, fold: int) -> Reference:
    """The reference in which other blocks stand in the places of a fold's, those that come after it.

    It keeps its name and digest, its bins, and what is known of its features: those of the whole. Nothing is known of
    labels, so that nobody waits for estimates of drawn windows.
    """
    panes, order, starts = reference.panes, [], []
    position = 0
    for block in range(len(blocks)):
        first, last = int(blocks.first[block]), int(blocks.last[block])
        order.append(np.arange(position, first))
        starts.append(panes.starts[position:first])
        from_ = _stand_in(blocks, block) if blocks.fold[block] == fold else block
        order.append(np.arange(blocks.first[from_], blocks.last[from_]))
        starts.append(panes.starts[order[-1]] + blocks.start(block) - blocks.start(from_))
        position = last
    order.append(np.arange(position, len(panes)))
    starts.append(panes.starts[position:])
    return _rearranged(reference, np.concatenate(order), np.concatenate(starts))


def _stand_in(blocks: Blocks, block: int) -> int:
    """The next block of another fold, of the same place in the cycle where there is one."""
    others = blocks.fitting(blocks.start(block))
    others = others[blocks.fold[others] != blocks.fold[block]]
    if not len(others):
        others = np.flatnonzero(blocks.fold != blocks.fold[block])
    return int(others[np.searchsorted(others, block) % len(others)])


def _rearranged(reference: Reference, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Reference:
    panes = _taken(reference.panes, order, starts)
    vectors = reference.vectors.copy()
    if len(vectors):
        vectors[mean_words(reference.layout().vectors)] = panes.vectors.sum(axis=0)
    segments = tuple(
        SegmentColumn(
            column.name,
            column.values,
            tuple(Part(_taken(part.panes, order, starts), part.novelty) for part in column.parts),
        )
        for column in reference.segments
    )
    return replace(
        reference,
        panes=panes,
        rows=int(panes.rows.sum()),
        errors=int(panes.errors.sum()),
        counts=summed(panes.indptr, panes.slots, panes.values, len(reference.counts)),
        latency=summed(
            panes.latency_indptr, panes.latency_bins, panes.latency_values, len(reference.latency)
        ),
        vectors=vectors,
        segments=segments,
        calibration=reference.calibration[:0],
        sample=reference.sample[:0],
        sampled=reference.sampled[:0],
    )


def _taken(panes: Panes, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Panes:
    indptr, at = _rows(panes.indptr, order)
    latency_indptr, latency_at = _rows(panes.latency_indptr, order)
    return Panes(
        starts=starts,
        indptr=indptr,
        slots=panes.slots[at],
        values=panes.values[at],
        rows=panes.rows[order],
        errors=panes.errors[order],
        latency_indptr=latency_indptr,
        latency_bins=panes.latency_bins[latency_at],
        latency_values=panes.latency_values[latency_at],
        vectors=panes.vectors[order] if len(panes.vectors) else panes.vectors,
    )


def _rows(indptr: NDArray[np.int64], order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pointers of the chosen rows of a sparse array, and where their entries lie in it."""
    sizes = np.diff(indptr)[order]
    pointers = np.concatenate([[0], np.cumsum(sizes)])
    at = np.arange(pointers[-1]) + np.repeat(indptr[order] - pointers[:-1], sizes)
    return pointers, at


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _count(begin: int, end: int, length: int) -> int:
    """Whole blocks."""
    return max((end - _up(begin, min(length, DAY))) // length, 0)
