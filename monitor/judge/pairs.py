"""Which two features of a group go together otherwise, as far as sampled rows tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW
from monitor.judge.frame import Frame
from monitor.judge.kinds import Kind
from monitor.judge.located import seasonal
from monitor.judge.prepare import Prepared
from monitor.sample import Sample
from monitor.verdict import Window

FEWEST = 50
"""Complete sampled rows on either side below which a correlation says little."""
SURE = 4.0
"""Standard errors by which the correlation of the pair that moved most must have moved: of the 120 pairs of 16
members none does by chance in 99 of 100 groups (a normal tail beyond 4, twice, times 120, is 0.008)."""
_CLOSE = 1.0 - 1e-6
_CONSTANT = 1e-6
"""Standard deviation below which there is nothing but rounding: ranks lie between 0 and 1."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moved:
    """Rank correlations of two features, in the window and in the reference."""

    first: str
    second: str
    now: float
    before: float


def told_pairs(diagnosis: dict[str, Any], window: Window, prepared: Prepared, sample: Sample | None) -> None:
    """Add the pair that moved most to what a diagnosis says of each group. Nothing where there are no samples."""
    if sample is None or not len(prepared.sample):
        return
    weights = None if prepared.seasons is None else seasonal(window, prepared)
    for one in diagnosis["features"]:
        if one.get("kind") != Kind.JOINT or "segment" in one:
            continue
        pair = moved(sample.codes, prepared.sample, prepared.frame, one["feature"], weights=weights)
        if pair is not None:
            change = f"{pair.before:.2f} → {pair.now:.2f}"
            one["text"] += f"; rank correlation of {pair.first} and {pair.second} {change}"
            figures = {"correlation": pair.now, "reference_correlation": pair.before}
            one["figures"] = {**one["figures"], "pair": [pair.first, pair.second], **figures}


def moved(
    window: NDArray[np.uint16],
    reference: NDArray[np.uint16],
    frame: Frame,
    group: str,
    *,
    weights: Array | None = None,
) -> Moved | None:
    """The pair whose rank correlation moved most beyond doubt.

    window, reference  uint16[rows, features]: `Sample.codes` of the window, `Reference.sample`
    weights            float64[rows] of the reference; None: all alike
    """
    names = [profile.name for profile in frame.features]
    members = [names.index(name) for name in frame.features[names.index(group)].members]
    now, n = _correlations(window, frame, members, None)
    before, m = _correlations(reference, frame, members, weights)
    if min(n, m) < FEWEST:
        return None
    error = (1.0 / (n - 3) + 1.0 / (m - 3)) ** 0.5
    far = [np.arctanh(np.clip(one, -_CLOSE, _CLOSE)) for one in (now, before)]  # Fisher 1915
    apart = np.triu(np.abs(far[0] - far[1]), 1) / error
    i, j = divmod(int(apart.argmax()), len(members))
    if apart[i, j] < SURE:
        return None
    return Moved(names[members[i]], names[members[j]], float(now[i, j]), float(before[i, j]))


def _correlations(
    codes: NDArray[np.uint16], frame: Frame, members: list[int], weights: Array | None
) -> tuple[Array, float]:
    """float64[members, members], 0 where one of two is a constant; and how many rows, weighed alike, tell as much."""
    complete = (codes[:, members] >= BELOW).all(axis=1)
    weight = np.ones(len(codes))[complete] if weights is None else weights[complete]
    total = float(weight.sum())
    if total <= 0.0:
        return np.zeros((len(members), len(members))), 0.0
    ranks, root = _ranks(codes[complete], frame, members), np.sqrt(weight / total)
    away = (ranks - weight @ ranks / total) * root[:, None]
    size = np.sqrt(np.sum(away * away, axis=0))
    away = np.where(size > _CONSTANT, away / np.maximum(size, _CONSTANT), 0.0)
    return np.asarray(away.T @ away, np.float64), total**2 / float(weight @ weight)


def _ranks(codes: NDArray[np.uint16], frame: Frame, members: list[int]) -> Array:
    """float64[rows, members]: the share of the reference's values below each one, as its bin tells."""
    columns = []
    for feature in members:
        low, high = frame.layout.start[feature : feature + 2].tolist()
        mass = frame.counts[low:high].astype(np.float64)
        mass[:BELOW] = 0.0
        columns.append(((np.cumsum(mass) - mass / 2) / max(mass.sum(), 1.0))[codes[:, feature]])
    return np.stack(columns, axis=1)
