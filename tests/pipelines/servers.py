"""Real servers that start runs, each with one pipeline called retrain. Nothing runs them: a run waits for a worker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.deliver.plan import TargetPlan
from monitor.errors import RequestError
from monitor.http import request
from monitor.secret import Secret
from tests.deliver.pipelines import target
from tests.incident.cases import LOOPBACK
from tests.kafka.broker import free_ports
from tests.pipelines.environment import ensure

WITHIN = 300.0
"""Seconds to start: thirty on a quiet machine."""
UNSET = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Server:
    """A running one. `token` authorizes what tests do beside driftline."""

    name: str
    url: str
    token: str = ""

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        sent = None if body is None else json.dumps(body).encode()
        answer = request(method, f"{self.url}{path}", plan=LOOPBACK, headers=headers, body=sent)
        assert answer.failure is None, answer
        return json.loads(answer.body or b"null")


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(environ), cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def await_answer(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(RequestError):
            if request("GET", url, plan=LOOPBACK).status == 200:
                return
        time.sleep(0.5)
    raise AssertionError((folder / "log").read_text(errors="replace")[-2000:])


def plain_environment(**more: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name not in UNSET}
    return {**kept, "DO_NOT_TRACK": "1", **more}


PARAMETERS = {
    "type": "object",
    "required": ["driftline"],
    "properties": {"driftline": {"type": "object"}, "epochs": {"type": "integer"}},
}
"""Those of the flow; the server refuses a run that does not fit."""


class Prefect:
    """Prefect 3 with a database of its own. `finish` is what a worker would do at the end."""

    name = "prefect3"

    @contextlib.contextmanager
    def start(self, folder: Path) -> Iterator[Server]:
        (port,) = free_ports(1)
        environ = plain_environment(
            PREFECT_HOME=str(folder), PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_SERVER_UI_ENABLED="false",
            PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{folder}/prefect.db",
            PREFECT_SERVER_DATABASE_TIMEOUT="120", PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT="120",
        )  # fmt: skip
        command = [
            str(ensure("prefect")),
            "-m",
            "prefect",
            "server",
            "start",
            "--no-services",  # they write beside requests, which are then answered 503: the database is locked
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with running(command, folder, environ) as process:
            server = Server(self.name, f"http://127.0.0.1:{port}")
            await_answer(f"{server.url}/api/health", process, folder)
            flow = server.ask("POST", "/api/flows/", {"name": "retrain"})
            deployment = {"name": "churn", "flow_id": flow["id"], "enforce_parameter_schema": True,
                          "parameter_openapi_schema": PARAMETERS}  # fmt: skip
            server.ask("POST", "/api/deployments/", deployment)
            yield server

    def plan(self, url: str, pipeline: str = "churn") -> TargetPlan:
        options = {"deployment": f"retrain/{pipeline}"}
        return target("prefect3", f"{url}/api", options, parameters={"epochs": "20"})

    def finish(self, server: Server, run: str) -> None:
        server.ask("POST", f"/api/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})


DAG = """
from airflow.sdk import dag, task

@dag(dag_id="churn", schedule=None)
def churn():
    @task
    def train(params=None): ...
    train()

churn()
"""


class Airflow:
    """Airflow 3: its API server and a DAG in its database. `finish` is what its page does to mark a run."""

    name = "airflow3"

    @contextlib.contextmanager
    def start(self, folder: Path) -> Iterator[Server]:
        (port,) = free_ports(1)
        (folder / "dags").mkdir()
        (folder / "dags" / "churn.py").write_text(DAG)
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps({"ada": "pass"}))
        environ = plain_environment(
            AIRFLOW_HOME=str(folder), AIRFLOW__CORE__LOAD_EXAMPLES="false", AIRFLOW__CORE__DAGS_FOLDER=f"{folder}/dags",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{folder}/airflow.db",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="ada:admin",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(passwords),
            AIRFLOW__API_AUTH__JWT_SECRET="a-secret-of-at-least-sixty-four-bytes-for-tokens-that-live-as-long-as-a-test",
        )  # fmt: skip
        command = [str(ensure("airflow")), "-m", "airflow"]
        for step in (["db", "migrate"], ["dags", "reserialize"]):
            with (folder / "log").open("ab") as log:
                subprocess.run(
                    [*command, *step],
                    check=True,
                    env=environ,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    timeout=WITHIN,
                )
        serve = [*command, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with running(serve, folder, environ) as process:
            server = Server(self.name, f"http://127.0.0.1:{port}")
            await_answer(f"{server.url}/api/v2/version", process, folder)
            found = server.ask("POST", "/auth/token", {"username": "ada", "password": "pass"})
            yield Server(self.name, server.url, found["access_token"])

    def plan(self, url: str, pipeline: str = "churn") -> TargetPlan:
        login = {"username": "ada", "password": Secret("pass"), "token": Secret()}
        return target("airflow3", url, {"dag": pipeline}, parameters={"epochs": "20"}, **login)

    def finish(self, server: Server, run: str) -> None:
        server.ask("PATCH", f"/api/v2/dags/churn/dagRuns/{run}", {"state": "success"})
