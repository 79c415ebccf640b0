"""Fake peers of the presets: each demands of a request what the schema of the API it stands for demands.

Written after the servers' own sources: pydantic models of Airflow 3 and Prefect 3, the protocol buffers of Kubeflow
and Argo, GitHub's description of its REST API of 2026-03-10. What is not permitted is answered as they answer it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from monitor.deliver.plan import TargetPlan
from monitor.deliver.receiver import Answer, Received
from monitor.secret import Secret
from tests.incident.cases import LOOPBACK

Body = dict[str, Any]


def said(status: int, body: Any = None) -> Answer:
    return Answer(status, b"" if body is None else json.dumps(body).encode())


@dataclass
class Pipeline(ABC):
    """A server that starts runs. `starts` has one entry for each run it has started."""

    token: str = "t0ken"
    starts: list[Body] = field(default_factory=list)
    state: str = "running"
    logins: int = 0

    def answer(self, got: Received) -> Answer:
        if not self.authorized(got):
            return said(401, {"detail": "no"})
        path = urlsplit(got.path).path
        for method, pattern, act in self.routes():
            match = re.fullmatch(pattern, path)
            if match and method == got.method:
                body = json.loads(got.body) if got.body else None
                return act(got, body, *match.groups())
        return said(404, {"detail": f"{got.method} {path}"})

    def authorized(self, got: Received) -> bool:
        return got.headers.get("authorization") == f"Bearer {self.token}"

    @abstractmethod
    def routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        """Method, pattern of the path, and what answers."""

    @abstractmethod
    def plan(self, url: str) -> TargetPlan:
        """How driftline asks it."""


def unknown(body: Body, *known: str) -> set[str]:
    return body.keys() - set(known)


class Airflow(Pipeline):
    """Airflow 3.3: StrictBaseModel forbids other keys, `logical_date` has no default, run ids have a pattern."""

    def authorized(self, got: Received) -> bool:
        return got.path == "/auth/token" or super().authorized(got)

    def routes(self):
        return [
            ("POST", "/auth/token", self.log_in),
            ("POST", "/api/v2/dags/retrain/dagRuns", self.start),
            ("GET", "/api/v2/dags/retrain/dagRuns/(.+)", self.look),
            ("GET", "/api/v2/dags/retrain", lambda *_: said(200, {"dag_id": "retrain"})),
        ]

    def log_in(self, _got, body):
        if unknown(body, "username", "password") or body != {"username": "ada", "password": "pass"}:
            return said(401, {"detail": "Invalid credentials"})
        self.logins += 1
        return said(201, {"access_token": self.token})

    def start(self, _got, body):
        known = ("dag_run_id", "logical_date", "conf", "note", "run_after", "data_interval_start",
                 "data_interval_end", "partition_key", "bundle_version")  # fmt: skip
        if unknown(body, *known) or "logical_date" not in body or not isinstance(body["conf"], dict):
            return said(422, {"detail": [{"loc": ["body"]}]})
        if not re.fullmatch(r"[A-Za-z0-9_.~:+-]+", body["dag_run_id"]) or len(body["note"]) > 1000:
            return said(422, {"detail": [{"loc": ["body", "dag_run_id"]}]})
        if any(one["dag_run_id"] == body["dag_run_id"] for one in self.starts):
            return said(409, {"detail": {"reason": "Unique constraint violation"}})
        self.starts.append(body)
        return said(200, {"dag_run_id": body["dag_run_id"], "dag_id": "retrain", "state": "queued"})

    def look(self, _got, _body, run):
        return said(200, {"dag_run_id": run, "state": self.state})

    def plan(self, url):
        options = {"dag": "retrain"}
        return target("airflow3", url, options, username="ada", password=Secret("pass"), token=Secret())


class Kubeflow(Pipeline):
    """Kubeflow Pipelines 2: jsonpb refuses fields that the message lacks; every request is a new run."""

    def routes(self):
        return [
            ("POST", "/pipeline/apis/v2beta1/runs", self.start),
            ("GET", "/pipeline/apis/v2beta1/runs/(.+)", lambda _g, _b, run: said(200, {"run_id": run, "state": self.state.upper()})),
            ("GET", "/pipeline/apis/v2beta1/pipelines/p-1", lambda *_: said(200, {"pipeline_id": "p-1"})),
        ]  # fmt: skip

    def start(self, _got, body):
        known = ("display_name", "description", "experiment_id", "pipeline_version_reference", "runtime_config",
                 "service_account", "pipeline_spec")  # fmt: skip
        if unknown(body, *known) or unknown(body["runtime_config"], "parameters", "pipeline_root"):
            return said(400, {"error": "unknown field", "code": 3})
        if unknown(body["pipeline_version_reference"], "pipeline_id", "pipeline_version_id"):
            return said(400, {"error": "unknown field", "code": 3})
        self.starts.append(body)
        return said(200, {"run_id": f"run-{len(self.starts)}", "state": "PENDING", **body})

    def plan(self, url):
        options = {"pipeline": "p-1", "experiment": "e-1", "service_account": "trainer"}
        return target("kfp2", f"{url}/pipeline", options)


class ArgoSubmit(Pipeline):
    """Argo Workflows 4: a workflow of the same name is AlreadyExists, 409."""

    def routes(self):
        return [
            ("POST", "/api/v1/workflows/ml/submit", self.start),
            ("GET", "/api/v1/workflows/ml/(.+)", lambda _g, _b, run: said(200, {"metadata": {"name": run}, "status": {"phase": self.state.capitalize()}})),
        ]  # fmt: skip

    def start(self, _got, body):
        options = body["submitOptions"]
        known = ("name", "generateName", "parameters", "labels", "annotations", "serviceAccount", "serverDryRun",
                 "dryRun", "entryPoint", "priority")  # fmt: skip
        if unknown(body, "namespace", "resourceKind", "resourceName", "submitOptions") or unknown(
            options, *known
        ):
            return said(400, {"code": 3, "message": "unknown field"})
        if (body["namespace"], body["resourceKind"], body["resourceName"]) != (
            "ml",
            "WorkflowTemplate",
            "retrain",
        ):
            return said(404, {"code": 5, "message": "not found"})
        if not all(isinstance(one, str) and "=" in one for one in options["parameters"]):
            return said(400, {"code": 3, "message": "expected parameter of the form: NAME=VALUE"})
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", options["name"]):
            return said(400, {"code": 3, "message": "a lowercase RFC 1123 subdomain"})
        if options.get("serverDryRun"):
            return said(200, {"metadata": {"name": options["name"]}})
        if any(one["submitOptions"]["name"] == options["name"] for one in self.starts):
            return said(409, {"code": 6, "message": "workflows.argoproj.io already exists"})
        self.starts.append(body)
        return said(200, {"metadata": {"name": options["name"], "namespace": "ml"}})

    def plan(self, url):
        return target(
            "argo-submit", url, {"namespace": "ml", "template": "retrain", "service_account": "trainer"}
        )


class ArgoWorkflowEvents(Pipeline):
    """Argo Workflows 4: any JSON; the answer is empty."""

    def routes(self):
        return [
            ("POST", "/api/v1/events/ml/driftline", self.start),
            ("GET", "/api/v1/info", lambda *_: said(200, {})),
        ]

    def start(self, _got, body):
        self.starts.append(body)
        return said(200, {})

    def plan(self, url):
        return target("argo-workflow-events", url, {"namespace": "ml", "discriminator": "driftline"})


class ArgoEvents(Pipeline):
    """Argo Events: the body is kept as JSON, a CloudEvent's attributes are read by its content type."""

    def routes(self):
        return [
            ("POST", "/driftline", self.start),
            ("HEAD", "/driftline", lambda *_: said(400, None)),
        ]

    def start(self, got, body):
        if not got.headers["content-type"].startswith("application/cloudevents+json") or not body["id"]:
            return said(400, None)
        self.starts.append(body)
        return Answer(200, b"success")

    def plan(self, url):
        return target("argo-events", f"{url}/driftline", {})


class GitHub(Pipeline):
    """What both ways into GitHub Actions share."""

    def authorized(self, got):
        wanted = {"accept": "application/vnd.github+json", "x-github-api-version": "2026-03-10"}
        return super().authorized(got) and all(got.headers.get(name) == text for name, text in wanted.items())


class Dispatch(GitHub):
    def routes(self):
        return [
            ("POST", "/repos/acme/models/dispatches", self.start),
            ("GET", "/repos/acme/models", lambda *_: said(200, {"id": 1})),
        ]

    def start(self, _got, body):
        if unknown(body, "event_type", "client_payload") or not 1 <= len(body["event_type"]) <= 100:
            return said(422, {"message": "Invalid request."})
        if len(body["client_payload"]) > 10 or len(json.dumps(body["client_payload"])) >= 65_536:
            return said(422, {"message": "No more than 10 properties are allowed."})
        self.starts.append(body)
        return Answer(204)

    def plan(self, url):
        return target("github-dispatch", url, {"repository": "acme/models", "event_type": "retrain"})


class Workflow(GitHub):
    def routes(self):
        return [
            ("POST", "/repos/acme/models/actions/workflows/retrain.yml/dispatches", self.start),
            ("GET", "/repos/acme/models/actions/workflows/retrain.yml", lambda *_: said(200, {"id": 1})),
            ("GET", "/repos/acme/models/actions/runs/(.+)", self.look),
        ]

    def start(self, _got, body):
        if unknown(body, "ref", "inputs", "return_run_details") or unknown(
            body["inputs"], "driftline", "epochs"
        ):
            return said(422, {"message": "Unexpected inputs provided"})
        if not all(isinstance(text, str) for text in body["inputs"].values()):
            return said(422, {"message": "inputs are strings"})
        self.starts.append(body)
        number = len(self.starts)
        page = f"https://github.com/acme/models/actions/runs/{number}"
        return said(
            200, {"workflow_run_id": number, "run_url": f"https://api.github.com/{number}", "html_url": page}
        )

    def look(self, _got, _body, run):
        if self.state == "success":
            return said(200, {"id": int(run), "status": "completed", "conclusion": "success"})
        return said(200, {"id": int(run), "status": "in_progress", "conclusion": None})

    def plan(self, url):
        options = {"repository": "acme/models", "workflow": "retrain.yml", "ref": "trunk"}
        return target("github-workflow", url, options, parameters={"epochs": "20"})


class Prefect(Pipeline):
    """Prefect 3: an idempotency key is answered by the run that it has started, with 200."""

    deployment = "2f9a4c1e-0000-4000-8000-000000000001"

    def routes(self):
        return [
            ("GET", "/api/deployments/name/retrain/churn", lambda *_: said(200, {"id": self.deployment})),
            ("POST", "/api/deployments/(.+)/create_flow_run", self.start),
            ("GET", "/api/flow_runs/(.+)", lambda _g, _b, run: said(200, {"id": run, "state_type": self.state.upper()})),
        ]  # fmt: skip

    def start(self, _got, body, deployment):
        known = ("name", "parameters", "tags", "idempotency_key", "state", "context", "work_queue_name",
                 "job_variables", "labels", "enforce_parameter_schema", "parent_task_run_id",
                 "infrastructure_document_id", "empirical_policy")  # fmt: skip
        if deployment != self.deployment:
            return said(404, {"detail": "Deployment not found"})
        if unknown(body, *known):
            return said(422, {"exception_message": "Invalid request received."})
        keys = [one["idempotency_key"] for one in self.starts]
        if body["idempotency_key"] in keys:
            return said(
                200, {"id": f"run-{keys.index(body['idempotency_key']) + 1}", "state_type": "RUNNING"}
            )
        self.starts.append(body)
        return said(201, {"id": f"run-{len(self.starts)}", "state_type": "SCHEDULED"})

    def plan(self, url):
        return target("prefect3", f"{url}/api", {"deployment": "retrain/churn"}, parameters={"epochs": "20"})


PIPELINES = {
    "airflow3": Airflow,
    "kfp2": Kubeflow,
    "argo-events": ArgoEvents,
    "argo-submit": ArgoSubmit,
    "argo-workflow-events": ArgoWorkflowEvents,
    "github-dispatch": Dispatch,
    "github-workflow": Workflow,
    "prefect3": Prefect,
}
OVER = {"github-workflow": "success", "airflow3": "success", "prefect3": "completed"}
"""The word for a run that ended well, where it is not `succeeded`."""


def target(preset: str, url: str, options: dict[str, str], **changes: Any) -> TargetPlan:
    plan = TargetPlan("pipeline", preset, url, token=Secret("t0ken"), options=options, http=LOOPBACK)
    return replace(plan, **changes)


def serve(receiver, pipeline: Pipeline) -> None:
    """Let the receiver answer as the pipeline does."""
    receiver.answer_always(
        Answer(act=lambda connection: write(connection, pipeline.answer(connection.received)))
    )


def write(connection, answer: Answer) -> None:
    connection.send_response(answer.status)
    connection.send_header("Content-Length", str(len(answer.body)))
    connection.end_headers()
    connection.wfile.write(answer.body)
