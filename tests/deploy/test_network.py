from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from monitor.config.load import load
from tests.deploy.render import ENVIRONMENTS, render

GUARDED = ("chart full", *(f"{kind} {name}" for kind in ("chart", "overlay") for name in ENVIRONMENTS))


@pytest.fixture(params=GUARDED)
def guarded(request, programs):
    """Each installation with a NetworkPolicy."""
    return render(request.param)


def namespace_of(peer) -> str:
    return peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", "")


def allows(rule, port: int, namespace: str) -> bool:
    """Whether an egress rule lets TCP out to a port of a namespace."""
    ports = [one["port"] for one in rule["ports"] if one["protocol"] == "TCP"]
    return port in ports and ("to" not in rule or any(namespace_of(peer) == namespace for peer in rule["to"]))


def test_prometheus_gets_in(guarded):
    """The monitoring namespace reaches the port of the metrics, and only that port is open at all."""
    spec = guarded.one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert "monitoring" in {namespace_of(peer) for peer in rule["from"]}


def test_the_test_of_the_release_gets_in(programs):
    """The pod of `helm test` is let in by its labels."""
    made = render("chart full")
    (rule,) = made.one("NetworkPolicy")["spec"]["ingress"]
    wanted = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    labels = made.one("Pod")["metadata"]["labels"]
    assert any(one.items() <= labels.items() for one in wanted)


def test_everything_that_is_told_can_be_reached(guarded, tmp_path):
    """Names, every broker, every Alertmanager, PagerDuty and the targets are let out; cloud metadata is not."""
    settings = load(guarded.config(tmp_path), environ=guarded.env)
    rules = guarded.one("NetworkPolicy")["spec"]["egress"]
    assert any({"port": 53, "protocol": "UDP"} in rule["ports"] for rule in rules)
    for broker in settings.kafka.brokers:
        host, _, port = broker.rpartition(":")
        assert any(allows(rule, int(port), host.split(".")[1]) for rule in rules), broker
    for url in settings.alerts.alertmanager.urls:
        parts = urlsplit(url)
        assert any(allows(rule, parts.port, parts.hostname.split(".")[-1]) for rule in rules), url
    outside = [target.url for target in settings.targets.values()]
    if settings.alerts.pagerduty is not None:
        outside.append(settings.alerts.pagerduty.url)
    (web,) = (rule for rule in rules if any("ipBlock" in peer for peer in rule.get("to", ())))
    assert web["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert web["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]
    assert all(url.startswith("https://") for url in outside)
