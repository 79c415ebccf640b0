"""What can be asked of models whose labels come later: rules on their figures, detectors, and when none of it pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from monitor.config.crosscheck_figures import SHARES
from monitor.config.plans import build_plans
from monitor.judge.catalogue import COVERAGE, FIGURES
from monitor.labels.cells import BINS, Binary, Multiclass, Regression
from monitor.labels.figures import CATALOGUE, realise
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


def test_rules_of_several_and_with_a_way_back() -> None:
    """Features without a name, segments of a column, so many of the last windows, and where a rule clears."""
    rules = {
        "wide": "psi > 0.1 in 2 features for 2 of 4 windows",
        "harm": {"when": "accuracy(country) < 0.9 in 1 segment for 24h", "clear": 0.92, "do": "page"},
    }
    plan = plan_of(rules=rules)
    (wide,), (harm,) = plan.raw_rules, plan.harm
    assert (wide.windows, wide.of, wide.quorum, wide.among, wide.clear) == (2, 4, 2, "features", None)
    assert (harm.feature, harm.quorum, harm.clear, harm.windows) == ("country", 1, 0.92, -86_400_000)
    assert wide.text == "psi > 0.1 in 2 features for 2 of 4 windows"
    assert harm.text == "accuracy(country) < 0.9 in 1 segments for 1d"


@pytest.mark.parametrize(
    ("rule", "code", "at"),
    [
        ({"when": "accuracy < 0.9", "clear": 0.9}, "conflict", "clear"),
        ({"when": "psi(age) > 0.2", "clear": 0.3}, "conflict", "clear"),
        ("accuracy(city) < 0.9 in 2 segments", "unknown-segment", "when"),
        ("psi > 0.1 in 2 segments", "bad-rule", "when"),
        ({"when": "psi(age) > 0.2", "clear": "low"}, "wrong-type", "clear"),
    ],
)
def test_rules_that_cannot_be(rule: Any, code: str, at: str) -> None:
    """A way back on the wrong side, columns without segments, and what nobody can read."""
    assert found(rules={"r": rule}) == [(code, f"models.m.rules.r.{at}")]


def test_limits_that_could_never_hold() -> None:
    """All at once: figures that this kind of prediction does not have, shares in percent, columns that are no segment,
    values that have none; and what is right says nothing."""
    rules = {
        "kind": "rmse < 5",
        "percent": "accuracy < 92",
        "column": "accuracy(country) < 0.9",
        "several": "accuracy(country=DE) < 0.9 in 2 segments",
        "value": "accuracy(country=FR) < 0.9",
        "losses": "log_loss > 2 for 24h",
        "rest": "label_coverage(country=other) < 40%",
    }
    wrong = {"kind": "conflict", "percent": "out-of-range"}
    wrong |= dict.fromkeys(("column", "several", "value"), "unknown-segment")
    assert set(found(rules=rules)) == {(code, f"models.m.rules.{name}.when") for name, code in wrong.items()}
    of = {"path": "score", "kind": "number"}
    assert plan_of(prediction=of, rules={"kind": "rmse > 5"}).harm
    classes = {"prediction": {"path": "score", "kind": "class"}, "labels": {"classes": ["a"]}}
    assert found(**classes, rules={"macro": "macro_f1 < 0.5", "r": "auc < 0.5"}) == [
        ("conflict", "models.m.rules.r.when")
    ]


@pytest.mark.parametrize(
    "rule",
    ["log_loss > 1", "accuracy(country=DE) < 0.9", {"when": "accuracy < 0.9 for 24h", "do": "retrain"}],
)
def test_what_estimates_alone_cannot_tell(rule: Any) -> None:
    """Without labels a limit is held against the estimate of the whole, in the figures that are estimated, and asks for
    nothing."""
    body = yaml.safe_load(with_(page_on="harm", rules={"r": rule, "plain": "f1 < 0.9"}))
    del body["models"]["m"]["labels"]
    body["models"]["m"]["retrain"] = {"mode": "auto", "target": "t"}
    body["targets"] = {"t": {"preset": "webhook", "url": "https://ml.example/hook", "token_file": "/run/t"}}
    assert [(f.code, f.path) for f in findings_of(yaml.safe_dump(body))] == [
        ("missing-key", "models.m.rules.r.when")
    ]


def test_figures_of_each_kind_are_those_that_are_measured() -> None:
    """What the configuration knows of figures is what labels are counted to, and within which bounds."""
    assert {name for name, one in CATALOGUE.items() if (one.low, one.high) == (0, 1)} == set(SHARES) - {
        COVERAGE
    }
    assert {name for own in FIGURES.values() for name in own} == set(CATALOGUE)
    table = np.full((BINS, 2), 9)
    sums = np.array([9, 9, 9])
    cells = {
        "score": Binary(0.5, table, sums, np.zeros(BINS, np.int64), 10_000),
        "class": Multiclass(np.full((3, 3), 9), 100),
        "number": Regression(1.0, np.array([50, 9 << 16, 9 << 16, 9 << 17, 5 << 16, 9 << 17]), 100),
    }
    for kind, cell in cells.items():
        assert set(realise(cell).figures) == set(FIGURES[kind])


def test_pages_for_harm_and_maintenance() -> None:
    """Both are off by default; a limit on performance may then go by estimates alone."""
    assert (plan_of().page_on_harm, plan_of().maintenance) == (False, ())
    text = "sat 02:00 for 3h in Europe/Berlin"
    plan = plan_of(page_on="harm", rules={"harm": "accuracy < 0.9"}, maintenance=[text])
    assert plan.page_on_harm
    assert plan.maintenance[0].days == (5,)
    assert found(page_on="harm") == [("missing-key", "models.m.page_on")]
    assert found(maintenance=["whenever"]) == [("bad-maintenance", "models.m.maintenance[0]")]
    body = yaml.safe_load(with_(page_on="harm", rules={"harm": "accuracy < 0.9"}))
    del body["models"]["m"]["labels"]
    assert build_plans(settings_of(yaml.safe_dump(body)), {}).models[0].harm


def test_labels_in_the_record() -> None:
    """They need no id, nothing is waited for, and what is kept depends on the threshold."""
    body = yaml.safe_load(CONFIG)
    del body["sources"]["outcomes"], body["sources"]["s"]["fields"]
    model = body["models"]["m"]
    model["labels"] = {"path": "truth.label", "positive": ["fraud"]}
    plans = build_plans(settings_of(yaml.safe_dump(body)), {})
    (plan,) = plans.models
    assert plans.labels == ()
    assert (plan.join.source, plan.join.wait, plan.join.path) == ("", 0, ("truth", "label"))
    model["labels"]["threshold"] = 0.7
    (other,) = build_plans(settings_of(yaml.safe_dump(body)), {}).models
    assert other.join.digest != plan.join.digest
    assert other.config == plan.config  # drift is counted as before
    del model["prediction"]
    assert [(f.code, f.path) for f in findings_of(yaml.safe_dump(body))] == [
        ("missing-key", "models.m.labels")
    ]
