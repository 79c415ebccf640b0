"""The few numbers of many windows that all tests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import CATEGORICAL, NOVEL, OTHER, SUM_WORDS, VECTOR
from kernels.scores import (
    DIVERGENCES,
    FINITE_REFERENCE,
    HELLINGER,
    JS,
    KS,
    LINF,
    OUTPUTS,
    ROWS,
    TOTAL_VARIATION,
    WASSERSTEIN,
    score,
)
from monitor.judge import catalogue as names
from monitor.judge.frame import Frame, breached
from monitor.judge.joint import distances
from monitor.judge.neyman import neyman_scores
from monitor.judge.vectors import COLUMNS, vector_scores

WIDE = 20.0
"""Expected rows that a slot needs to vote: with 20 to 25 the chi-square null holds to 0.1 %
(measured 0.76-1.18 times nominal); with 5 it is off by several times."""
CAP = 0.25
"""A window counts at most this share of the reference as evidence: a lucky reference would
otherwise page for ever once windows are as large as itself."""
_COLUMNS = {"js": JS, "hellinger": HELLINGER, "total_variation": TOTAL_VARIATION, "linf": LINF}


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """Numbers of some windows, compared with a reference (or with the rest of it).

    divergence  float64[windows, features, DIVERGENCES]  the first columns of `kernels.scores.score`
    distance    float64[windows, numeric, 3]           D and finite rows of both sides
    hits        float64[windows, ratios]
    trials      float64[windows, ratios]
    base        float64[windows, 2, ratios]  hits and trials of what each window is compared with
    detectors   float64[windows, features, detectors]  NaN where there is no such score
    joint       float64[windows, joints, 3]  see `monitor.judge.joint.distances`
    neyman      float64[windows, numeric or 0, ORDER + 2]  see `monitor.judge.neyman.neyman_scores`
    """

    divergence: NDArray[np.float64]
    distance: NDArray[np.float64]
    hits: NDArray[np.float64]
    trials: NDArray[np.float64]
    base: NDArray[np.float64]
    detectors: NDArray[np.float64]
    joint: NDArray[np.float64]
    neyman: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Counts of some windows, one row each; shapes as in `monitor.sketch.Sketch`.

    breaches  int64[windows, frame.breaches], or None: counted from the slots
    extremes  float64[windows, numeric, 2], or None: within the reference's edges
    sums      int64[windows, numeric, SUM_WORDS], or None: nobody asks for moments
    means     int64[windows, mean words], or None: nobody asks for scores of vectors or groups
    """

    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    latency: NDArray[np.int64]
    breaches: NDArray[np.int64] | None = None
    extremes: NDArray[np.float64] | None = None
    sums: NDArray[np.int64] | None = None
    means: NDArray[np.int64] | None = None


def extract(counts: Counts, frame: Frame, *, left_out: bool) -> Extract:
    """Compare windows with the reference. `left_out`: they are part of it and left out one by one."""
    whole = frame.coarse if left_out else frame.live
    out, coarse = scored(
        counts, frame, whole=whole, design=frame.design, left=int(left_out), cap=CAP, seen=np.inf
    )
    hits, trials = _ratio_counts(counts, coarse, out[:, :, ROWS], frame)
    base = np.tile(np.stack(reference_ratios(frame, left_out=left_out)), (len(out), 1, 1))
    if left_out:
        base -= np.stack([hits, trials], axis=1)
    return Extract(
        divergence=out[:, :, :DIVERGENCES].copy(),
        distance=out[:, frame.numeric, KS : FINITE_REFERENCE + 1],
        hits=hits,
        trials=trials,
        base=base,
        detectors=_detectors(out, counts, frame, left=int(left_out)),
        joint=distances(counts.counts, counts.means, frame, left=int(left_out)),
        neyman=neyman_scores(counts.counts, frame, left=int(left_out), cap=CAP),
    )


def scored(
    counts: Counts,
    frame: Frame,
    *,
    whole: NDArray[np.float64],
    design: NDArray[np.float64],
    left: int,
    cap: float,
    seen: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What `kernels.scores.score` writes: float64[windows, features, OUTPUTS], int64[windows, coarse slots]."""
    layout, windows = frame.layout, len(counts.rows)
    out = np.empty((windows, layout.features, OUTPUTS))
    coarse = np.empty((windows, len(frame.coarse)), np.int64)
    extremes, sums = counts.extremes, counts.sums
    if extremes is None:
        extremes = np.tile(np.array([np.inf, -np.inf]), (windows, layout.numeric, 1))
    if sums is None:
        sums = np.zeros((windows, layout.numeric, SUM_WORDS), np.int64)
    score(
        out, coarse, np.ascontiguousarray(counts.counts, np.int64), np.ascontiguousarray(sums),
        np.ascontiguousarray(extremes), frame.counts, whole, frame.group, frame.start, frame.special, design,
        layout.kind, layout.column, layout.start, layout.edges, layout.edge_start, layout.center, layout.scale,
        left, cap, WIDE, seen,
    )  # fmt: skip
    return out, coarse


def reference_ratios(frame: Frame, *, left_out: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hits and trials of every ratio in the whole reference, or as live windows will show it."""
    whole = Counts(
        frame.counts[None, :],
        np.array([frame.rows]),
        np.array([frame.errors]),
        np.asarray(frame.latency)[None, :],
        breaches=frame.breached[None, :],
    )
    coarse = (frame.coarse if left_out else frame.live)[None, :]
    totals = np.add.reduceat(coarse, frame.start[:-1], axis=1) if len(frame.features) else coarse
    if not left_out:
        coarse, named = coarse.copy(), frame.layout.kind == CATEGORICAL
        first = frame.start[:-1][named]
        coarse[0, first + NOVEL] = frame.novel[named]
        coarse[0, first + OTHER] = np.maximum(coarse[0, first + OTHER] - frame.novel[named], 0.0)
    hits, trials = _ratio_counts(whole, coarse, totals, frame)
    return hits[0], trials[0]


def concatenate(parts: Sequence[Extract]) -> Extract:
    """One extract of the windows of several."""
    return Extract(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Extract)))


def _ratio_counts(
    counts: Counts, coarse: NDArray[Any], totals: NDArray[Any], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hits and trials, in the order of `frame.ratios`."""
    breaches = counts.breaches
    if breaches is None:
        breaches = breached(counts.counts, frame.breaches, frame.layout)
    hits = np.zeros((len(coarse), len(frame.ratios)))
    trials = np.zeros_like(hits)
    slots, owned = len(frame.picked), len(frame.picked) + len(frame.breaches)
    hits[:, :slots] = coarse[:, frame.picked]
    hits[:, slots:owned] = breaches
    trials[:, :owned] = totals[:, frame.owner[:owned]]
    hits[:, owned], trials[:, owned] = counts.errors, counts.rows
    if frame.slow_from > 0:
        hits[:, -1] = counts.latency[:, frame.slow_from :].sum(axis=1)
        trials[:, -1] = counts.latency[:, 1:].sum(axis=1)
    return np.minimum(hits, trials), trials


def _detectors(out: NDArray[np.float64], counts: Counts, frame: Frame, *, left: int) -> NDArray[np.float64]:
    found = np.full((*out.shape[:2], len(frame.detectors)), np.nan)
    vectors, owners = np.empty((len(out), 0, len(COLUMNS))), frame.layout.kind == VECTOR
    if counts.means is not None:
        vectors = vector_scores(counts.counts, counts.means, frame, left=left)
    for i, name in enumerate(frame.detectors):
        if name == names.WASSERSTEIN:
            found[:, frame.numeric, i] = out[:, frame.numeric, WASSERSTEIN] / frame.unit
        elif name not in COLUMNS:
            found[:, :, i] = out[:, :, _COLUMNS[name]]
        elif counts.means is not None:
            found[:, owners, i] = vectors[:, :, COLUMNS.index(name)]
            found[:, [bool(profile.members) for profile in frame.features], i] = np.nan  # groups have joint
    return found
