"""What the fields of a record are probably for, by their names and by their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.plan import Kind, Path, TimeUnit

if TYPE_CHECKING:
    from monitor.reference.infer import Field

NAMES: dict[str, frozenset[str]] = {
    "time": frozenset(
        [
            "ts",
            "time",
            "timestamp",
            "timestamp_ms",
            "event_time",
            "event_ts",
            "event_timestamp",
            "created",
            "created_at",
            "datetime",
            "date_time",
            "logged_at",
            "inference_time",
            "prediction_time",
            "predicted_at",
            "request_time",
            "recorded_at",
            "t",
        ]
    ),
    "id": frozenset(
        [
            "id",
            "request_id",
            "req_id",
            "requestid",
            "uuid",
            "guid",
            "event_id",
            "prediction_id",
            "trace_id",
            "correlation_id",
            "record_id",
            "inference_id",
            "databricks_request_id",
        ]
    ),
    "model": frozenset(["model", "model_name", "modelname", "model_id", "modelid"]),
    "version": frozenset(["version", "model_version", "modelversion", "model_ver", "ver", "v"]),
    "variant": frozenset(["variant", "arm", "treatment", "experiment", "ab_group", "challenger"]),
    "latency": frozenset(
        [
            "latency",
            "duration",
            "elapsed",
            "took",
            "ms",
            "response_time",
            "execution_time",
            "inference_time",
            "processing_time",
            "runtime",
            "latency_ms",
            "duration_ms",
            "elapsed_ms",
            "took_ms",
            "response_time_ms",
            "execution_time_ms",
            "latency_us",
            "latency_s",
        ]
    ),
    "error": frozenset(
        [
            "error",
            "err",
            "error_code",
            "status",
            "status_code",
            "statuscode",
            "http_status",
            "failed",
            "failure",
        ]
    ),
    "prediction": frozenset(
        [
            "prediction",
            "predictions",
            "pred",
            "score",
            "output",
            "outputs",
            "probability",
            "prob",
            "proba",
            "y_pred",
            "yhat",
            "y_hat",
            "predicted",
            "result",
            "predicted_class",
        ]
    ),
    "label": frozenset(
        ["label", "labels", "target", "y", "y_true", "ytrue", "actual", "outcome", "ground_truth", "truth"]
    ),
}
"""Roles in the order in which they take fields: a field has one role at most."""
CONTAINERS = frozenset(["features", "feature", "inputs", "input", "data", "x", "instance", "row", "payload"])
"""Objects that hold a model's inputs."""
_UNITS = {
    "_ms": TimeUnit.MILLISECONDS,
    "ms": TimeUnit.MILLISECONDS,
    "_us": TimeUnit.MICROSECONDS,
    "_ns": TimeUnit.NANOSECONDS,
    "_s": TimeUnit.SECONDS,
    "_sec": TimeUnit.SECONDS,
    "_seconds": TimeUnit.SECONDS,
}
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{24,64}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field that may have a role. `unit` only for time and latency."""

    role: str
    path: Path
    why: str
    weight: int
    unit: TimeUnit | None = None


def candidates(field: Field) -> list[Candidate]:
    """The roles that one field may have."""
    name = plain_name(field.path)
    found = []
    for role, names in NAMES.items():
        named = name in names
        unit = field.time_unit if role == "time" else latency_unit(name) if role == "latency" else None
        shape = _fits(role, field)
        if named and shape:
            # the shallower of two equally named fields is the record's own
            found.append(Candidate(role, field.path, "by its name", 20 - len(field.path), unit))
        elif shape and (why := _by_shape(role, field)):
            found.append(Candidate(role, field.path, why, 5 - len(field.path), unit))
    return found


def assign(fields: Sequence[Field]) -> dict[str, Candidate]:
    """Role → the best field for it; each field at most once, in the order of NAMES."""
    roles: dict[str, Candidate] = {}
    taken: set[Path] = set()
    every = [candidate for field in fields for candidate in candidates(field)]
    for role in NAMES:
        best = max(
            (one for one in every if one.role == role and one.path not in taken),
            key=lambda one: one.weight,
            default=None,
        )
        if best is not None:
            roles[role] = best
            taken.add(best.path)
    return roles


def plain_name(path: Path) -> str:
    """The last name of a path in snake case: `requestId` is request_id."""
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", last)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def latency_unit(name: str) -> TimeUnit:
    """The unit that a name says, else milliseconds."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), TimeUnit.MILLISECONDS)


def _fits(role: str, field: Field) -> bool:
    """Whether the values can be what the role needs."""
    if role == "time":
        return field.time_unit is not None and field.nulls == 0
    if role == "id":
        return (
            field.distinct > 0.9 * field.present
            and field.present > 1
            and field.kinds.keys() <= {"string", "integer"}
        )
    if role in {"model", "version", "variant"}:
        few = field.distinct <= max(10, field.present // 10)
        return few and field.kinds.keys() <= {"string", "integer", "number"} and bool(field.kinds)
    if role == "latency":
        return (
            field.kinds.keys() <= {"integer", "number"} and field.minimum is not None and field.minimum >= 0
        )
    if role == "error":
        return field.distinct <= 50
    return bool(field.kinds)


def _by_shape(role: str, field: Field) -> str:
    if role == "time" and field.distinct > field.present // 2:
        return f"its values look like times ({field.time_unit})"
    if (
        role == "id"
        and field.kind is Kind.CATEGORICAL
        and field.samples
        and all(map(_UUID.fullmatch, field.samples))
    ):
        return "its values look like unique ids"
    return ""
