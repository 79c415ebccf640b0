"""The view as JSON-able values: what `/api/v1` answers and the page shows.

Times are RFC 3339 in UTC with milliseconds; durations are seconds; null means "not known". Bodies of the
ledger (incidents, retraining requests, past verdicts) are passed on as they are stored: their times
are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import inf, isfinite, nan
from typing import Any

from monitor.names import Source
from monitor.plan import ModelPlan
from monitor.state.log import Progress
from monitor.verdict import Beside, SegmentVerdict, State, Test, Verdict
from monitor.view import Elsewhere, ModelView, View

WORST = 5
"""Tests in a model's summary; all are at `…/features`."""

STATES = (State.DRIFT, State.WARN, State.UNKNOWN, State.OK)
"""Worst first: a model that cannot be judged is worse off than one that is fine."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms: int) -> str | None:
    """Milliseconds since the epoch as RFC 3339; None for what is not known or beyond year 9999."""
    if ms < 0:
        return None
    try:
        at = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def worst(model: ModelView) -> Verdict | None:
    """The verdict that speaks for the model: the worst state, then the largest x, then the newest."""
    return min(
        model.latest.values(),
        key=lambda verdict: (STATES.index(verdict.state), -_finite(verdict.statistic), -verdict.end),
        default=None,
    )


def by_state(models: Iterable[ModelView]) -> list[ModelView]:
    """Worst first, then by name."""

    def rank(model: ModelView) -> tuple[int, float, str]:
        verdict = worst(model)
        if verdict is None:
            return (STATES.index(State.UNKNOWN), 0.0, model.plan.name)
        return (STATES.index(verdict.state), -_finite(verdict.statistic), model.plan.name)

    return sorted(models, key=rank)


def _finite(value: float) -> float:
    return value if value == value else 0.0  # noqa: PLR0124  a NaN does not rank


def summary(model: ModelView) -> dict[str, Any]:
    """One model of the list."""
    verdict = worst(model)
    return {
        "name": model.plan.name,
        "state": verdict.state if verdict else State.UNKNOWN,
        "reason": verdict.reason if verdict else None,
        "detail": verdict.detail if verdict else "No window has closed yet.",
        "window": verdict.window if verdict else None,
        "windows": {name: window(one) for name, one in model.latest.items()},
        "budget": budget(model),
        "worst": [asdict(test) for test in verdict.tests[:WORST]] if verdict else [],
        "watermark": moment(model.watermark),
        "blind_since": moment(model.blind_since),
        "incidents_open": sum(one.get("state") == "firing" for one in model.incidents),
    }


def window(verdict: Verdict) -> dict[str, Any]:
    """A verdict without its tests and scores."""
    return {
        "window": verdict.window,
        "start": moment(verdict.start),
        "end": moment(verdict.end),
        "revision": verdict.revision,
        "state": verdict.state,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "rows": verdict.rows,
        "coverage": verdict.coverage,
        "p": verdict.p,
        "statistic": verdict.statistic,
        "alpha": verdict.alpha,
        "proven": verdict.proven,
        "reference": verdict.reference,
        "reference_windows": verdict.reference_windows,
        "windows_needed": verdict.windows_needed,
        "named": list(dict.fromkeys(test.feature for test in verdict.named)),
        "rules": verdict.rules,
        "blind": verdict.blind,
        "diagnosis": dict(verdict.diagnosis),
        "versions": dict(verdict.versions),
        "others": dict(verdict.others),
        "offsets": {str(source): list(span) for source, span in verdict.offsets.items()},
        "beside": [beside(one) for one in verdict.beside],
        "estimate": dict(verdict.estimate),
        "early": verdict.early,
        "early_alpha": verdict.early_alpha,
        "onset": moment(verdict.onset),
        "since": {str(source): list(span) for source, span in verdict.since.items()},
        "segments": [_segment(one) for one in verdict.segments],
    }


def _segment(one: SegmentVerdict) -> dict[str, Any]:
    return {
        "segment": one.segment,
        "state": one.state,
        "reason": one.reason,
        "detail": one.detail,
        "rows": one.rows,
        "statistic": one.statistic,
        "worst": [asdict(test) for test in one.tests[:WORST]],
    }


def beside(one: Beside) -> dict[str, Any]:
    """Something that a window is shown beside; its scores by feature are those of `features`."""
    known = [(scores["psi"], feature) for feature, scores in one.scores.items() if "psi" in scores]
    return {
        "name": one.name,
        "start": moment(one.start),
        "end": moment(one.end),
        "rows": one.rows,
        "detail": one.detail,
        "farthest": [
            {"feature": feature, **one.scores[feature]}
            for _, feature in sorted(known, key=lambda pair: (-pair[0], pair[1]))[:WORST]
        ],
    }


def budget(model: ModelView) -> dict[str, Any]:
    """Pages accepted, expected by chance so far, sent, and left; left is below 0 when overspent. `early` is the
    share that looks at open windows may spend at most, and of what was expected and sent what is theirs."""
    plan = model.plan.budget
    return {
        "pages": plan.pages,
        "period": plan.period / 1000,
        "expected": model.pages_expected,
        "sent": model.pages_sent,
        "early": model.plan.early,
        "expected_early": model.early_expected,
        "sent_early": model.early_sent,
        "left": plan.pages - model.pages_sent,
    }


def detail(model: ModelView) -> dict[str, Any]:
    """One model in full, without its features."""
    return {
        **summary(model),
        "plan": _plan(model.plan),
        "reference": _reference(model),
        "closed": dict(model.closed),
        "skipped": [
            {"window": name, "reason": reason, "count": count}
            for (name, reason), count in model.skipped.items()
        ],
        "early": {name: window(one) for name, one in model.alarms.items()},
        "incidents": list(model.incidents),
        "retrains": list(model.retrains),
    }


def _plan(plan: ModelPlan) -> dict[str, Any]:
    return {
        "source": plan.source,
        "features": [feature.name for feature in plan.features],
        "windows": {
            one.name: {"size": one.size / 1000, "step": one.step / 1000, "timezone": one.timezone}
            for one in plan.windows
        },
        "pane": plan.pane / 1000,
        "lateness": plan.lateness / 1000,
        "min_records": plan.min_records,
        "champion": plan.champion,
        "season": plan.season,
        "beside": list(plan.beside),
        "compat": list(plan.compat),
        "config": plan.config,
        "retrain": plan.retrain.mode,
        "page_on": "harm" if plan.page_on_harm else "drift",
        "maintenance": [asdict(one) for one in plan.maintenance],
        "rules": [asdict(rule) for rule in plan.limits],
        "labels": None
        if plan.join is None
        else {
            "source": plan.join.source or None,
            "kind": plan.join.kind,
            "wait": plan.join.wait / 1000,
            "max_open": plan.join.most,
            "max_early": plan.join.most_early,
        },
        "runbook": plan.runbook,
        "segments": {one.name: list(one.values) for one in plan.segments},
    }


def _reference(model: ModelView) -> dict[str, Any] | None:
    reference = model.reference
    if reference is None:
        return None
    return {
        "name": reference.name,
        "digest": reference.digest,
        "created": moment(reference.created),
        "rows": reference.rows,
        "features": len(reference.features),
        "timed": reference.timed,
        "panes": len(reference.panes),
        "pane": reference.pane / 1000,
        "notes": reference.notes,
        "origin": dict(reference.origin),
    }


def features(model: ModelView, name: str = "") -> list[dict[str, Any]]:
    """Every test of every feature of the latest windows (or of window `name`), largest x first."""
    rows = []
    for one in model.latest.values():
        if name in {"", one.window}:
            for feature, tests in _grouped(one).items():
                rows.append(
                    {
                        "feature": feature,
                        "window": one.window,
                        "end": moment(one.end),
                        "drifted": one.state is State.DRIFT and any(test.x > 1 for test in tests),
                        "blind": feature in one.blind,
                        "x": max((test.x for test in tests), default=None),
                        "tests": [asdict(test) for test in tests],
                        "scores": dict(one.scores.get(feature, {})),
                        "beside": {
                            other.name: dict(other.scores[feature])
                            for other in one.beside
                            if feature in other.scores
                        },
                        "compat": {
                            product: dict(own[feature])
                            for product, own in one.compat.items()
                            if feature in own
                        },
                    }
                )
    return sorted(rows, key=lambda row: (-(row["x"] or 0.0), row["feature"]))


def _grouped(verdict: Verdict) -> dict[str, list[Test]]:
    """Feature → its tests; features that have scores only, or are blind, have none."""
    grouped: dict[str, list[Test]] = {}
    for test in verdict.tests:
        grouped.setdefault(test.feature, []).append(test)
    for feature in (*verdict.scores, *verdict.blind):
        grouped.setdefault(feature, [])
    return grouped


def partition(progress: Progress, arrivals: Mapping[Source, float]) -> dict[str, Any]:
    """One input partition."""
    lag = max(progress.end - progress.applied, 0) if progress.end >= 0 else None
    seconds = arrivals.get(progress.source, nan)
    return {
        "topic": progress.source.topic,
        "partition": progress.source.partition,
        "applied": progress.applied,
        "end": progress.end if progress.end >= 0 else None,
        "lag": lag,
        "caughtUpIn": 0.0 if lag == 0 else seconds if isfinite(seconds) else None,
        "fallsBack": seconds == inf,
        "watermark": moment(progress.watermark),
        "idle": progress.idle,
        "paused": progress.paused,
        "observed": moment(progress.observed),
        "since": moment(progress.since),
    }


def partitions(view: View) -> list[dict[str, Any]]:
    """All of the input, whoever reads it."""
    return [partition(one, view.arrivals) for one in view.partitions]


def elsewhere(one: Elsewhere) -> dict[str, Any]:
    """A model that another replica judges; what none has told is null."""
    return {
        "model": one.model,
        "replica": one.replica or None,
        "state": one.state or None,
        "end": moment(one.end),
        "openIncidents": one.incidents if one.replica else None,
        "told": moment(one.told),
    }


def runtime(view: View) -> dict[str, Any]:
    """`/api/v1/status/runtimeinfo`."""
    return {
        "startTime": moment(view.started),
        "serverTime": moment(view.now),
        "ready": view.ready,
        "readyReason": view.ready_reason,
        "reloadConfigSuccess": view.config_ok,
        "lastConfigTime": moment(view.config_loaded),
        "lastCheckpointTime": moment(view.checkpoint_last),
        "lastCheckpointBytes": view.checkpoint_bytes,
        "kernelBackend": view.backend,
        "models": len(view.models),
        "modelsElsewhere": [one.model for one in view.elsewhere],
        "modelsRefused": dict(view.refused),
        "topicsLacking": dict(view.lacking),
        "partitions": len(view.partitions),
        "outbox": dict(view.outbox),
    }


def incidents(view: View) -> list[Mapping[str, Any]]:
    """Of all models: open ones first, newest first."""
    bodies = [body for model in view.models for body in model.incidents]
    return sorted(bodies, key=lambda body: (body.get("state") != "firing", -int(body.get("opened", 0))))


def retrains(view: View, model: str = "") -> list[Mapping[str, Any]]:
    """Retraining requests of one model or of all, newest first."""
    bodies = [body for one in view.models if model in {"", one.plan.name} for body in one.retrains]
    return sorted(bodies, key=lambda body: -int(body.get("created", 0)))
