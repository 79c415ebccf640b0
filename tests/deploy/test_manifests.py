from __future__ import annotations

import re

import yaml

from tests.deploy.render import CONFIGS, ENVIRONMENTS, render, run
from tests.deploy.schemas.refresh import HERE as SCHEMAS

LOCATION = str(SCHEMAS / "{{.ResourceKind}}{{.KindSuffix}}.json")


def validate(text):
    return run("kubeconform", "-strict", "-summary", "-schema-location", LOCATION, stdin=text)


def test_every_manifest_is_what_kubernetes_takes(installation):
    """kubeconform validates each by the schemas of Kubernetes and of the operators, unknown fields refused."""
    done = validate(installation.text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(installation.manifests)} resources" in done.stdout
    assert "Skipped: 0" in done.stdout


def test_a_misspelt_field_is_seen(programs):
    """The schemas refuse what Kubernetes would ignore, at any depth, in its own kinds and in custom ones."""
    manifests = render("chart full").manifests
    for kind, old, new in (
        ("StatefulSet", "periodSeconds", "periodSecond"),
        ("NetworkPolicy", "podSelector", "podSelektor"),
        ("PodMonitor", "scrapeTimeout", "timeout"),
        ("PrometheusRule", "annotations", "notes"),
        ("ScaledObject", "maxReplicaCount", "maxReplicas"),
    ):
        (one,) = (manifest for manifest in manifests if manifest["kind"] == kind)
        text = yaml.safe_dump(one)
        assert validate(text).returncode == 0
        assert validate(text.replace(f"{old}:", f"{new}:")).returncode != 0, (kind, new)


def test_two_of_the_same_name_are_no_installation(installation):
    """No manifest overwrites another, and names fit a label."""
    names = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in installation.manifests]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, _, name in names)


def test_an_overlay_has_a_namespace_of_its_own(programs):
    """All of an overlay lies in one namespace, which it makes and which admits restricted pods only."""
    namespaces = set()
    for name in ENVIRONMENTS:
        made = render(f"overlay {name}")
        namespace = made.one("Namespace")["metadata"]
        others = [one["metadata"] for one in made.manifests if one["kind"] != "Namespace"]
        assert {one["namespace"] for one in others} == {namespace["name"]}
        assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        namespaces.add(namespace["name"])
    assert len(namespaces) == len(ENVIRONMENTS)


def test_images_are_fixed(installation):
    """Every image has a tag or a digest, none has one that moves."""
    pods = [installation.pod, *(one["spec"] for one in installation.of("Pod"))]
    for pod in pods:
        for container in pod["containers"]:
            assert re.search(r"(:v?\d[\w.-]*|@sha256:[0-9a-f]{64})$", container["image"]), container["image"]
            assert container["imagePullPolicy"] == "IfNotPresent"


def test_chart_and_overlay_of_an_environment_agree(programs):
    """Whoever deploys with Helm gets the pod that Kustomize makes: size, probes, rights, environment."""
    for name in ENVIRONMENTS:
        chart, overlay = render(f"chart {name}"), render(f"overlay {name}")
        for part in (
            "startupProbe",
            "livenessProbe",
            "readinessProbe",
            "resources",
            "securityContext",
            "args",
            "ports",
        ):
            assert chart.container[part] == overlay.container[part], (name, part)
        for part in ("securityContext", "terminationGracePeriodSeconds", "enableServiceLinks"):
            assert chart.pod[part] == overlay.pod[part], (name, part)
        for part in ("replicas", "minReadySeconds", "strategy"):
            assert chart.workload["spec"].get(part) == overlay.workload["spec"].get(part), (name, part)
        assert _plain(chart.env) == _plain(overlay.env), name
        kinds = [
            sorted(one["kind"] for one in made.manifests if one["kind"] not in {"Namespace", "Pod"})
            for made in (chart, overlay)
        ]
        assert kinds[0] == kinds[1], name


def _plain(env):
    return {key: value for key, value in env.items() if key != "DRIFTLINE_CONFIG"}


def test_kustomize_is_as_plain_as_it_looks():
    """Overlays and components are YAML without generators of code, charts or addresses."""
    for path in (CONFIGS / "kustomize").rglob("kustomization.yaml"):
        made = yaml.safe_load(path.read_text())
        assert made.keys() <= {
            "apiVersion",
            "kind",
            "namespace",
            "labels",
            "resources",
            "components",
            "configMapGenerator",
            "patches",
        }
        for one in (*made.get("resources", ()), *made.get("components", ())):
            assert (path.parent / one).exists(), one
