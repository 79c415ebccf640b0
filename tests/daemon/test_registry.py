"""A model registry moves its alias while records stream in: no window mixes versions, and nobody is paged by it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from monitor import metrics
from monitor.deliver.receiver import Receiver
from monitor.reference.file import digest_of
from monitor.verdict import State
from tests.daemon.ask import api, samples, until
from tests.daemon.build import MODEL, PARTITIONS, ROWS, verdicts
from tests.registry.fake import FakeMlflow
from tests.registry.versions import NOW, SLICES, Served, content_of


def settings(url: str, **more) -> dict:
    own = {
        "url": url,
        "every": "1s",
        "insecure_http": True,
        "allow_private": ["127.0.0.0/8"],
        "timeout": "5s",
        **more,
    }
    return {MODEL: {"registry": own, "early": 0.2}}


def stream(scene, served: Served, first: int, last: int) -> None:
    for number in range(first, last):
        scene.send(served.part(number))


@contextmanager
def registry():
    """A fake one with both versions, 7 in production."""
    with Receiver() as receiver:
        fake = FakeMlflow(receiver)
        for version in "78":
            fake.add(version, content_of(version))
        fake.aliases["champion"] = "7"
        yield fake


def reigns(daemon) -> tuple:
    view = daemon.evaluate.models.get(MODEL)
    return () if view is None else view.reigns


def check_unmixed(daemon, served: Served) -> dict[int, dict]:
    """Every verdict is of one version and of its reference, every row is in one or named beside it."""
    found = {served.window(end): body for end, body in verdicts(daemon).items()}
    for body in found.values():
        assert len(body["versions"]) <= 1, body
        for version in body["versions"]:
            assert body["reference"].endswith(digest_of(content_of(version))[:12])
        assert body["rows"] + sum(body.get("others", {}).values()) == PARTITIONS * ROWS
    return found


def check_replayed(scene, found: dict[int, dict]) -> None:
    """`driftline replay --reigns` says the same of the same log, to the last digit."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "replay", "-c", str(scene.config), "--reigns", "--output", "json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = {body["end"]: body | {"revision": 0} for body in json.loads(done.stdout)["verdicts"]}
    for body in found.values():
        assert again[body["end"]] == json.loads(json.dumps(body | {"revision": 0}))


def await_window(daemon, served: Served, window: int) -> None:
    """The stream goes on beyond now: its last window stays open."""
    until(lambda: served.window(max(verdicts(daemon), default=0)) >= window, f"window {window}")


@pytest.mark.parametrize("switch", [NOW * SLICES + 3, (NOW + 2) * SLICES + 2, (NOW - 2) * SLICES + 2],
                         ids=["with the alias", "after it", "before it"])  # fmt: skip
def test_an_alias_that_moves_under_load_mixes_no_window_and_pages_nobody(make, receiver, switch):
    """Whenever the deployment follows, or went ahead; and a restart without a registry goes on with what it knew."""
    served, before = Served(switch), metrics.REGISTRY_SWAPS_TOTAL.labels(MODEL)._value.get()
    with registry() as fake:
        scene = make(models=settings(fake.receiver.url, token=fake.token))
        with scene.daemon() as daemon:
            until(lambda: len(reigns(daemon)) == 1, "the first version")
            load = threading.Thread(target=stream, args=(scene, served, 0, (NOW + 4) * SLICES))
            load.start()
            until(lambda: served.count > 3 * SLICES * PARTITIONS, "some records")
            fake.aliases["champion"] = "8"
            load.join()
            until(lambda: len(reigns(daemon)) == 2, "the second version")
            await_window(daemon, served, NOW + 2)
            found = check_unmixed(daemon, served)
            assert daemon.evaluate.models[MODEL].incidents == ()
            assert samples(daemon.server.url)["registry_swaps_total", MODEL] == before + 2
        fake.down = 503
        with scene.daemon() as daemon:
            until(lambda: len(reigns(daemon)) == 2, "what was known")
            stream(scene, served, (NOW + 4) * SLICES, (NOW + 6) * SLICES)
            await_window(daemon, served, NOW + 4)
            found = check_unmixed(daemon, served)
            assert daemon.evaluate.models[MODEL].incidents == ()
            until(lambda: samples(daemon.server.url).get(("registry_up", MODEL)) == 0, "trouble to be shown")
            shown = api(daemon.server.url, f"models/{MODEL}")["registry"]
            assert "503" in shown["error"]
            assert [one["version"] for one in shown["reigns"]] == ["7", "8"]
    check_replayed(scene, found)
    assert {version for body in found.values() for version in body["versions"]} == {"7", "8"}
    assert dict(found[NOW + 4]["versions"]).keys() == {"8"}
    assert not [got for got in receiver.requests if b"critical" in got.body]


def test_a_version_that_the_registry_does_not_name_is_reported(make):
    """It answers though it is not in production: it is judged in no window, and said to be there."""
    served = Served(switch=2 * SLICES)
    with registry() as fake:
        scene = make(models=settings(fake.receiver.url, token=fake.token, write_tags=True))
        with scene.daemon() as daemon:
            until(lambda: len(reigns(daemon)) == 1, "the first version")
            stream(scene, served, 0, 5 * SLICES)
            await_window(daemon, served, 3)
            found = check_unmixed(daemon, served)
            assert found[3]["state"] == State.UNKNOWN
            assert found[3]["others"].keys() == {"8"}
            text = "No rows of version 7, which the registry names; of others: 8 (360)."
            assert found[3]["detail"] == text
            until(
                lambda: samples(daemon.server.url).get(("other_versions_records", MODEL, "5m")) == 360,
                "the metric",
            )
            until(lambda: fake.tags["7"].get("driftline.status") == "ok", "the tag")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the environment is made the first time
def test_the_alias_of_a_real_server_moves_under_load(make, tmp_path, mlflow_server):
    """References are pushed by the command, versions 1 and 2 of the registry are what records call 7 and 8 by a tag."""
    from tests.pipelines.registry import API

    served = Served(NOW * SLICES + 3)
    scene = make(models=settings(mlflow_server.url, version_tag="served_as", write_tags=True))
    mlflow_server.create(MODEL)
    for version in "78":
        number = mlflow_server.register(MODEL)
        body = {"name": MODEL, "version": number, "key": "served_as", "value": version}
        mlflow_server.ask("POST", f"{API}/model-versions/set-tag", body)
        (tmp_path / f"{version}.ref").write_bytes(content_of(version))
        done = subprocess.run(
            [sys.executable, "-m", "monitor", "reference", "push", "-c", str(scene.config), "--model", MODEL,
             "--version", number, str(tmp_path / f"{version}.ref")],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    mlflow_server.alias(MODEL, "1")
    with scene.daemon() as daemon:
        until(lambda: len(reigns(daemon)) == 1, "the first version")
        load = threading.Thread(target=stream, args=(scene, served, 0, (NOW + 4) * SLICES))
        load.start()
        until(lambda: served.count > 3 * SLICES * PARTITIONS, "some records")
        mlflow_server.alias(MODEL, "2")
        load.join()
        until(lambda: len(reigns(daemon)) == 2, "the second version")
        await_window(daemon, served, NOW + 2)
        found = check_unmixed(daemon, served)
        assert daemon.evaluate.models[MODEL].incidents == ()
        until(lambda: mlflow_server.tags(MODEL, "2").get("driftline.status") == "ok", "the tag")
    assert {version for body in found.values() for version in body["versions"]} == {"7", "8"}
