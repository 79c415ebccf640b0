from __future__ import annotations

import json
import re

import pytest
import yaml

from monitor.config.load import load
from monitor.web.settings import WebSettings
from tests.deploy.render import CONFIGS, ROOT, render
from tests.rules.tree import sources

RULES = yaml.safe_load((CONFIGS / "prometheus" / "rules.yml").read_text())["groups"]
SCALED = ("chart full", "chart prod", "overlay prod")


@pytest.mark.parametrize("name", ["chart staging", "chart prod", "overlay staging", "overlay prod"])
def test_the_operator_gets_the_rules_of_rules_yml(programs, name):
    """Group by group, rule by rule, with every brace of a template as it was."""
    assert render(name).one("PrometheusRule")["spec"]["groups"] == RULES


def test_rules_can_be_fewer_and_name_other_runbooks(programs):
    """Without the rules on drift, and with a site's own runbooks, everything else is the same."""
    made = render("chart full").one("PrometheusRule")
    (group,) = (group for group in RULES if group["name"] != "driftline-drift")
    text = json.dumps(group).replace("https://driftline.example/runbooks", "https://wiki.example/runbooks")
    assert made["spec"]["groups"] == [json.loads(text)]
    assert made["metadata"]["labels"]["release"] == "prometheus"


def test_pods_are_scraped_as_the_job_that_the_rules_look_for(installation):
    """DriftlineDown asks for a job by name; the sample limit is above the series budget."""
    for monitor in installation.of("PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert {"targetLabel": "job", "replacement": "driftline"} in endpoint["relabelings"]
        assert monitor["spec"]["sampleLimit"] >= 2 * WebSettings().max_series
    jobs = set(re.findall(r'job="([^"]+)"', json.dumps(RULES).replace('\\"', '"')))
    assert jobs == {"driftline"}


@pytest.mark.parametrize("name", ["chart full", "chart prod", "overlay prod"])
def test_grafana_finds_the_dashboards(programs, name):
    """Each dashboard is a ConfigMap with the sidecar's label, byte for byte."""
    labelled = [
        one
        for one in render(name).of("ConfigMap")
        if one["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    found = {key: text for one in labelled for key, text in one["data"].items()}
    folder = CONFIGS / "grafana" / "dashboards"
    assert found == {path.name: path.read_text() for path in folder.glob("*.json")}
    assert all(len(json.dumps(one)) < 1 << 20 for one in labelled)


@pytest.mark.parametrize("name", SCALED)
def test_keda_looks_at_the_group_that_the_daemon_joins(programs, tmp_path, name):
    """One trigger for each topic, in the group that `kafka.group` names, with the start that the source has."""
    made = render(name)
    settings = load(made.config(tmp_path), environ=made.env)
    triggers = [one["metadata"] for one in made.one("ScaledObject")["spec"]["triggers"]]
    joined = {
        part
        for path, _ in sources("monitor")
        for part in re.findall(r'f"\{[\w.]*group\}\.(\w+)"', (ROOT / path).read_text())
    }
    assert "ingest" in joined
    assert {one["consumerGroup"] for one in triggers} == {f"{settings.kafka.group}.ingest"}
    assert {one["topic"]: one["offsetResetPolicy"] for one in triggers} == {
        source.topic: source.start for source in settings.sources.values()
    }
    for one in triggers:
        assert made.env[one["bootstrapServersFromEnv"]].split(",") == list(settings.kafka.brokers)


@pytest.mark.parametrize("name", SCALED)
def test_keda_scales_what_is_there(programs, tmp_path, name):
    """The workload is the target and names no number of pods; the most are no more than partitions, slowly fewer."""
    made = render(name)
    spec = made.one("ScaledObject")["spec"]
    target = spec["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (made.workload["kind"], made.workload["metadata"]["name"])
    assert target["envSourceContainerName"] == made.container["name"]
    assert "replicas" not in made.workload["spec"]
    most = {"chart full": 24}.get(name, 12)
    assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"] <= most
    settings = load(made.config(tmp_path), environ=made.env)
    if name != "chart full":
        assert spec["maxReplicaCount"] <= settings.state.kafka.partitions
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 600


@pytest.mark.parametrize("name", SCALED)
def test_keda_has_the_credentials_that_the_brokers_want(programs, tmp_path, name):
    """Where the daemon speaks SASL over TLS, so does KEDA, with what a TriggerAuthentication reads from a Secret."""
    made = render(name)
    settings = load(made.config(tmp_path), environ=made.env)
    assert settings.kafka.properties["security.protocol"] == "SASL_SSL"
    mechanism = settings.kafka.properties["sasl.mechanism"].lower().replace("-sha-", "_sha")
    for trigger in made.one("ScaledObject")["spec"]["triggers"]:
        assert trigger["metadata"]["sasl"] == mechanism
        assert trigger["metadata"]["tls"] == "enable"
        for given in made.of("TriggerAuthentication"):
            assert trigger["authenticationRef"]["name"] == given["metadata"]["name"]
            wanted = {one["parameter"] for one in given["spec"]["secretTargetRef"]}
            assert wanted == {"username", "password"}
