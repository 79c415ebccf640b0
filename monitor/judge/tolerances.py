"""How much a model's inputs move in ordinary windows, learnt from the reference's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.scores import SLOTS
from monitor.judge import catalogue as names
from monitor.judge import chi, ratios
from monitor.judge.extract import Extract
from monitor.judge.frame import Frame
from monitor.judge.joint import variance
from monitor.judge.samples import (
    distance_samples,
    divergence_samples,
    joint_samples,
    ratio_samples,
)

ASSUMED = 0.01
"""PSI-unit tolerance of a reference that cannot teach one."""
EXCEEDED = 0.1
"""Share of the reference's windows that may exceed the learnt tolerance, at this same level: noise
alone exceeds a tolerance of 0 that often, so without movement 0 is learnt."""
ENOUGH = 10
"""Windows that are needed to know a 0.9-quantile."""


@dataclass(frozen=True, slots=True, eq=False)
class Tolerances:
    """Tolerances of the tests.

    divergence  float64[features]  PSI units, for psi and g
    distance    float64[numeric]   units of D
    ratio       float64[ratios]    difference of ratios
    joint       float64[joints]    PSI units, for joint
    middle, far float64[features, detectors]: median and 0.9-quantile of the reference's windows
    learnt      False: assumed, not measured
    """

    divergence: NDArray[np.float64]
    distance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    joint: NDArray[np.float64]
    middle: NDArray[np.float64]
    far: NDArray[np.float64]
    learnt: bool


def learn(windows: Extract | None, frame: Frame, given: Mapping[str, float], *, least: float) -> Tolerances:
    """Tolerances from the reference's windows; `given` ones (by test or "test(feature)") stand.

    `least` is the smallest tolerance of a ratio. Too few windows: ASSUMED.
    """
    learnt = windows is not None and len(windows) >= ENOUGH
    features, numeric = len(frame.features), frame.layout.numeric
    divergence, distance = np.full(features, ASSUMED), np.full(numeric, np.sqrt(ASSUMED) / 2)
    ratio, joint = np.full(len(frame.ratios), least), np.full(len(frame.joints), ASSUMED)
    shape = (features, len(frame.detectors))
    middle, far = np.full(shape, np.nan), np.full(shape, np.nan)
    if windows is not None and learnt:
        divergence, distance = _divergence(windows, frame), _distance(windows, frame)
        ratio, joint = np.maximum(ratio, _ratio(windows, frame)), _joint(windows, frame)
        middle = np.quantile(windows.detectors, 0.5, axis=0)
        far = np.quantile(windows.detectors, 1.0 - EXCEEDED, axis=0)
    for i, profile in enumerate(frame.features):
        test = names.PSI if frame.layout.kind[i] == 0 else names.G
        divergence[i] = _given(given, test, profile.name, float(divergence[i]))
    for column, i in enumerate(frame.numeric):
        own = _given(given, names.KS, frame.features[i].name, np.nan)
        distance[column] = distance[column] if np.isnan(own) else np.sqrt(own) / 2
    for i, one in enumerate(frame.ratios):
        ratio[i] = _given(given, one.test, one.feature, float(ratio[i]))
    for i, group in enumerate(frame.joints):
        joint[i] = _given(given, names.JOINT, group.name, float(joint[i]))
    return Tolerances(divergence, distance, ratio, joint, middle, far, learnt)


def given_ratios(
    rows: Sequence[str], frame: Frame, given: Mapping[str, float], *, least: float
) -> NDArray[np.float64]:
    """What the ratios of each of `rows`, names of features, may move by where nothing is learnt: the largest
    that was given for one of its ratios, at least `least`."""
    found = dict.fromkeys(rows, least)
    for one in frame.ratios:
        found[one.feature] = max(found[one.feature], _given(given, one.test, one.feature, least))
    return np.array([found[name] for name in rows])


def exceeded_by(needed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per column, the smallest number that at most EXCEEDED of the rows lie above."""
    allowed = int(EXCEEDED * len(needed))
    return np.asarray(np.sort(needed, axis=0)[len(needed) - 1 - allowed], np.float64)


def _divergence(windows: Extract, frame: Frame) -> NDArray[np.float64]:
    y, k = divergence_samples(windows, frame)
    return exceeded_by(k * chi.noncentrality(y, EXCEEDED, windows.divergence[:, :, SLOTS] - 1))


def _distance(windows: Extract, frame: Frame) -> NDArray[np.float64]:
    from scipy.special import kolmogi

    d, scale, _, _ = distance_samples(windows, frame)
    with np.errstate(divide="ignore"):
        noise = np.where(scale > 0, (kolmogi(EXCEEDED) - frame.shift) / scale, np.inf)
    return exceeded_by(np.maximum(d - noise, 0.0))


def _ratio(windows: Extract, frame: Frame) -> NDArray[np.float64]:
    x, n, y, m = ratio_samples(windows, frame)
    return exceeded_by(ratios.tolerance_needed(EXCEEDED, x, n, y, m))


def _joint(windows: Extract, frame: Frame) -> NDArray[np.float64]:
    y, n, m, df = joint_samples(windows, frame)
    return exceeded_by(variance(n, m) * chi.noncentrality(y, EXCEEDED, df))


def _given(given: Mapping[str, float], test: str, feature: str, otherwise: float) -> float:
    return given.get(f"{test}({feature})", given.get(test, otherwise))
