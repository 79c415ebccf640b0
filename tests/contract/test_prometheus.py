from __future__ import annotations

import re
import subprocess
import urllib.request

import pytest
import yaml

from monitor import metrics
from monitor.consistency.families import FAMILIES as OF_CONSISTENCY
from monitor.registry.families import FAMILIES as OF_REGISTRIES
from monitor.web.settings import WebSettings
from tests.contract.conftest import CONFIGS

DIRECTORY = CONFIGS / "prometheus"
RULES = yaml.safe_load((DIRECTORY / "rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
EXPRESSIONS = [
    (rule.get("alert") or rule["record"], rule["expr"]) for g in RULES["groups"] for rule in g["rules"]
]

FIRING = {"ModelFeatureDrift", "ModelBlind", "DriftlinePartitionPaused"}
"""What the view of the tests must raise: three drifted features, a blind model, a paused partition."""

COUNTED = {
    "driftline_feature_store_records_total",
    "driftline_records_without_id_total",
    "driftline_registry_errors_total",
    "driftline_registry_swaps_total",
}
"""Of these other tests of this process may have made series."""
WITH_SEGMENTS = {
    "driftline_segment_statistic",
    *(
        f"driftline_{name}"
        for name in ("performance", "performance_low", "performance_high", "join_ids", "join_bytes")
    ),
    *(f"driftline_{name}" for name in ("labels_unjoined", "join_sampled_ratio")),
    *(f"driftline_{name}" for name in ("label_coverage_ratio", "label_delay_seconds")),
    *(f"driftline_performance_{name}" for name in ("timestamp_seconds", "estimate", "estimate_error")),
    *(f"driftline_performance_provisional{name}" for name in ("", "_low", "_high", "_timestamp_seconds")),
    "driftline_performance_estimate_bias",
    *COUNTED,
    *(family.name for family in (*OF_CONSISTENCY, *OF_REGISTRIES)),
}
"""Families of models that declare segments, labels, a feature store or a registry, which the one that is scraped here does not."""


def run(*command: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, cwd=DIRECTORY, timeout=60, check=False)


def test_promtool_accepts_the_exposition(prometheus_tools, daemon_metrics):
    """`promtool check metrics` finds nothing to say about names, units, help texts and types."""
    with urllib.request.urlopen(f"{daemon_metrics.url}/metrics", timeout=10) as answer:
        text = answer.read()
    checked = run(prometheus_tools.promtool, "check", "metrics", stdin=text)
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
        ("check", "config", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_what_is_shipped(prometheus_tools, arguments):
    """The rules are valid, do what their own tests say, and fit the example configuration."""
    checked = run(prometheus_tools.promtool, *arguments)
    assert checked.returncode == 0, checked.stdout.decode() + checked.stderr.decode()


def test_every_alert_is_tested_by_promtool():
    """Each alert has a case in rules_test.yml in which it fires."""
    tests = yaml.safe_load((DIRECTORY / "rules_test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test.get("alert_rule_test", ())
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule):
    """An alert has a severity, one sentence, and a runbook that is shipped."""
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith((".", "}}"))
    name = rule["annotations"]["runbook_url"].rpartition("/")[2]
    assert name == rule["alert"]
    text = (CONFIGS / "runbooks" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    for part in ("**Meaning.**", "**Impact.**", "**First three checks**"):
        assert part in text, part


def test_no_runbook_is_an_orphan():
    """Each runbook belongs to an alert of the rules, or to the one that driftline pushes itself."""
    names = {path.stem for path in (CONFIGS / "runbooks").glob("*.md")}
    assert names == {rule["alert"] for rule in ALERTS} | {"ModelDrift"}


def test_the_sample_limit_is_above_the_series_budget():
    """An exceeded sample_limit fails the whole scrape, so it leaves room for all that is not per feature."""
    (scrape,) = yaml.safe_load((DIRECTORY / "prometheus.yml").read_text())["scrape_configs"]
    assert scrape["job_name"] == "driftline"
    assert scrape["sample_limit"] >= 2 * WebSettings().max_series


def test_a_real_prometheus_scrapes_us(prometheus):
    """The target is up, nothing was dropped, and every family of the catalogue has series."""
    (target,) = prometheus.get("targets", state="active")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    stored = set(prometheus.get("label/__name__/values"))
    missing = set(metrics.CATALOGUE) - stored
    assert missing | COUNTED == WITH_SEGMENTS


def test_types_and_help_arrive(prometheus):
    """Prometheus knows the type and the help of our families."""
    found = prometheus.get("metadata")
    for family in metrics.VIEW_FAMILIES:
        if family.name in WITH_SEGMENTS:
            continue
        (known,) = found[family.name]
        assert (known["type"], known["help"]) == (family.kind, family.text)


@pytest.mark.parametrize(("name", "expr"), EXPRESSIONS)
def test_every_rule_can_be_evaluated(prometheus, name, expr):
    """Each expression is taken by a real server over really scraped series."""
    rows = prometheus.query(expr)
    assert rows or not (name in FIRING or name.startswith("model:"))


def test_rules_are_healthy(prometheus):
    """No rule of ours ends in an evaluation error."""
    for group in prometheus.get("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] in {"ok", "unknown"}, rule
            assert not rule.get("lastError"), rule


def test_the_version_can_be_joined(prometheus):
    """The documented join attaches the model version to scores, with exactly one partner each."""
    expr = "driftline_feature_psi * on (instance, model) group_left (model_version) driftline_reference_info"
    rows = prometheus.query(expr)
    assert rows
    assert {row["metric"]["model_version"] for row in rows} == {"7"}


def test_selectors_of_rules_use_labels_that_exist():
    """`by` and `on` lists of the rules name labels that their metrics have."""
    known = {label for labels in metrics.CATALOGUE.values() for label in labels} | {"instance", "job"}
    for _, expr in EXPRESSIONS:
        for labels in re.findall(r"\b(?:by|on|ignoring)\s*\(([^)]*)\)", expr):
            assert set(re.split(r"\s*,\s*", labels.strip())) <= known
