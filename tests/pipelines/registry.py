"""A real MLflow server: tracking and registry in a SQLite file, artifacts in a folder that it serves."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kafka.broker import free_ports
from tests.pipelines.environment import ensure
from tests.pipelines.servers import Server, await_answer, plain_environment, running

API = "/api/2.0/mlflow"
WEBHOOKS = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(range(32))).decode(),
}
"""What lets a server send webhooks to the loopback, also those that it did not know a second ago."""


@dataclass(frozen=True)
class MlflowServer(Server):
    """What people and pipelines do beside driftline."""

    def create(self, model: str) -> None:
        self.ask("POST", f"{API}/registered-models/create", {"name": model})

    def register(self, model: str) -> str:
        """A run whose model becomes the next version; its number."""
        run = self.ask("POST", f"{API}/runs/create", {"experiment_id": "0"})["run"]["info"]
        body = {"name": model, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
        return str(self.ask("POST", f"{API}/model-versions/create", body)["model_version"]["version"])

    def alias(self, model: str, version: str, alias: str = "champion") -> None:
        self.ask(
            "POST", f"{API}/registered-models/alias", {"name": model, "alias": alias, "version": version}
        )

    def stage(self, model: str, version: str, stage: str) -> None:
        body = {"name": model, "version": version, "stage": stage, "archive_existing_versions": True}
        self.ask("POST", f"{API}/model-versions/transition-stage", body)

    def hook(self, url: str, secret: str) -> str:
        """Have it tell of aliases that are set; the webhook's id."""
        event = {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}
        body = {"name": "driftline", "url": url, "events": [event], "secret": secret}
        return str(self.ask("POST", f"{API}/webhooks", body)["webhook"]["webhook_id"])

    def try_hook(self, webhook: str) -> dict[str, Any]:
        """Have it send an example; what came of it."""
        return dict(self.ask("POST", f"{API}/webhooks/{webhook}/test", {})["result"])

    def tags(self, model: str, version: str) -> dict[str, str]:
        found: Any = self.ask("GET", f"{API}/model-versions/get?name={model}&version={version}")
        return {one["key"]: one["value"] for one in found["model_version"].get("tags", ())}


@contextlib.contextmanager
def mlflow(folder: Path) -> Iterator[MlflowServer]:
    """Raises NotInstalled."""
    (port,) = free_ports(1)
    command = [
        str(ensure("mlflow")), "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # its seven workers take long to start and to end
    with running(command, folder, plain_environment(**WEBHOOKS, **quiet)) as process:
        server = MlflowServer("mlflow", f"http://127.0.0.1:{port}")
        await_answer(f"{server.url}/health", process, folder)
        yield server
