"""The demo's delay model: a logistic score, fitted on January by the demo itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.demo.flights import Flight

LATE_MINUTES = 15.0
RIDGE = 1.0
STEPS = 12
VERSION, NEXT = "2013.01", "2013.02"


@dataclass(frozen=True, slots=True)
class DelayModel:
    """P(arrives more than LATE_MINUTES late). `weights` float64[columns]."""

    carriers: tuple[str, ...]
    origins: tuple[str, ...]
    dests: tuple[str, ...]
    weights: NDArray[np.float64]

    def score(self, flights: Sequence[Flight]) -> NDArray[np.float64]:
        """float64[flights], each in (0, 1)."""
        return _sigmoid(_design(flights, self.carriers, self.origins, self.dests) @ self.weights)


def fit(flights: Sequence[Flight]) -> DelayModel:
    """Ridge-penalised logistic regression by Newton's method, on flights that arrived."""
    arrived = [flight for flight in flights if flight.arr_delay is not None]
    carriers = tuple(sorted({flight.carrier for flight in flights}))
    origins = tuple(sorted({flight.origin for flight in flights}))
    dests = tuple(sorted({flight.dest for flight in flights}))
    design = _design(arrived, carriers, origins, dests)
    late = np.array([(flight.arr_delay or 0.0) > LATE_MINUTES for flight in arrived], float)
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = _sigmoid(design @ weights)
        gradient = design.T @ (late - chance) - RIDGE * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(curvature, gradient)
    return DelayModel(carriers, origins, dests, weights)


def _design(
    flights: Sequence[Flight], carriers: tuple[str, ...], origins: tuple[str, ...], dests: tuple[str, ...]
) -> NDArray[np.float64]:
    def one_hot(values: list[str], known: tuple[str, ...]) -> NDArray[np.float64]:
        return np.array([[float(value == name) for name in known] for value in values])

    delay = np.array([np.nan if f.dep_delay is None else f.dep_delay for f in flights], float)
    hour = np.array([f.sched_dep_time // 100 for f in flights], float)
    numbers = np.stack(
        [
            np.ones(len(flights)),
            np.clip(np.nan_to_num(delay), -20, 180) / 30,
            np.isnan(delay).astype(float),
            (hour - 13) / 5,
            np.array([f.distance for f in flights]) / 1000,
            np.array([f.tailnum_present for f in flights], float),
        ],
        axis=1,
    )
    return np.concatenate(
        [
            numbers,
            one_hot([f.carrier for f in flights], carriers),
            one_hot([f.origin for f in flights], origins),
            one_hot([f.dest for f in flights], dests),
        ],
        axis=1,
    )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))
    return out
