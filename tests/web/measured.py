"""A model whose labels come late, as the pages, the API and `/metrics` get it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.labels.delays import Delays
from monitor.labels.figures import Basis, Figure
from monitor.labels.provisional import Provisional
from monitor.labels.steps import edges_of
from monitor.labels.versions import BY_VERSION
from monitor.plan import JoinPlan
from monitor.verdict import State
from monitor.view import ModelView
from tests.web.view import HOUR, NOW, calm, verdict

JOIN = JoinPlan("outcomes", "score", 12 * HOUR, b"8 bytes!")
COLUMN = "country"


def estimate(value: float) -> dict:
    figures = {"accuracy": [value, value - 0.01, value + 0.01], "auc": [value, value - 0.02, value + 0.02]}
    city = {"accuracy": [value - 0.02, value - 0.03, value - 0.01]}
    return {
        "assumes": "P(y | x) stable",
        "threshold": 0.5,
        "rows": 100,
        "figures": figures,
        "segments": {COLUMN: city},
    }


def performing(model: ModelView | None = None) -> ModelView:
    """A day of measured hours, in the last six of which it does worse, and twelve that wait for labels."""
    model = model or calm()
    rng, measured = np.random.default_rng(4), []
    for at in range(24):
        end, value = NOW - (36 - at) * HOUR, 0.9 - 0.07 * (at > 17) + float(rng.normal(0, 0.006))
        own = {"accuracy": value, "auc": value - 0.02, "f1": value - 0.2}
        own |= {f"{name}_low": number - 0.02 for name, number in list(own.items())}
        own |= {
            name.replace("_low", "_high"): number + 0.04
            for name, number in own.items()
            if name.endswith("_low")
        }
        own |= {"labels": 1_900.0, "label_coverage": 0.95}
        detail = f"auc {value - 0.02:.3f} by 1,900 labels of 2,000 predictions (95%)."
        scores = {"": own, "country=DE": {**own, "labels": 900.0}, "country=<b>": {**own, "labels": 90.0}}
        found = verdict(
            model.plan.name,
            "1h",
            (),
            state=State.OK,
            detail=detail,
            rows=2_000,
            scores=scores,
            estimate=estimate(0.9),
            versions={"7": 1_400, "<8>": 600},
            outcomes={
                BY_VERSION: {"7": {**own, "labels": 1_330.0}, "<8>": {**own, "labels": 570.0, "auc": 0.5}}
            },
        )
        measured.append(replace(found, start=end - HOUR, end=end))
    waiting = [
        Provisional(
            window="1h", start=NOW - (12 - at) * HOUR - HOUR, end=NOW - (12 - at) * HOUR, predictions=2_000,
            labelled=1_800 - 140 * at, expected=0.9 - 0.07 * at, used=2_000,
            basis=Basis.WEIGHTED if at < 10 else Basis.EARLY,
            figures={"auc": Figure(0.82, 0.80 - at / 200, 0.84 + at / 200), "accuracy": Figure(0.83, 0.80, 0.86)},
            early={"auc": Figure(0.74 - at / 100, 0.7, 0.8), "accuracy": Figure(0.76, 0.7, 0.8)},
        )
        for at in range(12)
    ]  # fmt: skip
    edges = edges_of(JOIN, HOUR)
    counts = np.outer(np.linspace(1, 40, len(edges) - 1), [9, 1]).astype(np.int64)
    latest = {name: replace(one, estimate=estimate(0.9)) for name, one in model.latest.items()}
    return replace(
        model,
        plan=replace(model.plan, join=JOIN),
        latest=latest,
        performance={"1h": tuple(measured)},
        provisional={"1h": tuple(waiting)},
        delays=Delays(edges.astype(float), counts),
        waiting={"predicted": 24_000, "labelled": 12, "late": 3, "unknown": 7, "early": 5, "bytes": 900_000},
    )
