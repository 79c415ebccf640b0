from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.contract.conftest import CONFIGS

FILE = CONFIGS / "alertmanager" / "alertmanager.yml"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "file", [FILE, CONFIGS / "compose" / "alertmanager.yml"], ids=lambda file: file.parent.name
)
def test_amtool_accepts_it(amtool, file):
    """Every shipped Alertmanager configuration passes `amtool check-config`."""
    checked = run(amtool, "check-config", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=ModelDrift model=churn severity=critical", "pagerduty-ml,slack-ml"),
        ("alertname=ModelDrift model=churn severity=warning", "slack-ml"),
        ("alertname=ModelFeatureDrift model=churn feature=age severity=warning", "slack-ml"),
        ("alertname=ModelDriftWidespread model=churn severity=critical", "pagerduty-ml,slack-ml"),
        ("alertname=ModelBlind model=churn severity=warning", "slack-ml"),
        ("alertname=DriftlineDown severity=critical", "pagerduty-ml,slack-platform"),
        ("alertname=DriftlineConfigReloadFailed severity=warning", "slack-platform"),
        ("alertname=SomethingElse severity=warning", "slack-ml"),
    ],
)
def test_alerts_reach_their_people(amtool, labels, receivers):
    """Critical alerts page and are seen in the channel; those about driftline itself go to its owners."""
    routed = run(
        amtool, "config", "routes", "test", f"--config.file={FILE}",
        f"--verify.receivers={receivers}", *labels.split(),
    )  # fmt: skip
    assert routed.returncode == 0, routed.stdout + routed.stderr


def test_secrets_are_read_from_files():
    """No receiver carries a secret in the file itself."""
    for receiver in yaml.safe_load(FILE.read_text())["receivers"]:
        for kind in ("slack_configs", "pagerduty_configs"):
            for one in receiver.get(kind, ()):
                assert not {"api_url", "routing_key", "service_key"} & set(one)
                assert {"api_url_file", "routing_key_file"} & set(one)


def test_the_pushed_alert_stands_for_the_derived_ones():
    """ModelDrift inhibits what the rules derive from the same metrics, model by model."""
    rules = yaml.safe_load(FILE.read_text())["inhibit_rules"]
    (rule,) = [rule for rule in rules if rule["source_matchers"] == ['alertname="ModelDrift"']]
    assert rule["equal"] == ["model"]
    assert all(name in rule["target_matchers"][0] for name in ("ModelFeatureDrift", "ModelDriftWidespread"))
