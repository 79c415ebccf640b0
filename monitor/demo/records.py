"""The flights as prediction logs: what the model's service would have written to Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from monitor.demo.flights import Flight
from monitor.demo.model import LATE_MINUTES, VERSION, DelayModel
from monitor.plan import Kind
from monitor.reference.table import FeatureDeclaration, Table

MODEL = "flight-delay"
TOPIC = "predictions"
LANDINGS = "landings"
"""The topic of labels."""
FEATURES = (
    FeatureDeclaration("carrier", ("features", "carrier"), Kind.CATEGORICAL),
    FeatureDeclaration("origin", ("features", "origin"), Kind.CATEGORICAL),
    FeatureDeclaration("dest", ("features", "dest"), Kind.CATEGORICAL),
    FeatureDeclaration("sched_dep_time", ("features", "sched_dep_time"), Kind.NUMERIC),
    FeatureDeclaration("distance", ("features", "distance"), Kind.NUMERIC),
    FeatureDeclaration("dep_delay", ("features", "dep_delay"), Kind.NUMERIC),
    FeatureDeclaration("tailnum_present", ("features", "tailnum_present"), Kind.BOOLEAN),
    FeatureDeclaration("prediction", ("score",), Kind.NUMERIC),
)


def encode(flights: Sequence[Flight], model: DelayModel, *, version: str = VERSION) -> list[bytes]:
    """One JSON record per flight, in the same order."""
    encoder = msgspec.json.Encoder()
    scores = model.score(flights)
    return [encoder.encode(_record(f, float(s), version)) for f, s in zip(flights, scores, strict=True)]


def labels(flights: Sequence[Flight]) -> list[bytes]:
    """One JSON record per flight that landed, in the same order: whether it was late, and when that was known."""
    encoder = msgspec.json.Encoder()
    return [
        encoder.encode({"id": _identity(f), "ts": f.landed, "late": (f.arr_delay or 0.0) > LATE_MINUTES})
        for f in flights
        if f.landed is not None
    ]


def landings(flights: Sequence[Flight]) -> list[int]:
    """When each of them was known, milliseconds."""
    return [f.landed for f in flights if f.landed is not None]


def table(flights: Sequence[Flight], model: DelayModel) -> Table:
    """The same rows as columns, for the reference."""
    return Table(
        columns={
            "carrier": np.array([f.carrier for f in flights], object),
            "origin": np.array([f.origin for f in flights], object),
            "dest": np.array([f.dest for f in flights], object),
            "sched_dep_time": np.array([f.sched_dep_time for f in flights], float),
            "distance": np.array([f.distance for f in flights], float),
            "dep_delay": np.array([np.nan if f.dep_delay is None else f.dep_delay for f in flights], float),
            "tailnum_present": np.array([f.tailnum_present for f in flights], bool),
            "prediction": np.round(model.score(flights), 6),
        },
        events=np.array([f.time for f in flights], np.int64),
    )


def _identity(flight: Flight) -> str:
    return f"{flight.time // 60_000}-{flight.carrier}{flight.number}-{flight.origin}"


def _record(flight: Flight, score: float, version: str) -> dict[str, Any]:
    return {
        "id": _identity(flight),
        "ts": flight.time,
        "model": MODEL,
        "version": version,
        "features": {
            "carrier": flight.carrier,
            "origin": flight.origin,
            "dest": flight.dest,
            "sched_dep_time": flight.sched_dep_time,
            "distance": flight.distance,
            "dep_delay": flight.dep_delay,
            "tailnum_present": flight.tailnum_present,
        },
        "score": round(score, 6),
    }
