"""`/metrics`: the view as series, then what the daemon counted itself. Step 13.

Nothing is updated on a timer: every scrape renders the view that is current, so a model that is
gone leaves no series behind.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client import generate_latest

from monitor import heap
from monitor import metrics as m
from monitor.family import Family
from monitor.state.database import memory
from monitor.verdict import State
from monitor.view import ModelView, View
from monitor.web.compared import add_consistency
from monitor.web.measured import add_performance
from monitor.web.registered import add_registry
from monitor.web.selection import Chosen, Selection, named
from monitor.web.series import Encoder, Samples
from monitor.web.settings import PerFeature, WebSettings

PER_FEATURE = (
    m.FEATURE_DRIFTED,
    m.FEATURE_PSI,
    m.FEATURE_KS_STATISTIC,
    m.FEATURE_MMD,
    m.FEATURE_MISSING_RATIO,
)
"""The families whose size grows with the features; all others are always exported in full."""

SEVERITIES = ("warning", "critical")


_TEST_FEATURES = frozenset({"latency", "error"})
"""Judged like features, without being one of the plan's."""


class Exposition:
    """Renders a view; remembers encoded prefixes and the worst features. Used by one thread."""

    def __init__(self, settings: WebSettings) -> None:
        self._revision = settings.revision
        self._segments = 0 if settings.per_feature is PerFeature.NONE else settings.top_k
        """Segments of a model and window that get series."""
        self._selection = Selection(settings)
        self._encoder = Encoder(limit=4 * settings.max_series + 50_000)
        self._chosen: dict[str, Chosen] = {}
        self._encoded: dict[Family, bytes] = {}

    def render(self, view: View, names: frozenset[str] = frozenset()) -> bytes:
        """The whole exposition, or only the families whose series are named."""
        samples: Samples = {family: [] for family in m.VIEW_FAMILIES if family not in PER_FEATURE}
        _daemon(samples, view, self._revision)
        _partitions(samples, view)
        for model in view.models:
            _model(samples, model)
            add_registry(samples, model, view.registries.get(model.plan.name))
            _windows(samples, model)
            _segments(samples, model, self._segments)
            add_performance(samples, model, self._segments)
            add_consistency(samples, model)
        blocks = {family: self._encoder.encode(family, rows) for family, rows in samples.items()}
        blocks |= self._features(view)
        wanted = (block for family, block in blocks.items() if not names or family.name in names)
        return b"".join([*wanted, _counted(names)])

    def _features(self, view: View) -> dict[Family, bytes]:
        """The per-feature families; encoded anew only when a verdict was."""
        chosen = self._selection.choose(view.models)
        if chosen is not self._chosen:
            samples: Samples = {family: [] for family in PER_FEATURE}
            for model, one in chosen.items():
                _features(samples, model, one)
            self._encoded = {family: self._encoder.encode(family, rows) for family, rows in samples.items()}
            self._chosen = chosen
        return self._encoded


def _counted(names: frozenset[str]) -> bytes:
    registry = m.REGISTRY.restricted_registry(names) if names else m.REGISTRY
    return generate_latest(registry)


def _daemon(samples: Samples, view: View, revision: str) -> None:
    backend, _, device = view.backend.partition("-")
    samples[m.BUILD_INFO].append(((view.version, revision, platform.python_version()), 1))
    samples[m.KERNEL_BACKEND_INFO].append(((backend, device or "cpu"), 1))
    samples[m.KERNEL_WARM_SECONDS].append(((), view.warm_seconds))
    samples[m.MODELS_REFUSED].append(((), float(len(view.refused))))
    samples[m.TOPICS_LACKING].append(((), float(len(view.lacking))))
    samples[m.READY].append(((), float(view.ready)))
    samples[m.CONFIG_LAST_RELOAD_SUCCESSFUL].append(((), float(view.config_ok)))
    if view.config_loaded >= 0:
        samples[m.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS].append(((), view.config_loaded / 1000))
    if view.checkpoint_last >= 0:
        samples[m.CHECKPOINT_LAST_SUCCESS_TIMESTAMP_SECONDS].append(((), view.checkpoint_last / 1000))
        samples[m.CHECKPOINT_SIZE_BYTES].append(((), view.checkpoint_bytes))
    samples[m.HEAP_BYTES].extend(((kind,), float(size)) for kind, size in heap.usage().items())
    if (held := memory()) is not None:
        samples[m.SQLITE_BYTES].append(((), held))
    samples[m.OUTBOX_PENDING].extend(((name,), float(count)) for name, count in sorted(view.outbox.items()))


def _partitions(samples: Samples, view: View) -> None:
    for progress in view.partitions:
        labels = (progress.source.topic, str(progress.source.partition))
        if progress.end >= 0:
            samples[m.CONSUMER_LAG_RECORDS].append((labels, max(progress.end - progress.applied, 0)))
        samples[m.PARTITION_PAUSED].append((labels, float(bool(progress.paused))))
    samples[m.INPUT_TOPIC_MISSING].extend(
        ((topic,), float(lacks)) for topic, lacks in sorted(view.undescribed.items())
    )
    assigned = dict.fromkeys((progress.source.topic for progress in view.partitions), 0)
    assigned |= Counter(source.topic for source in view.reads)
    samples[m.ASSIGNED_PARTITIONS].extend(((topic,), count) for topic, count in sorted(assigned.items()))


def _model(samples: Samples, model: ModelView) -> None:
    name = model.plan.name
    judged = {feature.name for feature in model.plan.features}
    judged |= {t.feature for v in model.latest.values() for t in v.tests if t.feature in _TEST_FEATURES}
    drifting = any(verdict.state is State.DRIFT for verdict in model.latest.values())
    if model.watermark >= 0:
        samples[m.WATERMARK_TIMESTAMP_SECONDS].append(((name,), model.watermark / 1000))
    samples[m.MODEL_MONITORED_FEATURES].append(((name,), len(judged)))
    samples[m.MODEL_DRIFTED_FEATURES].append(((name,), len(judged.intersection(named(model)))))
    samples[m.MODEL_DRIFTED].append(((name,), float(drifting)))
    samples[m.MODEL_BLIND].append(((name,), float(model.blind_since >= 0)))
    samples[m.BUDGET_PAGES_EXPECTED].append(((name,), model.pages_expected))
    samples[m.BUDGET_EARLY_PAGES_EXPECTED].append(((name,), model.early_expected))
    samples[m.PAGES_TOTAL].append(((name,), model.pages_total))
    samples[m.EARLY_PAGES_TOTAL].append(((name,), model.early_total))
    firing = Counter(
        str(incident.get("severity", "")) for incident in model.incidents if incident.get("state") == "firing"
    )
    for severity in dict.fromkeys((*SEVERITIES, *firing)):
        samples[m.ALERTS_FIRING].append(((name, severity), firing[severity]))
    if model.reference is not None:
        for version in _versions(model):
            samples[m.REFERENCE_INFO].append(((name, version, model.reference.name), 1))


def _versions(model: ModelView) -> Iterable[str]:
    """The model version most rows of the latest window carry: one, or the join in PromQL fails."""
    latest = max(model.latest.values(), key=lambda verdict: verdict.end, default=None)
    if latest is None or not latest.versions:
        return ("",)
    return (max(latest.versions.items(), key=lambda item: (item[1], item[0]))[0],)


def _windows(samples: Samples, model: ModelView) -> None:
    name = model.plan.name
    for spec in model.plan.windows:
        samples[m.WINDOWS_CLOSED_TOTAL].append(((name, spec.name), model.closed.get(spec.name, 0)))
    for (window, reason), count in sorted(model.skipped.items()):
        samples[m.WINDOWS_SKIPPED_TOTAL].append(((name, window, reason), count))
    for window, verdict in sorted(model.latest.items()):
        samples[m.WINDOW_LAST_CLOSE_TIMESTAMP_SECONDS].append(((name, window), verdict.end / 1000))
        samples[m.WINDOW_RECORDS].append(((name, window), verdict.rows))
        samples[m.WINDOW_COVERAGE_RATIO].append(((name, window), verdict.coverage))


def _segments(samples: Samples, model: ModelView, most: int) -> None:
    """The segments that moved furthest; all are in the API."""
    for window, verdict in sorted(model.latest.items()):
        judged = [one for one in verdict.segments if one.tests]
        for one in sorted(judged, key=lambda one: (-one.statistic, one.segment))[:most]:
            samples[m.SEGMENT_STATISTIC].append(((model.plan.name, window, one.segment), one.statistic))


_PER_WINDOW: tuple[tuple[Family, Callable[..., float | None]], ...] = (
    (m.FEATURE_PSI, lambda one: one.psi),
    (m.FEATURE_KS_STATISTIC, lambda one: one.ks),
    (m.FEATURE_MMD, lambda one: one.mmd),
    (m.FEATURE_MISSING_RATIO, lambda one: one.missing),
)


def _features(samples: Samples, model: str, chosen: Chosen) -> None:
    for feature in chosen.features:
        samples[m.FEATURE_DRIFTED].append(((model, feature), float(feature in chosen.drifted)))
    for window, measured in chosen.windows.items():
        shown = [(feature, measured[feature]) for feature in chosen.features if feature in measured]
        for family, pick in _PER_WINDOW:
            samples[family].extend(
                ((model, feature, window), value)
                for feature, one in shown
                if (value := pick(one)) is not None
            )
