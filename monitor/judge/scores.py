"""All scores of a window, voting or not. Step 8."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.latency import latency_quantile
from kernels.layout import PRESENT, VECTOR
from kernels.scores import (
    FINITE,
    FINITE_REFERENCE,
    HELLINGER,
    JS,
    KS,
    LINF,
    MEAN,
    MEDIAN,
    P01,
    P99,
    PSI,
    STD,
    TOTAL_VARIATION,
    WASSERSTEIN,
    G,
)
from monitor.judge import catalogue as names
from monitor.judge.extract import WIDE, Counts, reference_ratios, scored
from monitor.judge.frame import Frame
from monitor.judge.joint import distances, plain_scores
from monitor.judge.neyman import neyman_scores, shown
from monitor.judge.vectors import COLUMNS, vector_scores
from monitor.verdict import Window

Array = NDArray[np.float64]
Scores = dict[str, dict[str, float]]

_DIVERGENCES = {
    names.PSI: PSI, names.G: G, "js": JS, "hellinger": HELLINGER, "total_variation": TOTAL_VARIATION, "linf": LINF,
}  # fmt: skip
_OF_GROUPS = (names.MMD, "mmd_noise")
_NUMERIC = (
    *_DIVERGENCES, names.WASSERSTEIN, names.KS, "mean", "std", "reference_mean", "reference_std", "p01", "reference_p01",
    "median", "reference_median", "p99", "reference_p99",
)  # fmt: skip


def score(window: Window, counts: Counts, frame: Frame, *, hits: Array, trials: Array) -> Scores:
    """Feature → score → value; scores that cannot be computed are left out.

    Distances here are of all rows, neither capped nor divided by design effects, over the coarse
    slots with WIDE expected rows and the special slots with WIDE rows on either side; the vote
    only takes slots that are wide by expectation. `hits`, `trials`: float64[ratios] of the window.
    """
    with np.errstate(all="ignore"):  # values near the largest double overflow; their scores are left out
        out, _ = scored(
            counts,
            frame,
            whole=frame.coarse,
            design=np.ones(len(frame.features)),
            left=0,
            cap=np.inf,
            seen=WIDE,
        )
        plain = _named(tuple(_DIVERGENCES), out[0][:, list(_DIVERGENCES.values())])
        numeric = dict(
            zip(frame.numeric.tolist(), _named(_NUMERIC, _numeric(out[0, frame.numeric], frame)), strict=True)
        )
        vectors = _vectors(counts, frame)
        found = {
            profile.name: numeric.get(i) or vectors.get(i) or plain[i]
            for i, profile in enumerate(frame.features)
        }
        far = shown(neyman_scores(counts.counts, frame, left=0, cap=np.inf), frame)[0]
        for i, value in zip(frame.numeric, far.tolist(), strict=False):
            found[frame.features[i].name] |= {} if math.isnan(value) else {names.NEYMAN: value}
        _ratios(found, frame, hits, trials)
        _latencies(found, window, frame)
    return found


def _named(columns: tuple[str, ...], values: Array) -> list[dict[str, float]]:
    """A dictionary of the finite values of each row."""
    found = []
    for row in values.tolist():
        own = dict(zip(columns, row, strict=True))
        if not math.isfinite(sum(row)):
            own = {name: value for name, value in own.items() if math.isfinite(value)}
        found.append(own)
    return found


def _numeric(out: Array, frame: Frame) -> Array:
    """What is shown of each numeric feature, beside its ratios: float64[numeric, _NUMERIC]."""
    both = (out[:, FINITE] > 0) & (out[:, FINITE_REFERENCE] > 0)
    mean, std, *quantiles = frame.moments.T
    columns = [out[:, column] for column in _DIVERGENCES.values()]
    columns += [out[:, WASSERSTEIN] / frame.unit, np.where(both, out[:, KS], np.nan)]
    columns += [out[:, MEAN], out[:, STD], mean, std]
    for own, theirs in zip((P01, MEDIAN, P99), quantiles, strict=True):
        columns += [out[:, own], theirs]
    return np.stack(columns, axis=1)


def _vectors(counts: Counts, frame: Frame) -> dict[int, dict[str, float]]:
    """Feature number → what is shown of a vector feature or a group, beside its ratios."""
    owners = np.flatnonzero(frame.layout.kind == VECTOR).tolist()
    if not owners or counts.means is None:
        return {}
    found = vector_scores(counts.counts, counts.means, frame, left=0)[0]
    shown = dict(zip(owners, _named(COLUMNS, found), strict=True))
    groups = [i for i in owners if frame.features[i].members]
    for i in groups:
        shown[i] = {name: value for name, value in shown[i].items() if name in _OF_GROUPS}
        rows = counts.counts[0, frame.layout.start[i] : frame.layout.start[i + 1]]
        shown[i][names.INCOMPLETE] = 1.0 - float(rows[PRESENT] / max(rows.sum(), 1))
    far = plain_scores(distances(counts.counts, counts.means, frame, left=0), frame.joints)[0]
    for joint, value in zip(frame.joints, far.tolist(), strict=True):
        shown[joint.feature][names.JOINT] = value
    return shown


def _ratios(found: Scores, frame: Frame, hits: Array, trials: Array) -> None:
    y, m = reference_ratios(frame, left_out=True)
    share = hits / trials
    known: NDArray[np.bool_] = (trials > 0) & (m > 0)
    rows = zip(frame.ratios, share.tolist(), (share - y / m).tolist(), known.tolist(), strict=True)
    for ratio, now, more, is_known in rows:
        if is_known:
            own = found.setdefault(ratio.feature, {})
            own[ratio.test] = more
            own[f"{ratio.test}_ratio"] = now


def _latencies(found: Scores, window: Window, frame: Frame) -> None:
    if int(window.latency[1:].sum()) == 0:
        return
    own = found.setdefault(names.LATENCY, {})
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        own[name] = latency_quantile(window.latency, q)
        own[f"reference_{name}"] = latency_quantile(frame.latency, q)
