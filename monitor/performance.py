"""What `/metrics` says about how well models do."""

from __future__ import annotations

from monitor.family import Family, gauge

_OF_FIGURES = ("model", "window", "segment", "figure")
PERFORMANCE = gauge(
    "performance", "How well the model did in the latest window whose labels are in; segment is empty for the whole.",
    *_OF_FIGURES,
)  # fmt: skip
PERFORMANCE_LOW = gauge(
    "performance_low", "Lower bound of the figure, 95 % whenever it is looked at.", *_OF_FIGURES
)
PERFORMANCE_HIGH = gauge(
    "performance_high", "Upper bound of the figure, 95 % whenever it is looked at.", *_OF_FIGURES
)
LABEL_COVERAGE_RATIO = gauge(
    "label_coverage_ratio", "Share of the predictions of that window that have a label.", "model", "window"
)
PERFORMANCE_TIMESTAMP_SECONDS = gauge(
    "performance_timestamp_seconds", "End of the latest window whose labels are in.", "model", "window"
)
JOIN_IDS = gauge(
    "join_ids",
    "Ids held for the join: predicted ones, and labelled ones that nobody predicted.",
    "model",
    "state",
)
JOIN_BYTES = gauge("join_bytes", "Memory of the table in which they do.", "model")
LABELS_UNJOINED = gauge(
    "labels_unjoined",
    "Labels let go since the start, by reason: late; unknown: nobody has predicted them; early: nobody had, and more came "
    "than may be held for predictions to come.",
    "model",
    "reason",
)
JOIN_SAMPLED_RATIO = gauge(
    "join_sampled_ratio",
    "Share of the predictions of the latest window whose labels are in that was held for them; the others did not fit.",
    "model",
    "window",
)
_OF_PROVISIONAL = ("model", "window", "figure")
PROVISIONAL = gauge(
    "performance_provisional",
    "How well the model did in the newest window with enough labels so far, each weighted for those that will come.",
    *_OF_PROVISIONAL,
)
PROVISIONAL_LOW = gauge(
    "performance_provisional_low",
    "Lower bound of the figure, 95 % whenever it is looked at.",
    *_OF_PROVISIONAL,
)
PROVISIONAL_HIGH = gauge(
    "performance_provisional_high",
    "Upper bound of the figure, 95 % whenever it is looked at.",
    *_OF_PROVISIONAL,
)
PROVISIONAL_TIMESTAMP_SECONDS = gauge(
    "performance_provisional_timestamp_seconds", "End of that window.", "model", "window"
)
LABEL_DELAY_SECONDS = gauge(
    "label_delay_seconds",
    "After so long this share of the labels had come, of those that came.",
    "model",
    "share",
)
_OF_ESTIMATES = ("model", "window", "by", "figure")
ESTIMATE = gauge(
    "performance_estimate",
    "Figure of the latest closed window to be expected without labels, if P(y | x) is stable; by is empty for scores "
    "alone, or the segments' column.",
    *_OF_ESTIMATES,
)
ESTIMATE_ERROR = gauge(
    "performance_estimate_error",
    "How far such estimates lay from what was measured, on average over the windows of a week.",
    *_OF_ESTIMATES,
)
ESTIMATE_BIAS = gauge(
    "performance_estimate_bias",
    "Mean of estimate less what was measured, over those windows.",
    *_OF_ESTIMATES,
)

FAMILIES: tuple[Family, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Family))
