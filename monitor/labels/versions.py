"""How well each version of a model did in a window, which a rollout makes one of several. Pure.

Beside the figures of the whole and of segments, and not among them: limits are on those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.judge.record import scores_from_json, scores_to_json
from monitor.labels.sampled import Parts, stands_for
from monitor.labels.shares import measure
from monitor.plan import ModelPlan
from monitor.segments import WHOLE
from monitor.verdict import Verdict

BY_VERSION = "by_version"
"""Of a verdict's `outcomes`: version → figures as `scores` has them, JSON-able."""
MOST = 8
"""Versions of a window that have figures, those with most predictions: each takes a kilobyte of its record."""


def by_version(found: Mapping[str, Parts], plan: ModelPlan) -> dict[str, Any]:
    """What the record of a window has of that, of sums by version and level. Nothing where all predictions are of one
    version: it did as the whole."""
    rows = {version: stands_for(parts) for version, parts in found.items()}
    if sum(map(bool, rows.values())) < 2:
        return {}
    scores = {version: measure(found[version], plan).scores for version in _first(rows)}
    return {BY_VERSION: scores_to_json(scores)}


def recorded(one: Verdict) -> dict[str, dict[str, float]]:
    """Figures by version of a measured window, those with most predictions first; of a window of several that was measured
    before figures were told apart, none."""
    ranked = _first(one.versions)
    if len(ranked) == 1 and WHOLE in one.scores:
        return {ranked[0]: dict(one.scores[WHOLE])}
    found = scores_from_json(one.outcomes.get(BY_VERSION, {}))
    return {version: found[version] for version in ranked if version in found}


def left_out(one: Verdict) -> int:
    """Versions that predicted and have no figures of their own."""
    return sum(map(bool, one.versions.values())) - len(recorded(one))


def _first(rows: Mapping[str, int]) -> list[str]:
    """Those with most rows, MOST at most."""
    return sorted((version for version in rows if rows[version]), key=lambda own: (-rows[own], own))[:MOST]
