"""A real MLflow server, and what it once said, spoken again.

`DRIFTLINE_RECORD=1 pytest -m slow tests/pipelines/test_mlflow.py` writes tests/contract/recorded/mlflow.json anew.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from monitor.deliver.receiver import Receiver
from monitor.errors import RegistryError
from monitor.registry.mlflow import DIGEST, STATUS, Mlflow, Version
from monitor.registry.plan import RegistryPlan
from tests.incident.cases import LOOPBACK
from tests.pipelines.exchange import Player, Recorder, recorded
from tests.pipelines.registry import MlflowServer

CONTENT = b'"a reference"'
"""JSON, so that it can be recorded as it is."""


def plan(url: str, **more: str) -> RegistryPlan:
    given = {"name": "churn", "alias": "champion", "stage": ""} | more
    return RegistryPlan(
        "churn",
        url,
        every=60_000,
        path="driftline/reference.ref",
        version_tag="",
        write_tags=True,
        http=LOOPBACK,
        **given,
    )


def refused(client: Mlflow, reason: str, *, version: str = "") -> None:
    with pytest.raises(RegistryError) as caught:
        client.reference(version) if version else client.production()
    assert caught.value.reason == reason


def all_that_is_asked(url: str, server: MlflowServer | None) -> None:
    """Every request of ours, to what is there and to what is not."""
    client = Mlflow(plan(url))
    refused(Mlflow(plan(url, name="nobody")), "no_version")
    refused(client, "no_version")
    if server is not None:
        server.alias("churn", "1")
    assert client.production() == client.version("1") == Version("1")
    refused(client, "no_reference", version="1")
    assert client.push("1", CONTENT, "d1gest").endswith("/driftline/reference.ref")
    assert client.reference("1") == CONTENT
    client.tag("1", STATUS, "ok")
    assert client.production() == Version("1", {DIGEST: "d1gest", STATUS: "ok"})
    with pytest.raises(RegistryError):
        client.version("9")
    staged = Mlflow(replace(client.plan, alias="", stage="Production"))
    refused(staged, "no_version")
    refused(Mlflow(replace(staged.plan, name="nobody")), "no_version")
    if server is not None:
        server.stage("churn", "1", "Production")
    assert staged.production().number == "1"


def test_it_is_asked_as_the_real_one_was():
    """Every request is the one that the server took, and every answer is understood as then."""
    with Receiver() as receiver:
        player = Player(recorded("mlflow"), receiver)
        try:
            all_that_is_asked(receiver.url, None)
        finally:
            assert player.wrong == []
        assert len(receiver.requests) == len(player.said)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the environment is made the first time
def test_a_real_server_says_the_same(mlflow_server):
    """It answers as it did when its answers were recorded."""
    mlflow_server.create("churn")
    mlflow_server.register("churn")
    with Receiver() as receiver:
        recorder = Recorder(mlflow_server.url, receiver)
        all_that_is_asked(receiver.url, mlflow_server)
    if os.environ.get("DRIFTLINE_RECORD"):
        recorder.store("mlflow")
    said = [(one["method"], one["status"], type(one["answer"])) for one in recorder.said]
    assert said == [(one["method"], one["status"], type(one["answer"])) for one in recorded("mlflow")]
