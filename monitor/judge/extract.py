"""The few numbers of many windows that all tests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.distance import kolmogorov_smirnov, wasserstein
from kernels.divergence import HELLINGER, JS, LINF, OUTPUTS, TOTAL_VARIATION, coarsen, compare
from monitor.judge import catalogue as names
from monitor.judge.frame import Frame

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

    divergence  float64[windows, features, OUTPUTS]    of `kernels.divergence.compare`
    distance    float64[windows, numeric, 3]           D and finite rows of both sides
    hits        float64[windows, ratios]
    trials      float64[windows, ratios]
    detectors   float64[windows, features, detectors]  NaN where there is no such score
    """

    divergence: NDArray[np.float64]
    distance: NDArray[np.float64]
    hits: NDArray[np.float64]
    trials: NDArray[np.float64]
    detectors: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Counts of some windows, one row each; shapes as in `monitor.sketch.Sketch`.

    breaches  int64[windows, frame.breaches], or None: counted from the slots
    extremes  float64[windows, numeric, 2], or None: within the reference's edges
    """

    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    latency: NDArray[np.int64]
    breaches: NDArray[np.int64] | None = None
    extremes: NDArray[np.float64] | None = None


def extract(counts: Counts, frame: Frame, *, left_out: bool) -> Extract:
    """Compare windows with the reference. `left_out`: they are part of it and left out one by one."""
    left = int(left_out)
    coarse = np.zeros((len(counts.rows), len(frame.coarse)), np.int64)
    coarsen(coarse, np.ascontiguousarray(counts.counts, np.int64), frame.group)
    divergence = np.zeros((len(coarse), len(frame.features), OUTPUTS))
    compare(
        divergence, coarse, frame.coarse if left_out else frame.live, frame.start, frame.special, frame.layout.kind, frame.design,
        left, CAP, WIDE, np.inf,
    )  # fmt: skip
    hits, trials = _ratio_counts(counts, coarse, frame)
    return Extract(
        divergence=divergence,
        distance=_distance(counts, frame, left=left),
        hits=hits,
        trials=trials,
        detectors=_detectors(counts, divergence, frame, left=left),
    )


def reference_ratios(frame: Frame, *, left_out: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hits and trials of every ratio in the whole reference, or as live windows will show it."""
    whole = Counts(
        frame.counts[None, :],
        np.array([frame.rows]),
        np.array([frame.errors]),
        np.asarray(frame.latency)[None, :],
    )
    hits, trials = _ratio_counts(whole, (frame.coarse if left_out else frame.live)[None, :], frame)
    if not left_out:
        for i, ratio in enumerate(frame.ratios):
            if ratio.test == names.NOVEL:
                hits[0, i] = frame.novel[ratio.owner]
            elif ratio.test == names.OTHER:
                hits[0, i] = max(hits[0, i] - frame.novel[ratio.owner], 0.0)
    return hits[0], trials[0]


def concatenate(parts: Sequence[Extract]) -> Extract:
    """One extract of the windows of several."""
    return Extract(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Extract)))


def _distance(counts: Counts, frame: Frame, *, left: int) -> NDArray[np.float64]:
    layout = frame.layout
    out = np.zeros((len(counts.rows), layout.numeric, 3))
    kolmogorov_smirnov(
        out, np.ascontiguousarray(counts.counts), frame.counts, layout.start, layout.kind, layout.column, left
    )
    return out


def _ratio_counts(
    counts: Counts, coarse: NDArray[Any], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    totals = np.add.reduceat(coarse, frame.start[:-1], axis=1) if len(frame.features) else coarse
    breaches = counts.breaches if counts.breaches is not None else _breaches(counts.counts, frame)
    hits = np.zeros((len(coarse), len(frame.ratios)))
    trials = np.zeros_like(hits)
    for i, ratio in enumerate(frame.ratios):
        if ratio.source == names.LATENCY:
            hits[:, i] = counts.latency[:, frame.slow_from :].sum(axis=1)
            trials[:, i] = counts.latency[:, 1:].sum(axis=1)
        elif ratio.source == names.ERROR:
            hits[:, i], trials[:, i] = counts.errors, counts.rows
        elif ratio.source == "breach":
            hits[:, i], trials[:, i] = breaches[:, ratio.index], totals[:, ratio.owner]
        else:
            hits[:, i], trials[:, i] = coarse[:, ratio.index], totals[:, ratio.owner]
    return np.minimum(hits, trials), trials


def _breaches(counts: NDArray[np.int64], frame: Frame) -> NDArray[np.int64]:
    found = np.zeros((len(counts), len(frame.breaches)), np.int64)
    for i, breach in enumerate(frame.breaches):
        low, high = frame.layout.start[breach.owner], frame.layout.start[breach.owner + 1]
        found[:, i] = counts[:, low:high] @ breach.slots
    return found


def _detectors(
    counts: Counts, divergence: NDArray[np.float64], frame: Frame, *, left: int
) -> NDArray[np.float64]:
    out = np.full((len(counts.rows), len(frame.features), len(frame.detectors)), np.nan)
    for i, name in enumerate(frame.detectors):
        if name != names.WASSERSTEIN:
            out[:, :, i] = divergence[:, :, _COLUMNS[name]]
            continue
        out[:, frame.numeric, i] = normalised_wasserstein(counts, frame, left=left)
    return out


def normalised_wasserstein(counts: Counts, frame: Frame, *, left: int) -> NDArray[np.float64]:
    """Wasserstein-1 of every numeric feature in reference IQRs: float64[windows, numeric]."""
    layout = frame.layout
    out = np.full((len(counts.rows), layout.numeric), np.nan)
    extremes = counts.extremes
    if extremes is None:
        extremes = np.tile(np.array([np.inf, -np.inf]), (len(out), layout.numeric, 1))
    wasserstein(
        out, np.ascontiguousarray(counts.counts), frame.counts, layout.start, layout.kind, layout.column,
        layout.edges, layout.edge_start, np.ascontiguousarray(extremes), left,
    )  # fmt: skip
    return out / unit(frame)


def unit(frame: Frame) -> NDArray[np.float64]:
    """IQR of each numeric feature in the reference; the standard deviation where it is 0, else 1."""
    profiles = [frame.features[i] for i in frame.numeric]
    wide = [next((w for w in (p.iqr, p.std) if np.isfinite(w) and w > 0), 1.0) for p in profiles]
    return np.array(wide, np.float64)
