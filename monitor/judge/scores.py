"""All scores of a window, voting or not. Step 8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.divergence import HELLINGER, JS, LINF, OUTPUTS, PSI, TOTAL_VARIATION, G, coarsen, compare
from kernels.latency import latency_quantile
from kernels.moments import mean_std
from monitor.judge import catalogue as names
from monitor.judge.extract import WIDE, Counts, normalised_wasserstein, reference_ratios
from monitor.judge.frame import Frame
from monitor.verdict import Window

Scores = dict[str, dict[str, float]]

_COLUMNS = {
    "js": JS, "hellinger": HELLINGER, "total_variation": TOTAL_VARIATION, "linf": LINF,
}  # fmt: skip
_QUANTILES = {"p01": 0.01, "median": 0.5, "p99": 0.99}


def score(window: Window, counts: Counts, frame: Frame, *, hits: Any, trials: Any) -> Scores:
    """Feature → score → value; scores that cannot be computed are left out.

    Distances here are of all rows, neither capped nor divided by design effects, over the coarse
    slots with WIDE expected rows and the special slots with WIDE rows on either side; the vote
    only takes slots that are wide by expectation. `hits`, `trials`: float64[ratios] of the window.
    """
    found: Scores = {profile.name: {} for profile in frame.features}
    with np.errstate(all="ignore"):  # values near the largest double overflow; their scores are left out
        _divergences(found, counts, frame)
        _distances(found, counts, frame)
        _moments(found, window, frame)
        _ratios(found, frame, hits, trials)
        _latencies(found, window, frame)
    return {
        feature: {name: value for name, value in scores.items() if np.isfinite(value)}
        for feature, scores in found.items()
    }


def _divergences(found: Scores, counts: Counts, frame: Frame) -> None:
    coarse = np.zeros((1, len(frame.coarse)), np.int64)
    coarsen(coarse, np.ascontiguousarray(counts.counts, np.int64), frame.group)
    out = np.zeros((1, len(frame.features), OUTPUTS))
    compare(
        out, coarse, frame.coarse, frame.start, frame.special, frame.layout.kind,
        np.ones(len(frame.features)), 0, np.inf, WIDE, WIDE,
    )  # fmt: skip
    for feature, profile in enumerate(frame.features):
        row = out[0, feature]
        own = found[profile.name]
        own[names.PSI], own[names.G] = float(row[PSI]), float(row[G])
        own |= {name: float(row[column]) for name, column in _COLUMNS.items()}


def _distances(found: Scores, counts: Counts, frame: Frame) -> None:
    area = normalised_wasserstein(counts, frame, left=0)[0]
    for column, feature in enumerate(frame.numeric):
        own = found[frame.features[feature].name]
        own[names.WASSERSTEIN] = float(area[column])
        low, high = frame.layout.start[feature] + 2, frame.layout.start[feature + 1]
        here, there = counts.counts[0, low:high], frame.counts[low:high]
        if here.sum() > 0 and there.sum() > 0:
            gap = np.cumsum(here) / here.sum() - np.cumsum(there) / there.sum()
            own[names.KS] = float(np.abs(gap).max())


def _moments(found: Scores, window: Window, frame: Frame) -> None:
    layout = frame.layout
    finite = np.array([window.counts[layout.start[f] + 2 : layout.start[f + 1]].sum() for f in frame.numeric])
    mean, std = mean_std(window.sums, finite, layout.center, layout.scale)
    for column, feature in enumerate(frame.numeric):
        profile = frame.features[feature]
        low, high = layout.start[feature] + 2, layout.start[feature + 1]
        edges = layout.edges[layout.edge_start[column] : layout.edge_start[column + 1]]
        own = found[profile.name]
        own |= {"mean": float(mean[column]), "std": float(std[column])}
        own |= {"reference_mean": profile.mean, "reference_std": profile.std}
        ends = window.extremes[column]
        for name, q in _QUANTILES.items():
            own[name] = quantile(window.counts[low:high], edges, q, low=ends[0], high=ends[1])
            own[f"reference_{name}"] = quantile(
                frame.counts[low:high], edges, q, low=profile.minimum, high=profile.maximum
            )


def quantile(
    counts: NDArray[np.int64], edges: NDArray[np.float64], q: float, *, low: float, high: float
) -> float:
    """The q-quantile of counts per below, bins, above; straight lines inside bins, NaN when empty."""
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    ends = np.concatenate([[min(low, edges[0])], edges, [max(high, edges[-1])]])
    reached = np.cumsum(counts)
    at = int(np.searchsorted(reached, q * total, side="left"))
    before = float(reached[at] - counts[at])
    inside = (q * total - before) / float(counts[at]) if counts[at] else 0.0
    value = float(ends[at] + inside * (ends[at + 1] - ends[at]))
    return float(np.clip(value, low, high)) if low <= high else value


def _ratios(found: Scores, frame: Frame, hits: Any, trials: Any) -> None:
    y, m = reference_ratios(frame, left_out=True)
    for i, ratio in enumerate(frame.ratios):
        if trials[i] > 0 and m[i] > 0:
            own = found.setdefault(ratio.feature, {})
            own[ratio.test] = float(hits[i] / trials[i] - y[i] / m[i])
            own[f"{ratio.test}_ratio"] = float(hits[i] / trials[i])


def _latencies(found: Scores, window: Window, frame: Frame) -> None:
    if int(window.latency[1:].sum()) == 0:
        return
    own = found.setdefault(names.LATENCY, {})
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        own[name] = latency_quantile(window.latency, q)
        own[f"reference_{name}"] = latency_quantile(frame.latency, q)
