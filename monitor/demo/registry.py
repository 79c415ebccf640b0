"""A model registry in memory that speaks as much of MLflow's REST API as driftline asks of one."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from monitor.deliver.receiver import Answer, Receiver
from monitor.registry.mlflow import API

RELEASE = "release"
"""Tag of a version: what records call it."""


class Registry(Receiver):
    """One registered model. Versions are numbered from 1 on; the newest has every alias."""

    def __init__(self) -> None:
        super().__init__(default=Answer(act=self._reply))
        self._versions: list[tuple[str, bytes]] = []

    def promote(self, release: str, reference: bytes) -> None:
        """Register a version with its reference, and give it the alias."""
        self._versions.append((release, reference))

    def _reply(self, connection: BaseHTTPRequestHandler) -> None:
        status, body = self._said(connection.path)
        connection.send_response(status)
        connection.send_header("Content-Length", str(len(body)))
        connection.end_headers()
        connection.wfile.write(body)

    def _said(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        number = int(asked.get("version", len(self._versions)))
        if not 1 <= number <= len(self._versions):
            return 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'
        release, reference = self._versions[number - 1]
        if parts.path == "/model-versions/get-artifact":
            return 200, reference
        if parts.path != f"{API}/registered-models/alias":
            return 404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'
        version: dict[str, Any] = {"name": asked.get("name", ""), "version": str(number)}
        version["tags"] = [{"key": RELEASE, "value": release}]
        return 200, json.dumps({"model_version": version}).encode()
