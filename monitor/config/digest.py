"""The digest of what gives a model's counts their meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from monitor.config.intake import Source
from monitor.plan import FeaturePlan, Kind, SegmentPlan
from monitor.reference.profile import Reference

LENGTH = 16
"""Hex digits: 64 bits, so that two configurations of one model never share sketches by chance."""


def config_digest(
    features: Iterable[FeaturePlan],
    pane: int,
    source: Source,
    reference: Reference | None,
    segments: Iterable[SegmentPlan] = (),
) -> str:
    """Digest over layout, paths, kinds, contract rules, pane and segments; nothing else.

    Sketches of another digest are other sketches: thresholds, budgets, windows made of the same
    panes, and routes must not be part of it.
    """
    fields = source.fields
    meaning = {
        "layout": _layout(reference),
        "pane": pane,
        "features": [
            [f.name, f.path, f.kind, f.nullable, f.range, sorted(f.allowed), f.numbers_in_strings]
            + [f.length] * (f.kind is Kind.VECTOR)
            for f in features
        ],
        "time": [fields.time.path, fields.time.unit] if fields.time else [],
        "latency": [fields.latency.path, fields.latency.unit] if fields.latency else [],
        "error": fields.error,
    }
    counted_by = [[one.name, one.path, one.kind, one.values] for one in segments]
    if counted_by:  # a model without any has the digest that it had before there were any
        meaning["segments"] = counted_by
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def _layout(reference: Reference | None) -> str:
    """The digest of the reference file; of its bins where it was never in a file."""
    if reference is None or reference.digest:
        return reference.digest if reference else ""
    digest = hashlib.sha256()
    for feature in reference.features:
        digest.update(json.dumps([feature.name, feature.kind, list(feature.categories)]).encode())
        digest.update(feature.edges.tobytes())
        if feature.vector is not None:
            for array in (feature.vector.center, feature.vector.scale, feature.vector.waves):
                digest.update(array.tobytes())
    return digest.hexdigest()
