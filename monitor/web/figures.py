"""How well models do, as JSON-able values: what `/api/v1` answers and the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.labels.brief import NOT_HELD, not_held
from monitor.labels.figures import Basis
from monitor.labels.provisional import ASSUMES, Provisional
from monitor.labels.reconcile import ways, worth
from monitor.labels.steps import QUANTILES, quantiles
from monitor.labels.versions import left_out, recorded
from monitor.verdict import Verdict
from monitor.view import ModelView
from monitor.web.shape import moment


def performance(one: Verdict) -> dict[str, Any]:
    """How well a model did in a window whose labels are in, by segment, "" the whole, and by version; and what was estimated
    before."""
    return {
        "window": one.window,
        "start": moment(one.start),
        "end": moment(one.end),
        "revision": one.revision,
        "reason": str(one.reason) if one.reason is not None else None,
        "detail": one.detail,
        "predictions": one.rows,
        "versions": dict(one.versions),
        "by_version": {version: figures(scores) for version, scores in recorded(one).items()},
        "versions_left_out": left_out(one),
        NOT_HELD: not_held(one),
        "rules": list(one.rules),
        "figures": {segment: figures(scores) for segment, scores in one.scores.items()},
        "estimate": {
            way: {name: dict(zip(("value", "low", "high"), own, strict=True)) for name, own in found.items()}
            for way, found in ways(one.estimate)
        },
    }


def provisional(one: Provisional) -> dict[str, Any]:
    """How well a model did as far as labels tell that have come; `early` is of these as they are."""
    return {
        "window": one.window,
        "start": moment(one.start),
        "end": moment(one.end),
        "basis": str(one.basis),
        "assumes": ASSUMES if one.basis is Basis.WEIGHTED else None,
        "predictions": one.predictions,
        "labels": one.labelled,
        "label_coverage": one.labelled / one.predictions if one.predictions else None,
        "expected_coverage": one.expected,
        "predictions_used": one.used,
        "figures": {name: own._asdict() for name, own in one.figures.items()},
        "early": {name: own._asdict() for name, own in one.early.items()},
    }


def delays(model: ModelView) -> dict[str, Any]:
    """How long after its prediction a label comes, seconds, of the windows that are remembered: by class, and of all."""
    found = model.delays
    if found is None:
        return {"labels": 0, "quantiles": QUANTILES, "all": None, "classes": {}}
    seconds = {name: [value / 1000 for value in own] for name, own in quantiles(found).items()}
    return {
        "labels": int(found.counts.sum()),
        "quantiles": QUANTILES,
        "all": seconds.pop(""),
        "classes": {class_of(model, name): own for name, own in seconds.items()},
    }


def class_of(model: ModelView, code: str) -> str:
    """A class of labels by name: of scores 0 and 1."""
    join = model.plan.join
    if join is None or join.kind != "class":
        return code
    return join.classes[int(code)] if int(code) < len(join.classes) else "other"


def figures(scores: Mapping[str, float]) -> dict[str, Any]:
    """Figures with their bounds, and what else is known by its name."""
    bounds = {f"{name}_{end}" for name in scores for end in ("low", "high")}
    return {
        name: {"value": value, "low": scores[f"{name}_low"], "high": scores[f"{name}_high"]}
        if f"{name}_low" in scores
        else value
        for name, value in scores.items()
        if name not in bounds
    }


def estimates(model: ModelView) -> list[dict[str, Any]]:
    """What estimates without labels were worth, over the windows of a week; by: "" scores alone, else a column."""
    return [
        {"window": window, "by": way, "figure": name, **own._asdict()}
        for window, history in sorted(model.performance.items())
        for way, errors in worth(history).items()
        for name, own in errors.items()
    ]
