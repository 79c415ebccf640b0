"""The part of a reference that a window is compared with: the seasons it covers, as it covers them.

Of a window's n rows the share w_s lies in season s, of which the reference has m_s rows. It should then
look like Σ w_s · (shares of s), which is known as well as from 1 / Σ (w_s² / m_s) rows of its own, so
k = 1/n + Σ w_s² / m_s. Counts are scaled to that many rows, and every test goes on as with any other
reference. A reference's own windows are compared the same way, with the rest of each season.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cut import cut
from kernels.layout import BELOW, CATEGORICAL, LATENCY_BINS, OTHER
from kernels.scores import quantile
from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.frame import Frame, breached
from monitor.judge.neyman import bases
from monitor.judge.seasons import Seasons
from monitor.reference.profile import Panes

TOGETHER = 64
"""Windows that are compared at once, fewer where their parts would be larger than LARGEST."""
LARGEST = 64 << 20
"""Bytes of the parts of windows: a window of a week by hour of week has 168, 180 MB of 500 features, which
one at least must have."""
_BLOCK = 8_192
"""Slots whose counts are numbers of 64 bits at once."""
_NOTHING = 1e-6
"""Rows that are left by rounding where there are none."""

Array = NDArray[np.float64]


def mixture(frame: Frame, seasons: Seasons, rows: NDArray[np.int64]) -> Frame:
    """What a live window with `rows` int64[groups], of which there are some, is compared with.

    Means and standard deviations that are shown beside a window's are not known by season: NaN.
    """
    share = rows / rows.sum()
    part = share / seasons.rows
    size = float(1.0 / np.sum(share * part))
    whole = framed(
        frame,
        size=size,
        counts=size * _weighted(part[None, :], seasons.counts)[0],
        latency=size * (part @ seasons.latency),
        errors=size * float(part @ seasons.errors),
        means=size * (part @ seasons.means),
    )
    live, novel = _as_live(frame, whole.coarse, size)
    return replace(whole, live=live, novel=novel, moments=_moments(whole))


def left_out(
    panes: Panes, seasons: Seasons, frame: Frame, first: NDArray[np.int64], last: NDArray[np.int64]
) -> Iterator[Extract]:
    """Compare windows of the reference with the seasons they cover, each without its own rows.

    One for each window: those that hold all there is of a season are compared with nothing.
    """
    group = seasons.calendar.at(panes.starts)
    low = 0
    while low < len(first):
        high = min(low + TOGETHER, len(first))
        runs = _runs(group, first[low:high], last[low:high])
        while high > low + 1 and len(runs) * frame.layout.slots * 8 > LARGEST:
            high = low + (high - low) // 2
            runs = _runs(group, first[low:high], last[low:high])
        yield from _compared(panes, seasons, frame, runs, group[runs[:, 0]], first[low:high], last[low:high])
        low = high


def _compared(
    panes: Panes, seasons: Seasons, frame: Frame, runs: NDArray[np.int64], group: NDArray[np.int64],
    first: NDArray[np.int64], last: NDArray[np.int64],
) -> Iterator[Extract]:  # fmt: skip
    parts = _Parts(panes, runs, frame)
    inside = ((runs[:, 0] >= first[:, None]) & (runs[:, 1] <= last[:, None])).astype(np.float64)
    own = np.zeros((len(first), len(seasons.rows)))
    np.add.at(own.T, group, (inside * parts.rows).T)
    rest = seasons.rows - own
    share = own / own.sum(axis=1, keepdims=True)
    known: NDArray[np.bool_] = np.asarray(((own == 0) | (rest > 0)).all(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where((own > 0) & known[:, None], share / rest, 0.0)
        size = np.where(known, 1.0 / np.sum(share * part, axis=1), 0.0)
    minus = inside * part[:, group]
    counts, latency = (_exact(inside @ of) for of in (parts.counts, parts.latency))
    mixed = _weighted(part, seasons.counts) - minus @ parts.counts
    slow = part @ seasons.latency - minus @ parts.latency
    wrong = part @ seasons.errors - minus @ parts.errors
    means = part @ seasons.means - minus @ parts.means
    for i in range(len(first)):
        mine = slice(i, i + 1)
        there = framed(
            frame, size=float(size[i]), counts=size[i] * mixed[i], latency=size[i] * slow[i],
            errors=float(size[i] * wrong[i]), means=size[i] * means[i],
        )  # fmt: skip
        here = Counts(
            counts[mine], _exact(own[mine].sum(axis=1)), _exact(inside[mine] @ parts.errors), latency[mine],
            means=_exact(inside[mine] @ parts.means) if parts.means.shape[1] else None,
        )  # fmt: skip
        yield extract(here, there, left_out=False)


class _Parts:
    """The counts of runs of panes, as float64, in which they are exact.

    counts [runs, slots]; latency [runs, LATENCY_BINS]; rows, errors [runs]; means [runs, mean words]
    """

    def __init__(self, panes: Panes, runs: NDArray[np.int64], frame: Frame) -> None:
        low, high = np.ascontiguousarray(runs[:, 0]), np.ascontiguousarray(runs[:, 1])
        self.counts = _cut(panes.indptr, panes.slots, panes.values, low, high, frame.layout.slots)
        self.latency = _cut(
            panes.latency_indptr, panes.latency_bins, panes.latency_values, low, high, LATENCY_BINS
        )
        self.rows, self.errors = (_between(of[:, None], low, high)[:, 0] for of in (panes.rows, panes.errors))
        self.means = _between(panes.vectors, low, high) if panes.vectors.size else np.zeros((len(runs), 0))


def _runs(group: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """[first, last) of the longest runs of panes in windows, each of one group and whole in or out of
    any window: int64[runs, 2]."""
    low, high = int(first.min()), int(last.max())
    changes = np.flatnonzero(np.diff(group[low:high])) + low + 1
    borders = np.unique(np.concatenate([changes, first, last]))
    runs = np.stack([borders[:-1], borders[1:]], axis=1)
    within = np.zeros(high + 1, np.int64)
    np.add.at(within, first, 1)
    np.add.at(within, last, -1)
    return np.ascontiguousarray(runs[np.cumsum(within)[runs[:, 0]] > 0])


def _cut(
    indptr: NDArray[np.int64], slots: NDArray[np.int32], values: NDArray[np.int64],
    first: NDArray[np.int64], last: NDArray[np.int64], size: int,
) -> Array:  # fmt: skip
    found = np.empty((len(first), size), np.int64)
    cut(found, np.zeros(size, np.int64), np.array([first[0]] * 2), indptr, slots, values, first, last)
    return found.astype(np.float64)


def _between(values: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> Array:
    """Sums of the rows [first, last) of `values`."""
    sums = np.concatenate([np.zeros((1, values.shape[1]), np.int64), np.cumsum(values, axis=0)])
    return np.asarray(sums[last] - sums[first], np.float64)


def _weighted(part: Array, counts: NDArray[Any]) -> Array:
    """part @ counts, without a copy of all the counts as float64."""
    used = np.flatnonzero(part.any(axis=0))
    out, part = np.empty((len(part), counts.shape[1])), part[:, used]
    for low in range(0, counts.shape[1], _BLOCK):
        out[:, low : low + _BLOCK] = part @ counts[used, low : low + _BLOCK].astype(np.float64)
    return out


def framed(frame: Frame, *, size: float, counts: Array, latency: Array, errors: float, means: Array) -> Frame:
    """`frame` with the counts of another reference of `size` rows, as its own windows are compared with it."""
    counts = np.where(counts > _NOTHING, counts, 0.0)
    integers = rounded(counts)
    coarse = np.asarray(np.bincount(frame.group, counts, minlength=len(frame.coarse)), np.float64)
    return replace(
        frame,
        counts=integers,
        bases=bases(integers, frame.layout) if frame.bases else (),
        coarse=coarse,
        live=coarse,
        novel=np.zeros(len(frame.features)),
        breached=breached(integers[None, :], frame.breaches, frame.layout)[0],
        means=np.rint(means).astype(np.int64),
        rows=round(size),
        errors=round(errors),
        latency=rounded(latency),
    )


def rounded(values: Array) -> NDArray[np.int64]:
    """Integers whose running sum is nowhere more than ½ from that of `values`, which are ≥ 0 but for rounding."""
    sums = np.rint(np.cumsum(np.maximum(values, 0.0)))
    return np.asarray(np.diff(sums, prepend=0.0), np.int64)


def _exact(values: Array) -> NDArray[np.int64]:
    return np.ascontiguousarray(np.rint(values).astype(np.int64))


def _as_live(frame: Frame, coarse: Array, size: float) -> tuple[Array, Array]:
    """As `monitor.judge.tail.as_live`: categories were chosen by the whole reference, so each loses the
    share that it loses there."""
    named = frame.layout.kind == CATEGORICAL
    if not named.any():
        return coarse, np.zeros(len(frame.features))
    other = frame.start[:-1][named] + OTHER
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(frame.coarse > 0, frame.live / frame.coarse, 1.0)
    kept[other] = 1.0
    live = coarse * kept
    live[other] += np.add.reduceat(coarse - live, frame.start[:-1])[named]
    novel = frame.novel * (size / max(frame.rows, 1))
    bound = np.where(frame.coarse[other] > 0, live[other], np.inf)
    novel[named] = np.minimum(novel[named], bound)
    return live, novel


def _moments(frame: Frame) -> Array:
    """mean, std, p01, median and p99 of each numeric feature; the first two are not known by season."""
    found = frame.moments.copy()
    found[:, :2] = np.nan
    for column, feature in enumerate(frame.numeric.tolist()):
        profile = frame.features[feature]
        own = frame.counts[frame.layout.start[feature] + BELOW : frame.layout.start[feature + 1]]
        with np.errstate(all="ignore"):  # a range near the largest double overflows
            for place, q in ((2, 0.01), (3, 0.5), (4, 0.99)):
                found[column, place] = quantile(own, profile.edges, q, profile.minimum, profile.maximum)
    return found
