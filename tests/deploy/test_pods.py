from __future__ import annotations

import os
import re
import urllib.request
from pathlib import Path

import pytest

from monitor.ending import GRACE
from monitor.web.app import create
from monitor.web.serve import STOP_SECONDS, Server, parse_listen
from monitor.web.settings import WebSettings
from tests.deploy.render import CONFIGS, ROOT, Installation, render, run
from tests.web.conftest import Recorded
from tests.web.view import view


def matches(selector, labels) -> bool:
    return selector.items() <= labels.items()


def test_selectors_find_the_pods(installation):
    """Workload, Services, budget, policy and spread select the daemon's pods, and no other pod of the release."""
    labels = installation.template["metadata"]["labels"]
    found = [
        installation.workload["spec"]["selector"]["matchLabels"],
        *(one["spec"]["selector"] for one in installation.of("Service")),
        *(one["spec"]["selector"]["matchLabels"] for one in installation.of("PodDisruptionBudget")),
        *(one["spec"]["podSelector"]["matchLabels"] for one in installation.of("NetworkPolicy")),
        *(one["spec"]["selector"]["matchLabels"] for one in installation.of("PodMonitor")),
        *(one["labelSelector"]["matchLabels"] for one in installation.pod["topologySpreadConstraints"]),
    ]
    for selector in found:
        assert selector
        assert matches(selector, labels)
        for other in installation.of("Pod"):
            assert not matches(selector, other["metadata"]["labels"])


@pytest.fixture(scope="module")
def site():
    """Starts driftline's web application below a prefix, once per prefix."""
    servers = {}
    shown = view()

    def start(prefix: str) -> str:
        if prefix not in servers:
            app = create(lambda: shown, Recorded(), settings=WebSettings(route_prefix=prefix))
            servers[prefix] = Server(app, "127.0.0.1", 0)
        return f"http://127.0.0.1:{servers[prefix].port}"

    yield start
    for server in servers.values():
        server.stop()


def prefix_of(installation) -> str:
    (text,) = (one["data"]["pod.yaml"] for one in installation.of("ConfigMap") if "pod.yaml" in one["data"])
    found = re.search(r'route_prefix: "?([^"\n]+)', text)
    return found[1] if found else ""


def answer(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.status, reply.read().decode()


def test_probes_ask_what_driftline_answers(installation, site):
    """Each probe's path is served, and is the one that fits: a Kafka that is away restarts nothing."""
    base = site(prefix_of(installation))
    container = installation.container
    words = {"startupProbe": "Healthy", "livenessProbe": "Healthy", "readinessProbe": "Ready"}
    for name, word in words.items():
        get = container[name]["httpGet"]
        assert get["port"] == "http"
        assert answer(base + get["path"]) == (200, f"driftline is {word}.\n")
    for monitor in installation.of("PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] == "http"
        assert "driftline_build_info" in answer(base + endpoint["path"])[1]


def test_the_test_of_the_release_asks_what_driftline_answers(programs, site):
    """`helm test` runs a program that finds all it asks for, below a prefix too."""
    for name in ("minimal", "secret"):
        made = render(f"chart {name}")
        (container,) = made.one("Pod")["spec"]["containers"]
        (service,) = made.of("Service")
        address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        (program,) = container["args"]
        assert address in program
        exec(program.replace(address, site(prefix_of(made))), {})


def test_ports_are_the_same_everywhere(installation):
    """The configuration listens where the container says, and the Services lead there."""
    (text,) = (one["data"]["pod.yaml"] for one in installation.of("ConfigMap") if "pod.yaml" in one["data"])
    listen = re.search(r'listen: "([^"]+)"', text)[1]
    assert parse_listen(listen) == ("", installation.port)
    assert installation.env["DRIFTLINE_CONFIG"].endswith("/pod.yaml")
    for service in installation.of("Service"):
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] == "http"


def test_pods_stop_inside_their_grace_period(installation):
    """The daemon ends itself before; and it has time for its threads and the web server until then."""
    text = (ROOT / "monitor" / "daemon.py").read_text()
    join = float(re.search(r"^JOIN = ([\d.]+)$", text, re.MULTILINE)[1])
    assert installation.pod["terminationGracePeriodSeconds"] > GRACE > join + STOP_SECONDS + 5


def test_pods_are_restricted(installation):
    """What Pod Security calls restricted, and a root file system that nobody writes to."""
    for pod in (installation.pod, *(one["spec"] for one in installation.of("Pod"))):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "USER 10001:10001" in (ROOT / "Dockerfile").read_text()


def test_all_that_is_written_to_is_a_volume(installation):
    """State and /tmp are writable; kernels come from the image, or are compiled into a volume."""
    mounts = {one["mountPath"]: one for one in installation.container["volumeMounts"]}
    for path in ("/var/lib/driftline", "/tmp"):
        assert not mounts[path].get("readOnly")
    for path in ("/etc/driftline", "/run/secrets", "/ref"):
        assert path not in mounts or mounts[path]["readOnly"]
    claims = installation.workload["spec"].get("volumeClaimTemplates", ())
    names = {one["name"] for one in installation.pod["volumes"]} | {one["metadata"]["name"] for one in claims}
    assert {one["name"] for one in mounts.values()} == names
    image = re.search(r"NUMBA_CACHE_DIR=(\S+)", (ROOT / "Dockerfile").read_text())[1]
    assert image not in mounts
    if "NUMBA_CACHE_DIR" in installation.env:
        compiles(installation)


def compiles(installation) -> None:
    """The pod compiles kernels for its node, into a volume of its own."""
    assert "emptyDir" in installation.mounted(installation.env["NUMBA_CACHE_DIR"])
    assert installation.container["command"] == ["env", "-u", "NUMBA_CPU_NAME", "driftline"]
    assert "NUMBA_CPU_NAME=generic" in (ROOT / "Dockerfile").read_text()


def test_kernels_of_the_node_are_compiled_where_that_is_asked_for(programs, tmp_path):
    """The chart's value and the component of the overlays do the same."""
    compiles(render("chart full"))
    above = Path(os.path.relpath(CONFIGS / "kustomize", tmp_path))
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{above}/overlays/prod]\ncomponents: [{above}/components/native-kernels]\n"
    )
    done = run("kustomize", "build", tmp_path)
    assert done.returncode == 0, done.stderr
    compiles(Installation("native", done.stdout))


def test_one_pod_goes_at_a_time(installation):
    """Rollouts and drains take one pod, and the next only when its successor has been ready for a while."""
    spec = installation.workload["spec"]
    assert spec["minReadySeconds"] == 30
    if installation.workload["kind"] == "Deployment":
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    else:
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}
        services = {one["metadata"]["name"]: one["spec"] for one in installation.of("Service")}
        assert services[spec["serviceName"]]["clusterIP"] == "None"
    for budget in installation.of("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
    keys = [one["topologyKey"] for one in installation.pod["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_local_state_is_one_pod_with_a_volume(programs):
    """`state.log: local` is a StatefulSet of one, whose volume lies where the configuration has its state."""
    made = render("chart local")
    spec = made.workload["spec"]
    assert (made.workload["kind"], spec["replicas"]) == ("StatefulSet", 1)
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {one["name"]: one["mountPath"] for one in made.container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/driftline"


def test_the_account_has_no_rights(installation):
    """No token, no role: driftline does not ask Kubernetes for anything."""
    for account in installation.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
        assert account["metadata"]["name"] == installation.pod["serviceAccountName"]
    for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        assert not installation.of(kind)


def test_the_revision_is_shown(programs):
    """The chart's `revision` reaches the variable that `run` reads; without one the image's own stays."""
    assert render("chart full").env["DRIFTLINE_REVISION"] == "0123abc"
    assert "DRIFTLINE_REVISION" not in render("chart minimal").env
    assert '"DRIFTLINE_REVISION"' in (ROOT / "monitor" / "cli" / "run.py").read_text()
    assert "DRIFTLINE_REVISION=${REVISION}" in (ROOT / "Dockerfile").read_text()
