"""Writes the JSON Schemas that the manifests are validated by, from the projects' own files: `python -m tests.deploy.schemas.refresh`.

Kubernetes: its OpenAPI document. prometheus-operator and KEDA: their CustomResourceDefinitions. All come as Go
modules of fixed versions. Only the kinds that are used, without descriptions; unlike the API server's own, unknown
fields are refused. kubeconform finds a kind by the name of its file.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KUBERNETES = "k8s.io/kubernetes@v1.34.4"
"""The oldest minor version that is looked after: later ones take what it takes."""
CUSTOM = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
    ),
}
KINDS = (
    "api.core.v1.ConfigMap",
    "api.core.v1.Namespace",
    "api.core.v1.Pod",
    "api.core.v1.Service",
    "api.core.v1.ServiceAccount",
    "api.apps.v1.Deployment",
    "api.apps.v1.StatefulSet",
    "api.networking.v1.NetworkPolicy",
    "api.policy.v1.PodDisruptionBudget",
)
META = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
FREE = {
    "apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
"""What OpenAPI 2 cannot say."""
KEPT = frozenset(
    {"type", "enum", "required", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems"}
)


def module(name: str) -> Path:
    """Folder of a Go module's files."""
    command = ["go", "mod", "download", "-json", name]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd="/")
    return Path(json.loads(done.stdout)["Dir"])


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """What validates of an OpenAPI schema, closed where it names its fields."""
    if "$ref" in schema:
        return {"$ref": f"definitions.json#/definitions/{short(schema['$ref'])}"}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    made = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in schema:
        made["properties"] = {name: plain(one) for name, one in schema["properties"].items()}
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = plain(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = plain(schema["items"])
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            made[key] = [plain(one) for one in schema[key]]
    return made


def short(reference: str) -> str:
    return reference.removeprefix("#/definitions/").removeprefix("io.k8s.")


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for one in schema.values():
            yield from references(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from references(one)


def root(schema: dict[str, Any], kind: str, version: str) -> dict[str, Any]:
    """A whole manifest: which one it is stands in it."""
    properties = {name: one for name, one in schema["properties"].items() if name != "status"}
    properties |= {"apiVersion": {"const": version}, "kind": {"const": kind}}
    properties["metadata"] = {"$ref": f"definitions.json#/definitions/{META}"}
    required = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    return schema | {"properties": properties, "required": required}


def kubernetes() -> dict[str, Any]:
    """File name → schema of Kubernetes' own kinds, and of all that they refer to."""
    document = json.loads((module(KUBERNETES) / "api" / "openapi-spec" / "swagger.json").read_text())
    known = {short(name): schema for name, schema in document["definitions"].items()}
    found, definitions, wanted = {}, {}, [META]
    for name in KINDS:
        (what,) = known[name]["x-kubernetes-group-version-kind"]
        version = "/".join(filter(None, (what["group"], what["version"])))
        schema = root(plain(known[name]), what["kind"], version)
        found[file_name(what["kind"], version)] = schema
        wanted += references(schema)
    while wanted:
        name = wanted.pop()
        if name not in definitions:
            definitions[name] = FREE.get(name) or plain(known[name])
            wanted += references(definitions[name])
    return found | {"definitions.json": {"definitions": definitions}}


def custom() -> dict[str, Any]:
    """File name → schema of the operators' kinds."""
    found = {}
    for name, paths in CUSTOM.items():
        folder = module(name)
        for path in paths:
            spec = yaml.safe_load((folder / path).read_text())["spec"]
            for version in spec["versions"]:
                kind, full = spec["names"]["kind"], f"{spec['group']}/{version['name']}"
                found[file_name(kind, full)] = root(plain(version["schema"]["openAPIV3Schema"]), kind, full)
    return found


def file_name(kind: str, version: str) -> str:
    """As kubeconform makes it of {{.ResourceKind}}{{.KindSuffix}}."""
    group, _, number = version.partition("/")
    return "-".join(filter(None, (kind, group.split(".")[0], number))).lower() + ".json"


def main() -> None:
    for path in HERE.glob("*.json"):
        path.unlink()
    for name, schema in (kubernetes() | custom()).items():
        (HERE / name).write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
