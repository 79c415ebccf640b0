"""How far a model agrees with the online store, for the API, for the page and for `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.consistency import families as m
from monitor.consistency.tallies import RECORD
from monitor.judge.catalogue import FEATURE_MISMATCH
from monitor.verdict import Verdict
from monitor.view import ModelView
from monitor.web.series import Samples
from monitor.web.shape import moment

COUNTS = ("compared", "mismatched", "moved")
SHOWN = 8
"""Features of a window on the page; all of them are at `/api/v1/models/<m>/consistency`."""
X_FULL = 0.1
"""Ratio at which a bar is full: limits are a few percent, and a tenth is a wrong pipeline."""


def consistency(model: ModelView, window: str, limit: int) -> dict[str, Any]:
    """The store as it is asked, and the windows that were compared, newest first; of one name, or "" of all."""
    own = [one for name, history in model.consistency.items() if window in {"", name} for one in history]
    newest = sorted(own, key=lambda one: -one.end)[:limit]
    store = None
    if model.store:
        store = {
            "answered": moment(model.store["answered"]),
            "error": model.store["error"] or None,
            "records": dict(model.store["outcomes"]),
        }
    return {"store": store, "windows": [_window(one) for one in newest]}


def _window(one: Verdict) -> dict[str, Any]:
    return {
        "window": one.window,
        "start": moment(one.start),
        "end": moment(one.end),
        "reason": str(one.reason) if one.reason is not None else None,
        "detail": one.detail,
        "rules": list(one.rules),
        "records": _figures(one.scores.get(RECORD, {})),
        "features": {
            feature: _figures(scores) for feature, scores in sorted(one.scores.items()) if feature != RECORD
        },
    }


def _figures(scores: Mapping[str, float]) -> dict[str, Any]:
    """A ratio is null where too little was compared."""
    names = {"ratio": FEATURE_MISMATCH, "low": f"{FEATURE_MISMATCH}_low", "high": f"{FEATURE_MISMATCH}_high"}
    return {shown: scores.get(name) for shown, name in names.items()} | {
        name: int(scores.get(name, 0)) for name in COUNTS
    }


def of_feature(model: ModelView, feature: str) -> dict[str, Any]:
    """Of one feature, by window name, what the newest window that was compared says; empty where it is not asked for."""
    return {
        name: {"end": moment(history[-1].end), **_figures(history[-1].scores[feature])}
        for name, history in model.consistency.items()
        if feature in history[-1].scores
    }


def beside_store(model: ModelView) -> dict[str, Any]:
    """What the page shows; empty without a store."""
    if model.plan.store is None:
        return {}
    newest = [history[-1] for history in model.consistency.values() if history]
    asked = model.store or {"answered": -1, "error": "", "outcomes": {}}
    return {
        "answered": moment(asked["answered"]),
        "error": asked["error"],
        "outcomes": [(name, count) for name, count in asked["outcomes"].items() if count],
        "windows": [_compared(model, one) for one in newest],
        "broken": any(one.rules for one in newest),
    }


def _compared(model: ModelView, one: Verdict) -> dict[str, Any]:
    """One window: its whole records first, then its features, those that differ most before others."""
    assert model.plan.store is not None
    named = model.plan.store.features
    rows = [
        {
            "feature": feature,
            "stored": named.get(feature, ""),
            **(figures := _figures(scores)),
            "width": min((figures["ratio"] or 0.0) / X_FULL, 1.0) * 100,
            "broken": any(
                rule.name in one.rules and rule.feature == feature for rule in model.plan.store.limits
            ),
        }
        for feature, scores in one.scores.items()
    ]
    rows.sort(key=lambda row: (row["feature"] != RECORD, -(row["ratio"] or 0.0), row["feature"]))
    return {
        "name": one.window,
        "end": moment(one.end),
        "detail": one.detail,
        "rules": one.rules,
        "rows": rows[: SHOWN + 1],
        "hidden": max(len(rows) - SHOWN - 1, 0),
    }


def add_consistency(samples: Samples, model: ModelView) -> None:
    """The newest window of each name that was compared, and whether the store answers."""
    name = model.plan.name
    if model.store and (model.store["error"] or model.store["answered"] >= 0):
        samples[m.UP].append(((name,), float(not model.store["error"])))
    for window, history in sorted(model.consistency.items()):
        verdict = history[-1]
        samples[m.TIMESTAMP_SECONDS].append(((name, window), verdict.end / 1000))
        for feature, scores in sorted(verdict.scores.items()):
            labels = (name, window, feature)
            samples[m.COMPARED].append((labels, scores["compared"]))
            samples[m.MOVED].append((labels, scores["moved"]))
            if FEATURE_MISMATCH in scores:
                samples[m.MISMATCH_RATIO].append((labels, scores[FEATURE_MISMATCH]))
