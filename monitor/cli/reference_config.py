"""What a configuration says about the columns of a reference."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from monitor.config.load import load
from monitor.config.pane import choose, common
from monitor.config.plans import plan_kafka
from monitor.config.segmented import feature_of
from monitor.config.settings import Settings
from monitor.config.watched import Feature, Model, Outcome, Segment
from monitor.errors import UsageError
from monitor.plan import Kind, Path, TimeUnit
from monitor.reference.build import BuildSettings
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.paths import format_path
from monitor.reference.segment_tally import SegmentDeclaration
from monitor.reference.selection import PREDICTION, Selection
from monitor.reference.table import FeatureDeclaration
from monitor.sample import REFERENCE_ROWS

QUARTER = 900_000
"""Local midnights lie at multiples of 15 minutes of UTC in every zone."""
_OUTCOME = {"score": Kind.NUMERIC, "number": Kind.NUMERIC, "class": Kind.CATEGORICAL}


def from_config(files: Sequence[str], *, model: str) -> tuple[Selection, BuildSettings, int]:
    """The selection, the settings and the pane of a configured model.

    Raises ConfigError when the configuration is invalid, UsageError when it has no such model.
    """
    settings = load(files)
    if model not in settings.models:
        near = difflib.get_close_matches(model, settings.models, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(settings.models)}"
        raise UsageError(f"no model {model!r} - {files[-1]} - {hint}")
    watched = settings.models[model]
    windows = watched.windows.values()
    spans = [span for window in windows for span in (window.size, window.step or window.size)]
    unit = common(spans)
    if any(window.timezone != "UTC" for window in windows):
        unit = common((unit, QUARTER))
    sample = REFERENCE_ROWS if watched.diagnosis.sample else 0
    kept = BuildSettings(window=min(window.size for window in windows), unit=unit, sample=sample)
    return _selection(settings, watched, model), kept, watched.pane or choose(spans)


def kafka_of(files: Sequence[str]) -> dict[str, str]:
    """The librdkafka properties of a configuration, secrets in clear."""
    try:
        return plan_kafka(load(files)).client()
    except OSError as error:
        raise UsageError(
            f"a secret cannot be read ({error.strerror}) - {error.filename} - a readable file is right"
        ) from error


def _selection(settings: Settings, model: Model, name: str) -> Selection:
    fields = settings.sources[settings.source_of(name)].fields
    features = tuple(_feature(called, feature) for called, feature in model.features.items())
    outcomes = [
        _outcome(called, outcome)
        for called, outcome in ((PREDICTION, model.prediction), ("label", model.label))
        if outcome is not None
    ]
    roles: dict[str, Path] = {
        "time": fields.time.path if fields.time else (),
        "latency": fields.latency.path if fields.latency else (),
        "error": fields.error,
    }
    named = [fields.id, fields.model, fields.version, fields.variant]
    only: dict[Path, frozenset[str | None]] = {}
    if fields.model:
        only[fields.model] = frozenset({name})
    if fields.variant:
        only[fields.variant] = frozenset({model.champion, None})
    return Selection(
        features=features or None,
        outcomes=tuple(outcomes),
        exclude=frozenset(format_path(path) for path in named if path),
        time=format_path(roles["time"]),
        time_unit=TimeUnit(fields.time.unit) if fields.time else None,
        record_time=fields.time is None,
        latency=format_path(roles["latency"]),
        latency_unit=TimeUnit(fields.latency.unit) if fields.latency else TimeUnit.MILLISECONDS,
        error=format_path(roles["error"]),
        only=only,
        optional=frozenset(format_path(path) for path in roles.values() if path),
        paths={format_path(path): path for path in roles.values() if path},
        segments=tuple(_segments(column, given, model) for column, given in model.segments.items()),
        groups=tuple(GroupDeclaration(called, members) for called, members in model.groups.items()),
    )


def _segments(name: str, given: Segment, model: Model) -> SegmentDeclaration:
    """A column at the path of a feature is the feature."""
    feature = feature_of(name, given)
    paths = {called: one.path or (called,) for called, one in model.features.items()}
    if not feature:
        feature = next((called for called, path in paths.items() if path == given.path), "")
    return SegmentDeclaration(name, feature, () if feature else given.path, given.values, given.top)


def _feature(name: str, feature: Feature) -> FeatureDeclaration:
    return FeatureDeclaration(
        name=name,
        path=feature.path,
        kind=Kind(feature.kind) if feature.kind else None,
        length=feature.length or 0,
        numbers_in_strings=feature.numbers_in_strings,
    )


def _outcome(name: str, outcome: Outcome) -> FeatureDeclaration:
    return FeatureDeclaration(
        name=name,
        path=outcome.path,
        kind=_OUTCOME[outcome.kind],
        numbers_in_strings=outcome.numbers_in_strings,
    )
