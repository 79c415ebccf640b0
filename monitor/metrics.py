"""The closed catalogue of everything `/metrics` says about driftline.

Two kinds of families. Those below REGISTRY are counted where the work is done, by the thread
that does it. Those named by a `Family` are pictures of state: `monitor.web.exposition` renders
them from the immutable view at scrape time, so nobody updates them on a timer.

A family that is not here does not exist: dashboards and alerting rules are tested against
`CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from monitor.consistency.families import FAMILIES as OF_CONSISTENCY
from monitor.family import Family
from monitor.family import gauge as _gauge
from monitor.family import total as _total
from monitor.names import REASONS
from monitor.performance import FAMILIES as OF_PERFORMANCE
from monitor.registry.families import FAMILIES as OF_REGISTRIES

disable_created_metrics()  # type: ignore[no-untyped-call]
"""Otherwise every counter and histogram also exports a `_created` series."""

REGISTRY = CollectorRegistry(auto_describe=True)
"""Ours alone, so that a library that registers its own metrics cannot add to them."""

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

STAGES = ("poll", "scan", "place", "fold", "checkpoint", "merge", "score", "judge")

FAILURES = (
    "other", "clientError", "serverError", "contextCanceled", "contextDeadlineExceeded", "authError", "rateLimited",
)  # fmt: skip
"""Why a notification failed: Alertmanager's set, so that one alerting rule fits both."""

BOUNDARIES = (
    "ingest", "scan", "evaluate", "judge", "diagnose", "show", "deliver", "web", "consistency", "registry",
)  # fmt: skip
"""Where unexpected errors are contained. Their counters exist from the start: `increase()` does not see
the first increment of a series that was not there before."""

REGISTRY_REASONS = (
    "unreachable", "refused", "no_version", "no_tag", "no_reference", "bad_reference", "other_bins", "bad_answer",
    "not_stored",
)  # fmt: skip
"""Why a model registry does not say which version and reference are to be judged."""

SKIPS = ("retention", "unreadable")
"""Why records were passed over."""

SUPPRESSIONS = (
    "cooldown", "max_per_day", "min_records", "already_running", "paused", "dry_run", "health", "maintenance",
)  # fmt: skip
"""Why a retraining request was not made."""

_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""A batch folds in tenths of milliseconds; a checkpoint with an fsync on a slow disk takes seconds."""

_DELIVERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
"""From a loopback Alertmanager to the longest webhook timeout (30 s)."""


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"driftline_{name}", text, labels, registry=REGISTRY)


# Intake

RECORDS_CONSUMED_TOTAL = _counter("records_consumed_total", "Records read from the input topics.", "topic")
CONSUMED_BYTES_TOTAL = _counter(
    "consumed_bytes_total", "Bytes of record values read from the input topics.", "topic"
)
RECORDS_REJECTED_TOTAL = _counter(
    "records_rejected_total", "Records that could not become a row, by reason.", "topic", "reason"
)
RECORDS_LATE_TOTAL = _counter(
    "records_late_total",
    "Records behind the watermark and the allowed lateness; counted, not applied.",
    "model",
)
RECORDS_DECLINED_TOTAL = _counter(
    "records_declined_total",
    "Records left to the slower decoder; their rows and rejects are the same.",
    "topic",
)
RECORDS_SKIPPED_TOTAL = _counter(
    "records_skipped_total", "Offsets that reading passed over: retention had deleted the records, or nobody can read them.",
    "topic", "reason",
)  # fmt: skip
RECORDS_WITHOUT_ID_TOTAL = _counter(
    "records_without_id_total", "Predictions, or labels, without the id by which they find each other.", "topic", "model"
)  # fmt: skip
RECORDS_FUTURE_TOTAL = _counter(
    "records_future_total", "Records too far ahead of the broker's clock or the watermark.", "topic"
)
CONTRACT_VIOLATIONS_TOTAL = _counter(
    "contract_violations_total", "Breaches of a model's contract; the row is still counted.", "model"
)
DEAD_LETTERS_TOTAL = _counter(
    "dead_letters_total", "Rejected records that were made durable elsewhere.", "topic"
)
DEAD_LETTERS_FAILED_TOTAL = _counter(
    "dead_letters_failed_total", "Attempts to write a dead letter that were not acknowledged.", "topic"
)
FEATURE_STORE_RECORDS_TOTAL = _counter(
    "feature_store_records_total", "Records of the sample for the online store, by outcome.", "model", "outcome"
)  # fmt: skip
REBALANCES_TOTAL = _counter("rebalances_total", "Times the assignment of input partitions changed.")
EVALUATOR_REBALANCES_TOTAL = _counter(
    "evaluator_rebalances_total", "Times the share of the models that this process judges changed."
)
LAST_RECORD_PROCESSED_TIMESTAMP_SECONDS = Gauge(
    "driftline_last_record_processed_timestamp_seconds",
    "When a record of this topic was last processed.",
    ("topic",),
    registry=REGISTRY,
)
STAGE_DURATION_SECONDS = Histogram(
    "driftline_stage_duration_seconds",
    "Time one batch or window spent in a stage of the data path.",
    ("stage",),
    buckets=_STAGE_SECONDS,
    registry=REGISTRY,
)

# Out

NOTIFICATIONS_TOTAL = _counter("notifications_total", "Attempts to notify an integration.", "integration")
NOTIFICATIONS_FAILED_TOTAL = _counter(
    "notifications_failed_total", "Attempts to notify an integration that failed.", "integration", "reason"
)
NOTIFICATION_DURATION_SECONDS = Histogram(
    "driftline_notification_duration_seconds",
    "Time one attempt to notify an integration took.",
    ("integration",),
    buckets=_DELIVERY_SECONDS,
    registry=REGISTRY,
)
RETRAIN_REQUESTS_TOTAL = _counter(
    "retrain_requests_total", "Retraining requests attempted.", "model", "target"
)
RETRAIN_REQUESTS_FAILED_TOTAL = _counter(
    "retrain_requests_failed_total", "Retraining requests that failed.", "model", "target"
)
RETRAIN_SUPPRESSED_TOTAL = _counter(
    "retrain_suppressed_total", "Retraining requests that a guard held back.", "model", "reason"
)

# Itself

STATE_DIVERGENCE_TOTAL = _counter(
    "state_divergence_total",
    "Checkpoints of one offset whose contents differ; the fold must be a pure function.",
)
STATE_FALLBACKS_TOTAL = _counter(
    "state_fallbacks_total",
    "Recoveries from an older checkpoint, as a newer one was not whole or did not verify.",
)
DATA_LOSS_ACCEPTED = Gauge(
    "driftline_data_loss_accepted",
    "1 while --accept-data-loss is on: lost state is begun anew without asking.",
    registry=REGISTRY,
)
SERIES_SUPPRESSED_TOTAL = _counter(
    "series_suppressed_total",
    "Per-feature series left out of an exposition to stay within the series budget.",
    "model",
)
INTERNAL_ERRORS_TOTAL = _counter(
    "internal_errors_total",
    "Unexpected errors that a boundary contained; each is logged with its stack.",
    "boundary",
)
REGISTRY_ERRORS_TOTAL = _counter(
    "registry_errors_total", "Times a model registry did not say what is asked, by reason.", "model", "reason"
)
REGISTRY_SWAPS_TOTAL = _counter(
    "registry_swaps_total", "Times another version or another reference began to be judged.", "model"
)
REGISTRY_WEBHOOKS_TOTAL = _counter(
    "registry_webhooks_total",
    "Webhooks of model registries that came here, by what became of them.",
    "outcome",
)
STUCK_LOOPS_TOTAL = _counter("stuck_loops_total", "Times a loop did not tick within its limit.", "loop")


BUILD_INFO = _gauge("build_info", "What is running; always 1.", "version", "revision", "python_version")
KERNEL_BACKEND_INFO = _gauge("kernel_backend_info", "Where the kernels run; always 1.", "backend", "device")
KERNEL_WARM_SECONDS = _gauge(
    "kernel_warm_seconds", "Time the last start spent compiling kernels or loading them from the cache."
)
READY = _gauge("ready", "1 when kernels are warm, state is restored and partitions are assigned.")
CONFIG_LAST_RELOAD_SUCCESSFUL = _gauge(
    "config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."
)
CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the configuration in use was loaded."
)
CHECKPOINT_LAST_SUCCESS_TIMESTAMP_SECONDS = _gauge(
    "checkpoint_last_success_timestamp_seconds", "When a checkpoint was last durable."
)
CHECKPOINT_SIZE_BYTES = _gauge("checkpoint_size_bytes", "Size of the last checkpoint.")
HEAP_BYTES = _gauge(
    "heap_bytes",
    "Memory of the C library's heaps: used, free until it is given back, or mapped block by block.",
    "kind",
)
SQLITE_BYTES = _gauge("sqlite_bytes", "Memory that the state log's SQLite holds, a part of what is used.")
MODELS_REFUSED = _gauge(
    "models_refused", "Models that nobody judges until somebody helps; the reason is on the status page."
)
TOPICS_LACKING = _gauge(
    "topics_lacking",
    "Topics of driftline that are missing or not as they have to be; the log has what to run.",
)
OUTBOX_PENDING = _gauge("outbox_pending", "Intents not yet delivered.", "integration")

CONSUMER_LAG_RECORDS = _gauge(
    "consumer_lag_records",
    "Records between the applied offset and the end of the partition.",
    "topic",
    "partition",
)
ASSIGNED_PARTITIONS = _gauge("assigned_partitions", "Input partitions this process reads.", "topic")
INPUT_TOPIC_MISSING = _gauge(
    "input_topic_missing",
    "1 while Kafka does not describe an input topic: it was deleted, is called otherwise, may not be seen, or nobody answers.",
    "topic",
)
PARTITION_PAUSED = _gauge(
    "partition_paused",
    "1 when reading of the partition is paused; the reason is on the status page.",
    "topic",
    "partition",
)

WATERMARK_TIMESTAMP_SECONDS = _gauge(
    "watermark_timestamp_seconds",
    "Event time before which no more records of the model are expected.",
    "model",
)
MODEL_MONITORED_FEATURES = _gauge(
    "model_monitored_features", "Features of the model that are judged.", "model"
)
MODEL_DRIFTED_FEATURES = _gauge(
    "model_drifted_features", "Features named by the latest verdicts of a drifting model.", "model"
)
MODEL_DRIFTED = _gauge("model_drifted", "1 when a latest verdict of the model is drift.", "model")
MODEL_BLIND = _gauge("model_blind", "1 when the latest windows of the model had no verdict.", "model")
BUDGET_PAGES_EXPECTED = _gauge(
    "budget_pages_expected", "False pages expected by chance so far in the current budget period.", "model"
)
BUDGET_EARLY_PAGES_EXPECTED = _gauge(
    "budget_early_pages_expected",
    "What of the false pages expected by chance looks at open windows may bring about.",
    "model",
)
PAGES_TOTAL = _total("pages_total", "Pages opened for the model.", "model")
EARLY_PAGES_TOTAL = _total(
    "early_pages_total", "Pages opened for the model before the window closed.", "model"
)
ALERTS_FIRING = _gauge("alerts_firing", "Incidents that fire.", "model", "severity")
REFERENCE_INFO = _gauge(
    "reference_info", "The reference in use; always 1.", "model", "model_version", "reference"
)

WINDOWS_CLOSED_TOTAL = _total("windows_closed_total", "Windows judged.", "model", "window")
WINDOWS_SKIPPED_TOTAL = _total(
    "windows_skipped_total", "Windows that closed without a verdict, by reason.", "model", "window", "reason"
)
WINDOW_LAST_CLOSE_TIMESTAMP_SECONDS = _gauge(
    "window_last_close_timestamp_seconds", "End of the latest closed window, event time.", "model", "window"
)
WINDOW_RECORDS = _gauge("window_records", "Rows of the latest closed window.", "model", "window")
WINDOW_COVERAGE_RATIO = _gauge(
    "window_coverage_ratio",
    "Share of expected source partitions that are in the latest closed window.",
    "model",
    "window",
)

SEGMENT_STATISTIC = _gauge(
    "segment_statistic",
    "Largest score of a segment in the latest closed window, in thresholds: above 1 it drifts. The furthest ones.",
    "model",
    "window",
    "segment",
)
FEATURE_DRIFTED = _gauge(
    "feature_drifted", "1 when a latest drift verdict of the model names the feature.", "model", "feature"
)
_OF_FEATURE = ("model", "feature", "window")
FEATURE_PSI = _gauge(
    "feature_psi", "Population stability index of the feature in the latest closed window.", *_OF_FEATURE
)
FEATURE_KS_STATISTIC = _gauge(
    "feature_ks_statistic",
    "Kolmogorov-Smirnov statistic of the feature in the latest closed window.",
    *_OF_FEATURE,
)
FEATURE_MMD = _gauge(
    "feature_mmd", "Distance of the vectors of the latest closed window from the reference's, less what sampling adds.",
    *_OF_FEATURE,
)  # fmt: skip
FEATURE_MISSING_RATIO = _gauge(
    "feature_missing_ratio", "Share of rows of the latest closed window that miss the feature.", *_OF_FEATURE
)
VIEW_FAMILIES: tuple[Family, ...] = (
    *(value for value in dict(globals()).values() if isinstance(value, Family)),
    *OF_PERFORMANCE,
    *OF_CONSISTENCY,
    *OF_REGISTRIES,
)
"""All families rendered from the view, in the order of the exposition."""


def _catalogue() -> dict[str, tuple[str, ...]]:
    names = {family.name: family.labels for family in VIEW_FAMILIES}
    for value in dict(globals()).values():
        if isinstance(value, Histogram):
            for suffix in ("_bucket", "_sum", "_count"):
                names[value._name + suffix] = (*value._labelnames, *(("le",) if suffix == "_bucket" else ()))  # noqa: SLF001
        elif isinstance(value, Counter | Gauge):
            suffix = "_total" if isinstance(value, Counter) else ""
            names[value._name + suffix] = tuple(value._labelnames)  # noqa: SLF001
    return names


CATALOGUE: Mapping[str, tuple[str, ...]] = _catalogue()
"""Every series name we export → its label names; histograms by their `_bucket`, `_sum`, `_count`."""


_LOOPS = ("ingest", "evaluate")
_BY_TOPIC = (
    RECORDS_CONSUMED_TOTAL,
    CONSUMED_BYTES_TOTAL,
    RECORDS_DECLINED_TOTAL,
    RECORDS_FUTURE_TOTAL,
    DEAD_LETTERS_TOTAL,
    DEAD_LETTERS_FAILED_TOTAL,
)
_BY_MODEL = (RECORDS_LATE_TOTAL, CONTRACT_VIOLATIONS_TOTAL, SERIES_SUPPRESSED_TOTAL)
_BY_INTEGRATION = (NOTIFICATIONS_TOTAL, NOTIFICATION_DURATION_SECONDS)
_BY_TARGET = (RETRAIN_REQUESTS_TOTAL, RETRAIN_REQUESTS_FAILED_TOTAL)


def prepare(
    *,
    topics: Iterable[str] = (),
    models: Iterable[str] = (),
    registered: Iterable[str] = (),
    integrations: Iterable[str] = (),
    targets: Iterable[tuple[str, str]] = (),
) -> None:
    """Create the children whose labels are known, so that a 0 is exported before the first event.

    Called at start and after each reload; `targets` are (model, target) pairs.
    """
    topics, models, integrations = tuple(topics), tuple(models), tuple(integrations)
    registered = tuple(registered)
    for stage in STAGES:
        STAGE_DURATION_SECONDS.labels(stage)
    _create((INTERNAL_ERRORS_TOTAL,), ((boundary,) for boundary in BOUNDARIES))
    _create((STUCK_LOOPS_TOTAL,), ((loop,) for loop in _LOOPS))
    _create(_BY_TOPIC, ((topic,) for topic in topics))
    _create((RECORDS_REJECTED_TOTAL,), product(topics, REASONS))
    _create((RECORDS_SKIPPED_TOTAL,), product(topics, SKIPS))
    _create(_BY_MODEL, ((model,) for model in models))
    _create((RETRAIN_SUPPRESSED_TOTAL,), product(models, SUPPRESSIONS))
    _create(_BY_INTEGRATION, ((integration,) for integration in integrations))
    _create((NOTIFICATIONS_FAILED_TOTAL,), product(integrations, FAILURES))
    _create(_BY_TARGET, targets)
    _create((REGISTRY_SWAPS_TOTAL,), ((model,) for model in registered))
    _create((REGISTRY_WEBHOOKS_TOTAL,), (("prompted",), ("ignored",), ("refused",)))
    _create((REGISTRY_ERRORS_TOTAL,), product(registered, REGISTRY_REASONS))


def _create(families: Iterable[Counter | Histogram], children: Iterable[tuple[str, ...]]) -> None:
    for labels in children:
        for family in families:
            family.labels(*labels)
