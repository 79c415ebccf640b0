"""What `/metrics` says about model registries, beside what is counted as it comes."""

from __future__ import annotations

from monitor.family import Family, gauge

UP = gauge("registry_up", "1 when the model registry answered when it was last asked.", "model")
REFERENCE = gauge(
    "registry_reference", "1 when the version in production is judged by a reference of its own.", "model"
)
OTHER_VERSIONS_RECORDS = gauge(
    "other_versions_records",
    "Rows of the latest closed window that are of versions which the model registry does not have in production.",
    "model",
    "window",
)

FAMILIES: tuple[Family, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Family))
