"""A model registry as MLflow is one, as far as driftline asks; `tests/pipelines` holds it against a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from monitor.deliver.receiver import Answer, Received, Receiver
from monitor.registry.mlflow import API
from monitor.registry.plan import RegistryPlan
from monitor.secret import Secret
from tests.deliver.pipelines import write
from tests.incident.cases import LOOPBACK

STORE = "/api/2.0/mlflow-artifacts/artifacts/"


@dataclass
class FakeMlflow:
    """Versions of one registered model. `down`: status that everything is answered with."""

    receiver: Receiver
    name: str = "scores"
    token: str = "t0ken"
    aliases: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    """Version → stage."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    """By path below the artifacts of the server."""
    down: int = 0
    store: str = "mlflow-artifacts:/1/models"
    fetched: int = 0

    def __post_init__(self) -> None:
        self.receiver.answer_always(
            Answer(act=lambda connection: write(connection, self._answer(connection.received)))
        )

    def add(self, number: str, content: bytes | None = None, **tags: str) -> None:
        self.tags[number] = tags
        if content is not None:
            self.artifacts[f"1/models/{number}/driftline/reference.ref"] = content

    def plan(self, **more: Any) -> RegistryPlan:
        given: dict[str, Any] = {
            "model": self.name, "url": self.receiver.url, "name": self.name, "alias": "champion", "stage": "",
            "every": 1_000, "path": "driftline/reference.ref", "version_tag": "", "write_tags": False,
            "token": Secret(self.token), "http": LOOPBACK,
        }  # fmt: skip
        return RegistryPlan(**(given | more))

    def _answer(self, got: Received) -> Answer:
        if self.down:
            return Answer(self.down, b"<html>no</html>")
        if got.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401, b"no")
        parts = urlsplit(got.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if got.method == "POST":
            asked |= json.loads(got.body)
        if got.method == "PUT" and parts.path.startswith(STORE):
            self.artifacts[unquote(parts.path.removeprefix(STORE))] = got.body
            return said({})
        if parts.path == "/model-versions/get-artifact":
            return self._artifact(asked)
        act = getattr(
            self, "_" + parts.path.removeprefix(f"{API}/").replace("/", "_").replace("-", "_"), None
        )
        return act(asked) if act else said({"error_code": "ENDPOINT_NOT_FOUND"}, 404)

    def _artifact(self, asked: dict[str, str]) -> Answer:
        self.fetched += 1
        found = self.artifacts.get(f"1/models/{asked['version']}/{asked['path']}")
        return refused("RESOURCE_DOES_NOT_EXIST", 404) if found is None else Answer(200, found)

    def _registered_models_alias(self, asked: dict[str, str]) -> Answer:
        if asked["name"] != self.name:
            return refused("RESOURCE_DOES_NOT_EXIST", 404)
        number = self.aliases.get(asked["alias"])
        return (
            refused("INVALID_PARAMETER_VALUE")
            if number is None
            else said({"model_version": self._of(number)})
        )

    def _registered_models_get_latest_versions(self, asked: dict[str, Any]) -> Answer:
        found = [self._of(number) for number, stage in self.stages.items() if stage in asked["stages"]]
        return said({"model_versions": found} if found else {})

    def _model_versions_get(self, asked: dict[str, str]) -> Answer:
        number = asked["version"]
        return (
            said({"model_version": self._of(number)})
            if number in self.tags
            else refused("RESOURCE_DOES_NOT_EXIST", 404)
        )

    def _model_versions_get_download_uri(self, asked: dict[str, str]) -> Answer:
        return said({"artifact_uri": f"{self.store}/{asked['version']}"})

    def _model_versions_set_tag(self, asked: dict[str, str]) -> Answer:
        self.tags[asked["version"]][asked["key"]] = asked["value"]
        return said({})

    def _of(self, number: str) -> dict[str, Any]:
        tags = [{"key": key, "value": value} for key, value in self.tags.get(number, {}).items()]
        return {
            "name": self.name,
            "version": number,
            "tags": tags,
            "current_stage": self.stages.get(number, "None"),
        }

    def received(self) -> list[Received]:
        return list(self.receiver.requests)


def said(body: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def refused(code: str, status: int = 400) -> Answer:
    return said({"error_code": code, "message": "no"}, status)
