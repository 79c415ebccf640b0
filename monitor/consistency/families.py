"""What `/metrics` says about the agreement with online stores, beside the outcomes that are counted as they come."""

from __future__ import annotations

from monitor.family import Family, gauge

_OF_FEATURE = ("model", "window", "feature")
MISMATCH_RATIO = gauge(
    "feature_mismatch_ratio",
    "Share of the compared records of the latest window in which the feature was not what the online store has; feature "
    "is empty for any.",
    *_OF_FEATURE,
)
COMPARED = gauge("feature_compared_records", "Records of that window in which it was compared.", *_OF_FEATURE)
MOVED = gauge(
    "feature_moved_records",
    "Records of that window in which it was not, as the store may have had another value then.",
    *_OF_FEATURE,
)
TIMESTAMP_SECONDS = gauge(
    "feature_compared_timestamp_seconds", "End of the latest window that was compared.", "model", "window"
)
UP = gauge("feature_store_up", "1 when the last question to the online store was answered.", "model")

FAMILIES: tuple[Family, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Family))
