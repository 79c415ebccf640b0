from __future__ import annotations

import json
import re

import pytest
import yaml

from monitor.config.load import load
from tests.contract.conftest import CONFIGS, ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def mounts() -> list[tuple[str, str, str]]:
    """(service, source, target) of everything mounted."""
    return [
        (name, *volume.split(":")[:2])
        for name, service in SERVICES.items()
        for volume in service.get("volumes", ())
    ]


def test_all_five_are_there():
    """Kafka, Prometheus, Alertmanager, Grafana and driftline, each image with a fixed version but ours."""
    assert {"kafka", "prometheus", "alertmanager", "grafana", "driftline"} <= set(SERVICES)
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+", service["image"]) or name == "driftline", service["image"]
    assert SERVICES["driftline"]["build"] == "."


@pytest.mark.parametrize(("service", "source", "target"), mounts())
def test_everything_mounted_exists(service, source, target):
    """A file that is missing would be created as a directory by the engine; volumes are declared."""
    assert target.startswith("/")
    if source.startswith("./"):
        assert (ROOT / source).exists()
    else:
        assert source in COMPOSE["volumes"]


def test_ports_are_open_to_this_machine_only():
    """Nothing listens beyond the loopback: there are no passwords."""
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_dependencies_exist():
    """Every service that is waited for is there, and is healthy by a check of its own."""
    for service in SERVICES.values():
        wanted = service.get("depends_on", ())
        for name in wanted:
            assert name in SERVICES
            if isinstance(wanted, dict) and wanted[name]["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]


def test_the_broker_has_what_one_kraft_node_needs():
    """One node is broker and controller, and each listener has a protocol and an address to be found at."""
    settings = SERVICES["kafka"]["environment"]
    listeners = {one.split("://")[0] for one in settings["KAFKA_LISTENERS"].split(",")}
    advertised = {one.split("://")[0] for one in settings["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    protocols = {one.split(":")[0] for one in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert listeners == protocols
    assert advertised == listeners - {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert settings["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised
    assert settings["KAFKA_CONTROLLER_QUORUM_VOTERS"].startswith(f"{settings['KAFKA_NODE_ID']}@kafka:")


def test_driftline_is_configured_for_its_neighbours():
    """The mounted configuration is valid and names the broker, the topic and the Alertmanager of the file."""
    settings = load([str(CONFIGS / "compose" / "driftline.yaml")], environ={})
    assert settings.warnings is not None
    text = yaml.safe_load((CONFIGS / "compose" / "driftline.yaml").read_text())
    (broker,) = text["kafka"]["brokers"]
    assert f"INSIDE://{broker}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert text["sources"]["predictions"]["topic"] in SERVICES["topics"]["command"]
    assert text["alerts"]["alertmanager"]["urls"] == ["http://alertmanager:9093"]
    assert text["state"]["dir"] in [target for name, _, target in mounts() if name == "driftline"]


def test_the_record_of_the_instructions_fits_the_configuration():
    """The example record in the header has every field that the configuration reads."""
    record = json.loads(re.search(r"echo '(\{.*\})'", (ROOT / "compose.yaml").read_text())[1])
    text = yaml.safe_load((CONFIGS / "compose" / "driftline.yaml").read_text())
    fields, model = text["sources"]["predictions"]["fields"], text["models"]["churn"]
    assert fields["id"] in record
    assert fields["time"]["path"] in record
    assert model["prediction"]["path"] in record
    for feature in model["features"].values():
        assert feature["path"].removeprefix("features.") in record["features"]


def test_prometheus_scrapes_and_tells_its_neighbours():
    """The example configuration names the services of the file."""
    text = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text())
    (scrape,) = text["scrape_configs"]
    targets = [
        *scrape["static_configs"][0]["targets"],
        *text["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"],
    ]
    assert {target.split(":")[0] for target in targets} == {"driftline", "alertmanager"}
