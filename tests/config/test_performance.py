"""What can be asked of models whose labels come later: rules on their figures, detectors, and when none of it pages."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from monitor.config.plans import build_plans
from monitor.plan import ConceptPlan
from tests.config.cases import findings_of, settings_of

CONFIG = """
kafka: {brokers: ["localhost:9092"]}
sources:
  s: {topic: t, fields: {id: id}}
  outcomes: {topic: o, fields: {id: id}}
models:
  m:
    source: s
    features: {age: {path: age, kind: numeric}, income: {path: income, kind: numeric}}
    prediction: {path: score, kind: score}
    segments: {country: {path: country, values: [DE]}}
    labels: {source: outcomes, path: label}
"""


def with_(**changes: Any) -> str:
    """The configuration with settings of the model; `labels` are added to those that are there."""
    body = yaml.safe_load(CONFIG)
    model = body["models"]["m"]
    labels = {**model["labels"], **changes.pop("labels", {})}
    body["models"]["m"] = {**model, **changes, "labels": labels}
    return yaml.safe_dump(body)


def plan_of(**changes: Any) -> Any:
    (plan,) = build_plans(settings_of(with_(**changes)), {}).models
    return plan


def found(**changes: Any) -> list[tuple[str, str]]:
    return [(f.code, f.path) for f in findings_of(with_(**changes))]


def test_detectors_watch_errors() -> None:
    """Each once, with what a rise brings about; by default none."""
    assert plan_of().concept == ConceptPlan()
    own = plan_of(labels={"detectors": ["ddm", "adwin", "ddm"], "on_change": "page"}).concept
    assert own == ConceptPlan(("ddm", "adwin"), "page")
    assert [rule.name for rule in own.rules] == ["concept/ddm", "concept/adwin"]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"labels": {"detectors": ["kswin"]}}, [("bad-value", "models.m.labels.detectors[0]")]),
        (
            {"labels": {"detectors": ["adwin", "ddm"]}, "prediction": {"path": "score", "kind": "number"}},
            [("conflict", "models.m.labels.detectors[1]")],
        ),
        (
            {"labels": {"detectors": ["adwin"], "on_change": "retrain"}},
            [("no-target", "models.m.labels.on_change")],
        ),
    ],
)
def test_detectors_that_cannot_be(changes: Any, wrong: list[tuple[str, str]]) -> None:
    """Unknown ones, those that count what a number has none of, and retraining that is not set up."""
    assert found(**changes) == wrong
