"""The windows that a reference itself consists of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kernels.cut import cut
from kernels.layout import LATENCY_BINS
from monitor.judge import catalogue as names
from monitor.judge.extract import Counts, Extract, concatenate, extract
from monitor.judge.frame import Frame
from monitor.judge.mixture import left_out
from monitor.judge.seasons import Seasons
from monitor.plan import WindowSpec
from monitor.reference.profile import Panes, Reference
from monitor.window.grid import next_end, start_of

TOGETHER = 64
"""Windows cut at once: 64 of 50 features are 7 MB of counts."""


def reference_windows(
    reference: Reference, spec: WindowSpec, frame: Frame, *, min_rows: int, seasons: Seasons | None = None
) -> Extract | None:
    """The reference's own windows on the live grid, each compared with the rest, or with the rest of
    the `seasons` it covers; None without any.

    Whole windows with at least `min_rows` rows, cut at the same step as live ones, so sliding
    windows overlap as live ones do. Their ranks come in runs, on both sides of the comparison:
    expected are as many runs beyond the reference as the budget has pages, and a run is one page
    if an incident stays open for a window's length. Simulated for 24 hours by the hour at a budget
    of 2, 60 months: 1.97 ± 0.22 pages when an incident closes after 24 ok windows, 2.38 ± 0.32
    after two.
    """
    first, last = kept_spans(reference, spec, min_rows=min_rows)
    if len(first) == 0:
        return None
    if seasons is not None:
        found = list(left_out(reference.panes, seasons, frame, first, last))
        return concatenate(found) if found else None
    return concatenate(
        [extract(counts, frame, left_out=True) for counts in _cut(reference.panes, first, last, frame)]
    )


def kept_spans(
    reference: Reference, spec: WindowSpec, *, min_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those of `spans` that have so many rows, and any."""
    first, last = spans(reference, spec)
    rows = np.concatenate([[0], np.cumsum(reference.panes.rows)])
    kept = rows[last] - rows[first] >= max(min_rows, 1)
    return first[kept], last[kept]


def spans(reference: Reference, spec: WindowSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pane and pane after the last of every whole window; none where panes do not fit."""
    panes, first, last = reference.panes, [], []
    if reference.timed and reference.pane > 0 and len(panes) > 0:
        until = int(panes.starts[-1]) + reference.pane
        end = next_end(spec, int(panes.starts[0]))
        while end <= until:
            start = start_of(spec, end)
            if start >= panes.starts[0] and start % reference.pane == 0 and end % reference.pane == 0:
                first.append(np.searchsorted(panes.starts, start))
                last.append(np.searchsorted(panes.starts, end))
            end = next_end(spec, end)
    return np.array(first, np.int64), np.array(last, np.int64)


def _cut(panes: Panes, first: NDArray[np.int64], last: NDArray[np.int64], frame: Frame) -> Iterator[Counts]:
    rows = np.concatenate([[0], np.cumsum(panes.rows)])
    errors = np.concatenate([[0], np.cumsum(panes.errors)])
    total, latency_total = np.zeros(frame.layout.slots, np.int64), np.zeros(LATENCY_BINS, np.int64)
    span = np.zeros(2, np.int64)
    sums = None
    if (frame.joints or {names.MMD, names.MEAN_SHIFT} & set(frame.detectors)) and len(frame.means):
        sums = np.zeros((len(panes) + 1, panes.vectors.shape[1]), np.int64)
        np.cumsum(panes.vectors, axis=0, out=sums[1:])
    for low in range(0, len(first), TOGETHER):
        a, b = first[low : low + TOGETHER], last[low : low + TOGETHER]
        counts = np.empty((len(a), len(total)), np.int64)
        latency = np.empty((len(a), LATENCY_BINS), np.int64)
        cut(counts, total, span, panes.indptr, panes.slots, panes.values, a, b)
        cut(
            latency, latency_total, span, panes.latency_indptr, panes.latency_bins, panes.latency_values, a, b
        )
        span = np.array([a[-1], b[-1]])
        means = sums[b] - sums[a] if sums is not None else None
        yield Counts(counts, rows[b] - rows[a], errors[b] - errors[a], latency, means=means)
