from __future__ import annotations

import re

import pytest
import yaml

from monitor.config.load import load
from monitor.config.settings import Settings
from tests.deploy.render import CONFIGS, ENVIRONMENTS, Installation, render

SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
PROCESS = 512 << 20
"""What the process takes beside the counts: libraries, queues, one look at the largest model."""


@pytest.fixture
def settings(installation, tmp_path) -> Settings | None:
    """What the pod of an installation would run with; None where a Secret has it."""
    files = installation.config(tmp_path)
    return None if files is None else load(files, environ=installation.env)


def test_every_configuration_is_valid(installation, settings):
    """What the container would read loads without an error or a warning, with the container's environment."""
    if settings is None:
        assert installation.name == "chart secret"
        return
    assert settings.warnings == ()
    assert settings.state.dir == "/var/lib/driftline"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_are_valid_by_themselves(name):
    """base.yaml with each environment laid over it, as `driftline run` takes it outside a cluster."""
    folder = CONFIGS / "environments"
    settings = load([str(folder / "base.yaml"), str(folder / f"{name}.yaml")], environ={})
    assert settings.warnings == ()
    assert settings.state.log == "kafka"
    assert settings.state.kafka.replication == (1 if name == "dev" else 3)


def test_environments_do_not_meet_in_one_kafka():
    """Groups and the topics of state differ, so that two environments may share brokers."""
    folder = CONFIGS / "environments"
    found = [
        load([str(folder / "base.yaml"), str(folder / f"{name}.yaml")], environ={}) for name in ENVIRONMENTS
    ]
    assert len({one.kafka.group for one in found}) == len(found)
    assert len({one.state.kafka.prefix for one in found}) == len(found)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_chart_and_overlay_run_the_same_configuration(programs, tmp_path, name):
    """Both come to the same settings."""
    made = []
    for kind in ("chart", "overlay"):
        installation = render(f"{kind} {name}")
        (tmp_path / kind).mkdir()
        made.append(load(installation.config(tmp_path / kind), environ=installation.env))
    chart, overlay = (one.model_dump() for one in made)
    assert chart.pop("log")["level"] == overlay.pop("log")["level"]
    assert chart == overlay


def files_of(installation: Installation) -> set[str]:
    """Paths below /run/secrets that the configuration reads."""
    text = "".join(
        part
        for one in installation.of("ConfigMap")
        for name, part in one["data"].items()
        if name.endswith(".yaml")
    )
    return set(re.findall(r"/run/secrets/[\w.-]+", text))


def test_secrets_come_as_files(installation):
    """Every secret that the configuration names is a file of the pod, from a Secret; none is a variable."""
    volume = installation.mounted("/run/secrets")
    there = set()
    if volume is not None:
        for source in volume["projected"]["sources"] if "projected" in volume else [volume]:
            there |= {item["path"] for item in source["secret"].get("items", ())}
    wanted = {path.removeprefix("/run/secrets/") for path in files_of(installation)}
    assert wanted == there
    for variable in installation.container["env"]:
        assert "secretKeyRef" not in variable.get("valueFrom", {})
    assert not installation.of("Secret"), "a secret in a repository is none"


def test_no_secret_stands_in_a_configuration(installation, settings):
    """No secret has its value beside it: what is read comes from a file."""
    if settings is None:
        return
    for secret in settings.kafka.secret_properties.values():
        assert secret.file
        assert secret.value is None
    for target in settings.targets.values():
        assert target.secret is None
        assert target.token is None
    assert settings.web.token is None
    pagerduty = settings.alerts.pagerduty
    assert pagerduty is None or pagerduty.routing_key is None


def test_references_are_where_the_configuration_looks(installation, settings):
    """Every reference lies below a mount of the pod."""
    if settings is None:
        return
    for model in settings.models.values():
        assert model.reference is not None
        assert installation.mounted(model.reference.file.rpartition("/")[0]) is not None


def test_memory_holds_the_counts(installation, settings):
    """The limit of the container is above what `driftline check` lets the counts need."""
    if settings is None:
        return
    text = installation.container["resources"]["limits"]["memory"]
    limit = int(text[:-2]) * SIZES[text[-2:]]
    assert limit >= settings.memory.max + PROCESS


def test_state_in_kafka_fits_the_pods(installation, settings):
    """More than one pod needs the log in Kafka; with one replica of a topic there is one pod."""
    if settings is None:
        return
    scaled = installation.of("ScaledObject")
    pods = scaled[0]["spec"]["maxReplicaCount"] if scaled else installation.workload["spec"]["replicas"]
    assert pods == 1 or settings.state.log == "kafka"
    if settings.state.log == "kafka":
        assert settings.state.kafka.replication >= 3 or pods == 1


def test_static_members_have_names_of_their_own(programs, tmp_path):
    """group.instance.id is the pod's name, which a StatefulSet keeps."""
    made = render("chart full")
    settings = load(made.config(tmp_path), environ=made.env | {"POD_NAME": "driftline-7"})
    assert settings.kafka.properties["group.instance.id"] == "driftline-7"
    (name,) = (one for one in made.container["env"] if one["name"] == "POD_NAME")
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert made.workload["kind"] == "StatefulSet"


def test_dead_letters_outlive_the_pod(settings):
    """Where state is in Kafka the pod's disk goes with it: dead letters go to a topic or are counted."""
    if settings is not None and settings.state.log == "kafka":
        assert {settings.dead_letter_to(name) for name in settings.sources} <= {"topic", "count"}


def test_overlays_mount_their_own_layers(programs):
    """The generated ConfigMap holds the base, the environment and the pod's part, in this order of reading."""
    for name in ENVIRONMENTS:
        made = render(f"overlay {name}")
        assert [path.rpartition("/")[2] for path in made.env["DRIFTLINE_CONFIG"].split()] == [
            "base.yaml",
            "environment.yaml",
            "pod.yaml",
        ]
        (config,) = (one for one in made.of("ConfigMap") if "pod.yaml" in one["data"])
        assert re.fullmatch(r"driftline-\w{10}", config["metadata"]["name"])
        assert yaml.safe_load(config["data"]["environment.yaml"]) == yaml.safe_load(
            (CONFIGS / "environments" / f"{name}.yaml").read_text()
        )
