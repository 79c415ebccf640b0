"""How much a model's inputs move in ordinary windows, learnt from the reference's own.

A tolerance that was learnt from a window, too, flatters it: what is the second largest of 15 is exceeded by one of
them, and by two of 16. So the M that live windows are ranked among are made with tolerances that were learnt without
the window in question and its neighbours (`Learnt.own`); live windows have those of all (`Learnt.live`). Realised over
nominal, normal movement of each test from window to window: 1,000 tests and 15 windows 5.6, and so 0.97; 600 and 30
2.5 and 0.71; 100 tests that move as the window before by 0.7, 360 windows, 1.9 and 1.05.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

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
STRETCHES = 20
"""Stretches of a reference whose windows have one set of tolerances, those of all others: of fewer than so many windows
each is one, of more a stretch is long enough to hold most neighbours that a window may move with."""


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


class Learnt(NamedTuple):
    """`live`: of live windows. `own`: of the reference's windows, with a first axis of windows where learnt."""

    live: Tolerances
    own: Tolerances


def learn(
    windows: Extract | None, frame: Frame, given: Mapping[str, float], *, least: float, overlap: int = 0
) -> Learnt:
    """Tolerances from the reference's windows; `given` ones (by test or "test(feature)") stand.

    `least` is the smallest tolerance of a ratio; each window shares rows with `overlap` before it. Too few
    windows: ASSUMED.
    """
    if windows is None or len(windows) < ENOUGH:
        assumed = _settled(None, frame, given, least=least)
        return Learnt(assumed, assumed)
    needed = _needed(windows, frame)
    live = _settled(needed, frame, given, least=least)
    own, sizes = [], []
    for size, others in stretches(len(windows), overlap):
        allowed = at_least_as_many(len(windows), len(others))
        own.append(_settled(needed.take(others), frame, given, least=least, allowed=allowed))
        sizes.append(size)
    columns = {
        column: np.repeat(np.stack([getattr(one, column) for one in own]), sizes, axis=0)
        for column in ("divergence", "distance", "ratio", "joint", "middle", "far")
    }
    return Learnt(live, Tolerances(**columns, learnt=True))


def stretches(windows: int, overlap: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Length of each stretch, and the windows that share no rows with it; so far as that leaves half of them."""
    at = np.arange(windows)
    borders = np.linspace(0, windows, min(STRETCHES, windows) + 1).round().astype(int).tolist()
    for low, high in itertools.pairwise(borders):
        beside = min(overlap, (windows - (high - low)) // 4)
        yield high - low, at[(at < low - beside) | (at >= high + beside)]


def at_least_as_many(windows: int, others: int) -> int:
    """How many of `others` may exceed what EXCEEDED of all `windows` may, in proportion and rounded up: so that no
    window of the reference has the better of a live one."""
    return int(np.ceil((int(EXCEEDED * windows) + 1) * (others + 1) / (windows + 1))) - 1


def given_ratios(
    rows: Sequence[str], frame: Frame, given: Mapping[str, float], *, least: float
) -> NDArray[np.float64]:
    """What the ratios of each of `rows`, names of features, may move by where nothing is learnt: the largest
    that was given for one of its ratios, at least `least`."""
    found = dict.fromkeys(rows, least)
    for one in frame.ratios:
        found[one.feature] = max(found[one.feature], _given(given, one.test, one.feature, least))
    return np.array([found[name] for name in rows])


def exceeded_by(needed: NDArray[np.float64], allowed: int | None = None) -> NDArray[np.float64]:
    """Per column, the smallest number that at most `allowed` of the rows lie above; None: EXCEEDED of them."""
    if allowed is None:
        allowed = int(EXCEEDED * len(needed))
    place = max(len(needed) - 1 - allowed, 0)
    return np.asarray(np.partition(needed, place, axis=0)[place], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Needed:
    """Tolerances with which each window would just be exceeded at EXCEEDED, and what its detectors scored:
    float64[windows, ...]."""

    divergence: NDArray[np.float64]
    distance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    joint: NDArray[np.float64]
    detectors: NDArray[np.float64]

    def take(self, windows: NDArray[np.int64]) -> _Needed:
        return _Needed(*(getattr(self, one.name)[windows] for one in fields(self)))


def _needed(windows: Extract, frame: Frame) -> _Needed:
    from scipy.special import kolmogi

    y, k = divergence_samples(windows, frame)
    d, scale, _, _ = distance_samples(windows, frame)
    with np.errstate(divide="ignore"):
        noise = np.where(scale > 0, (kolmogi(EXCEEDED) - frame.shift) / scale, np.inf)
    x, n, base, m = ratio_samples(windows, frame)
    square, some, rest, df = joint_samples(windows, frame)
    return _Needed(
        divergence=k * chi.noncentrality(y, EXCEEDED, windows.divergence[:, :, SLOTS] - 1),
        distance=np.maximum(d - noise, 0.0),
        ratio=ratios.tolerance_needed(EXCEEDED, x, n, base, m),
        joint=variance(some, rest) * chi.noncentrality(square, EXCEEDED, df),
        detectors=windows.detectors,
    )


def _settled(
    needed: _Needed | None,
    frame: Frame,
    given: Mapping[str, float],
    *,
    least: float,
    allowed: int | None = None,
) -> Tolerances:
    """What at most `allowed` of the windows need more of, and what was given."""
    features, numeric = len(frame.features), frame.layout.numeric
    divergence, distance = np.full(features, ASSUMED), np.full(numeric, np.sqrt(ASSUMED) / 2)
    ratio, joint = np.full(len(frame.ratios), least), np.full(len(frame.joints), ASSUMED)
    middle = far = np.full((features, len(frame.detectors)), np.nan)
    if needed is not None:
        divergence, distance = exceeded_by(needed.divergence, allowed), exceeded_by(needed.distance, allowed)
        ratio, joint = (
            np.maximum(ratio, exceeded_by(needed.ratio, allowed)),
            exceeded_by(needed.joint, allowed),
        )
        middle = np.quantile(needed.detectors, 0.5, axis=0)
        far = np.quantile(needed.detectors, 1.0 - EXCEEDED, axis=0)
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
    return Tolerances(divergence, distance, ratio, joint, middle, far, learnt=needed is not None)


def _given(given: Mapping[str, float], test: str, feature: str, otherwise: float) -> float:
    return given.get(f"{test}({feature})", given.get(test, otherwise))
