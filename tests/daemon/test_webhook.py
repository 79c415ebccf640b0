"""Webhooks of a registry that is otherwise asked once a day."""

from __future__ import annotations

import base64
import json
import os
import time

import pytest

from monitor.deliver.receiver import Receiver
from monitor.reference.file import digest_of
from monitor.registry.mlflow import Mlflow
from monitor.registry.plan import RegistryPlan
from monitor.registry.webhook import DELIVERY, SIGNATURE, TIMESTAMP, models_of
from monitor.secret import Secret
from tests.daemon.ask import until
from tests.daemon.build import MODEL, scene
from tests.daemon.test_registry import registry, reigns, settings
from tests.faults.shared_state import running, shared, topics
from tests.incident.cases import LOOPBACK
from tests.pipelines.exchange import RECORDED
from tests.pipelines.registry import MlflowServer
from tests.registry.signed import SECRET, body_of, signed
from tests.registry.versions import content_of
from tests.web.conftest import Site

PATH = "/api/v1/webhooks/mlflow"
SELDOM = {"every": "1d", "webhook_secret": SECRET}


def post(daemon, name: str = MODEL) -> list[str]:
    """A webhook to one replica; the models that it prompted there."""
    body = body_of(name)
    site = Site(None, None, None, server=daemon.server)
    return list(site.ask(PATH, "POST", body, **signed(body, time.time_ns() // 1_000_000)).data["prompted"])


@pytest.mark.slow
def test_a_webhook_to_any_replica_has_the_one_that_judges_ask_the_registry(
    tmp_path, broker, receiver, monkeypatch
):
    """It goes to the other one, which has nothing to ask for itself and tells it: the version is swapped within seconds."""
    monkeypatch.setattr(
        "monitor.state.kafka.admin.ensure_topics", lambda *_, **__: None
    )  # it cannot be asked
    with registry() as fake:
        models = settings(fake.receiver.url, token=fake.token, **SELDOM)
        made = shared(tmp_path, broker, receiver=receiver, make=scene, models=models)
        for name, partitions in zip(topics(made), (3, 2, 1, 2), strict=True):
            broker.create_topic(name, partitions=partitions)
        with running(made) as one, running(made) as two:
            parts = lambda: [len(d.state._owned()) for d in (one, two)]  # noqa: E731
            until(lambda: parts() == [1, 1], "each to have its part of the models")
            judge = until(
                lambda: next((d for d in (one, two) if len(reigns(d)) == 1), None), "the first version"
            )
            other = two if judge is one else one
            fake.aliases["champion"] = "8"
            assert post(other) == [MODEL]
            until(lambda: [one.version for one in reigns(judge)] == ["7", "8"], "the swap")
            assert reigns(other) == ()


def plan(server: MlflowServer) -> RegistryPlan:
    return RegistryPlan(
        MODEL, server.url, MODEL, "champion", "", 1_000, "driftline/reference.ref", "", write_tags=False,
        webhook=Secret(SECRET), http=LOOPBACK,
    )  # fmt: skip


def record(got, name: str) -> None:
    """As the contract test reads it."""
    headers = {key: got.headers[key] for key in (DELIVERY, TIMESTAMP, SIGNATURE)}
    said = {"body": base64.b64encode(got.body).decode(), "headers": headers, "secret": SECRET}
    text = json.dumps(said, indent=1, sort_keys=True)
    (RECORDED / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the environment is made the first time
def test_a_webhook_of_a_real_server_has_its_new_alias_judged_at_once(make, mlflow_server):
    """Its own signature fits, and its example is taken too. `DRIFTLINE_RECORD=1` keeps one for the contract test."""
    mlflow_server.create(MODEL)
    for version in "78":
        content = content_of(version)
        Mlflow(plan(mlflow_server)).push(mlflow_server.register(MODEL), content, digest_of(content))
    mlflow_server.alias(MODEL, "1")
    made = make(models=settings(mlflow_server.url, **SELDOM))
    with made.daemon() as daemon, Receiver() as heard:
        until(lambda: len(reigns(daemon)) == 1, "the first version")
        hook = mlflow_server.hook(f"{daemon.server.url}{PATH}", SECRET)
        mlflow_server.hook(heard.url, SECRET)
        tried = mlflow_server.try_hook(hook)
        assert (tried["success"], json.loads(tried["response_body"])["data"]) == (True, {"prompted": []})
        mlflow_server.alias(MODEL, "2")
        until(lambda: [one.version for one in reigns(daemon)] == ["1", "2"], "the swap")
        (got,) = heard.wait_for(1)
    now = time.time_ns() // 1_000_000
    assert models_of([plan(mlflow_server)], got.headers, got.body, now_ms=now) == (MODEL,)
    if os.environ.get("DRIFTLINE_RECORD"):
        record(got, "mlflow-webhook")
