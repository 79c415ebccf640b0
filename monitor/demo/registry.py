"""A model registry in memory that speaks as much of MLflow's REST API as driftline asks of one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from monitor.registry.mlflow import API

RELEASE = "release"
"""Tag of a version: what records call it."""


class Registry:
    """One registered model. Serves from its own threads inside a `with`; versions are numbered from 1 on."""

    def __init__(self) -> None:
        self._versions: list[tuple[str, bytes]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._connection_class())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="registry",
            daemon=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def promote(self, release: str, reference: bytes) -> None:
        """Register a version with its reference, and give it the alias."""
        self._versions.append((release, reference))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, path: str) -> tuple[int, bytes]:
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

    def _connection_class(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = registry._answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing: the demo tells what happens."""

        return Connection
