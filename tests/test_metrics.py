from __future__ import annotations

import re

from prometheus_client import generate_latest

from monitor import metrics
from monitor.names import REASONS
from monitor.retrain.guards import Guard

RESERVED = {
    "type",
    "le",
    "quantile",
    "cluster",
    "region",
    "env",
    "instance",
    "job",
    "service",
    "zone",
    "owner",
    "stage",
}
"""Labels that belong to the target or to the format; `stage` of the stage histogram is our own."""


def test_no_created_series():
    """Counters and histograms export no `_created` twin."""
    metrics.prepare(topics=["t"], models=["m"], integrations=["i"], targets=[("m", "t")])
    assert b"_created" not in generate_latest(metrics.REGISTRY)


def test_names_follow_the_convention():
    """driftline_<noun>_<unit>, counters and only counters end in _total, and no metric has a reserved label."""
    kinds = {family.name: family.kind for family in metrics.VIEW_FAMILIES}
    for name, labels in metrics.CATALOGUE.items():
        assert re.fullmatch(r"driftline_[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
        if name in kinds:
            assert (kinds[name] == "counter") == name.endswith("_total")
        reserved = set(labels) & RESERVED
        assert reserved <= ({"le", "stage"} if name.startswith("driftline_stage_duration") else {"le"}), name


def test_every_family_has_a_sentence():
    """Help texts are sentences."""
    for family in metrics.VIEW_FAMILIES:
        assert re.fullmatch(r"[A-Z0-9].*\.", family.text), family.name


def test_known_children_start_at_zero():
    """`rate` and `increase` see the first event, because its series was there before it."""
    metrics.prepare(topics=["zero"], models=["zero"], integrations=["zero"], targets=[("zero", "zero")])
    text = generate_latest(metrics.REGISTRY).decode()
    for reason in REASONS:
        assert f'driftline_records_rejected_total{{reason="{reason}",topic="zero"}} 0.0' in text
    for failure in metrics.FAILURES:
        assert f'driftline_notifications_failed_total{{integration="zero",reason="{failure}"}} 0.0' in text
    for boundary in metrics.BOUNDARIES:
        assert f'driftline_internal_errors_total{{boundary="{boundary}"}}' in text


def test_the_closed_sets_are_those_of_the_code():
    """What holds a retraining back is one set in the metrics and in the guards."""
    assert set(metrics.SUPPRESSIONS) == {str(guard) for guard in Guard}
