"""What Helm and Kustomize make of the chart, the overlays and their values."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools.build import folder

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
CHART = CONFIGS / "helm" / "driftline"
ENVIRONMENTS = ("dev", "staging", "prod")
EXAMPLES = tuple(sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir()))
INSTALLATIONS = (
    *(f"chart {name}" for name in (*EXAMPLES, *ENVIRONMENTS)),
    *(f"overlay {name}" for name in ENVIRONMENTS),
)
Manifest = dict[str, Any]


def run(program: str, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(folder() / program), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)


@dataclass(frozen=True)
class Installation:
    """Everything that one installation applies to a cluster."""

    name: str
    text: str

    @functools.cached_property
    def manifests(self) -> list[Manifest]:
        return [one for one in yaml.safe_load_all(self.text) if one]

    def of(self, kind: str) -> list[Manifest]:
        return [one for one in self.manifests if one["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (found,) = self.of(kind)
        return found

    @property
    def workload(self) -> Manifest:
        (found,) = (one for one in self.manifests if one["kind"] in {"Deployment", "StatefulSet"})
        return found

    @property
    def template(self) -> Manifest:
        return self.workload["spec"]["template"]

    @property
    def pod(self) -> dict[str, Any]:
        return self.template["spec"]

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.pod["containers"]
        return found

    @property
    def env(self) -> dict[str, str]:
        """Environment of the container, as a pod of it would have it."""
        return {one["name"]: one.get("value", "driftline-0") for one in self.container["env"]}

    @property
    def port(self) -> int:
        (found,) = (one["containerPort"] for one in self.container["ports"] if one["name"] == "http")
        return found

    def volume(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.pod["volumes"] if one["name"] == name), None)

    def mounted(self, folder: str) -> dict[str, Any] | None:
        """The volume that is mounted at a path."""
        name = next((m["name"] for m in self.container["volumeMounts"] if m["mountPath"] == folder), None)
        return self.volume(name) if name else None

    def config(self, to: Path) -> list[str] | None:
        """The configuration's files below `to`, in the order in which the container reads them.

        None where a Secret holds a part of it, which is not ours to see.
        """
        volume = self.mounted("/etc/driftline")
        assert volume is not None
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        if any("secret" in one for one in sources):
            return None
        names = {one["configMap"]["name"] for one in sources}
        files = {}
        for one in self.of("ConfigMap"):
            if one["metadata"]["name"] in names:
                files |= one["data"]
        for name, text in files.items():
            (to / name).write_text(text)
        return [str(to / Path(path).name) for path in self.env["DRIFTLINE_CONFIG"].split()]


def chart_arguments(name: str) -> list[str | Path]:
    """Helm's arguments for an example or an environment."""
    if name not in ENVIRONMENTS:
        return ["--values", CHART / "ci" / f"{name}-values.yaml"]
    files = {"base": "base", "environment": name}
    texts = [f"configFiles.{key}={CONFIGS / 'environments' / file}.yaml" for key, file in files.items()]
    values = CONFIGS / "helm" / "environments" / f"{name}.yaml"
    return ["--values", values, *(part for text in texts for part in ("--set-file", text))]


def template(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run("helm", "template", "driftline", CHART, "--namespace", "somewhere", *arguments)


@functools.cache
def render(name: str) -> Installation:
    """One of INSTALLATIONS."""
    kind, _, which = name.partition(" ")
    if kind == "chart":
        done = template(*chart_arguments(which))
    else:
        done = run("kustomize", "build", CONFIGS / "kustomize" / "overlays" / which)
    assert done.returncode == 0, done.stderr
    return Installation(name, done.stdout)
