"""Series of how well models do: measured, provisional and estimated."""

from __future__ import annotations

from monitor import performance as p
from monitor.judge.catalogue import ESTIMATED
from monitor.labels.figures import Basis
from monitor.labels.reconcile import ways, worth
from monitor.labels.steps import QUANTILES, quantiles
from monitor.view import ModelView
from monitor.web.series import Samples


def add_performance(samples: Samples, model: ModelView, most: int) -> None:
    """The newest windows whose labels are in, and what was expected of those that closed last."""
    name = model.plan.name
    if model.waiting:
        samples[p.JOIN_BYTES].append(((name,), model.waiting["bytes"]))
        for state in ("predicted", "labelled"):
            samples[p.JOIN_IDS].append(((name, state), model.waiting[state]))
        for reason in ("late", "unknown", "early"):
            samples[p.LABELS_UNJOINED].append(((name, reason), model.waiting[reason]))
    for window in sorted(model.performance):
        _figures(samples, model, window, most)
    _provisional(samples, model)
    _estimates(samples, model)


def _provisional(samples: Samples, model: ModelView) -> None:
    """Of windows whose labels have not all come the newest that weights can be given to."""
    name = model.plan.name
    for window, found in sorted(model.provisional.items()):
        one = next((one for one in reversed(found) if one.basis is Basis.WEIGHTED), None)
        if one is None:
            continue
        samples[p.PROVISIONAL_TIMESTAMP_SECONDS].append(((name, window), one.end / 1000))
        for figure, own in one.figures.items():
            samples[p.PROVISIONAL].append(((name, window, figure), own.value))
            samples[p.PROVISIONAL_LOW].append(((name, window, figure), own.low))
            samples[p.PROVISIONAL_HIGH].append(((name, window, figure), own.high))
    if model.delays is not None:
        for share, value in zip(QUANTILES, quantiles(model.delays)[""], strict=True):
            samples[p.LABEL_DELAY_SECONDS].append(((name, f"{share:g}"), value / 1000))


def _figures(samples: Samples, model: ModelView, window: str, most: int) -> None:
    """The whole, and of the segments those with most labels."""
    name, verdict = model.plan.name, model.performance[window][-1]
    samples[p.PERFORMANCE_TIMESTAMP_SECONDS].append(((name, window), verdict.end / 1000))
    if "label_coverage" in (whole := verdict.scores.get("", {})):
        samples[p.LABEL_COVERAGE_RATIO].append(((name, window), whole["label_coverage"]))
        samples[p.JOIN_SAMPLED_RATIO].append(((name, window), whole.get("sampled", 1.0)))
    ranked = sorted(verdict.scores, key=lambda one: (one != "", -verdict.scores[one].get("labels", 0.0), one))
    for segment in ranked[: most + 1]:
        own = verdict.scores[segment]
        for figure, value in own.items():
            if f"{figure}_low" in own:
                labels = (name, window, segment, figure)
                samples[p.PERFORMANCE].append((labels, value))
                samples[p.PERFORMANCE_LOW].append((labels, own[f"{figure}_low"]))
                samples[p.PERFORMANCE_HIGH].append((labels, own[f"{figure}_high"]))


def _estimates(samples: Samples, model: ModelView) -> None:
    name = model.plan.name
    for window, verdict in sorted(model.latest.items()):
        for way, figures in ways(verdict.estimate):
            for figure in ESTIMATED:
                if figure in figures:
                    samples[p.ESTIMATE].append(((name, window, way, figure), figures[figure][0]))
    for window, history in sorted(model.performance.items()):
        for way, errors in worth(history).items():
            for figure in ESTIMATED:
                if figure in errors:
                    labels = (name, window, way, figure)
                    samples[p.ESTIMATE_ERROR].append((labels, errors[figure].error))
                    samples[p.ESTIMATE_BIAS].append((labels, errors[figure].bias))
