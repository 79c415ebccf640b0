"""The alias of a model registry moves while three replicas on a real Kafka judge a model each: one is killed in the middle of
its swap, another takes over, and all judge by the same references, which a replay of the log says too."""

from __future__ import annotations

import functools
import json
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from monitor.deliver.receiver import Receiver
from monitor.failpoint import VARIABLE
from monitor.reference.file import digest_of
from monitor.state.log import Ledger
from tests.daemon import ask
from tests.daemon.ask import api
from tests.daemon.build import MODEL, PARTITIONS, START, WINDOW, reference
from tests.kafka.replicas import Replicas
from tests.kafka.test_labels import records
from tests.registry.fake import FakeMlflow
from tests.registry.versions import NOW, Served, content_of

pytestmark = pytest.mark.slow(60)

MODELS = ("churn", "fraud", "scores")
"""Of three partitions of the ledger one each, so that each replica comes to judge one."""
SLICES = 30
ROWS = 900
"""Of a window and partition: three slices a second, of 90 rows each, come to about a thousand records a second."""
PACE = 0.1
"""Seconds between slices."""
until = functools.partial(ask.until, seconds=180)
"""Three replicas start, lose a session and start again, on cores that may be busy."""


@dataclass
class Load:
    """Sends slice after slice on a thread of its own, until it is told which is the last one."""

    bootstrap: str
    topic: str
    served: Served
    number: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "log_level": 0})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reach(self, number: int) -> None:
        until(lambda: self.number >= number, f"slice {number}")

    def end(self, least: int) -> int:
        """Stop in the window behind the newest one, at slice `least` or later; how many windows are whole."""
        self._stop.set()
        self._thread.join()
        windows = max(-(-self.number // SLICES), -(-least // SLICES))
        while self.number < (windows + 1) * SLICES:
            self._send()
        return windows

    def _run(self) -> None:
        while not self._stop.wait(PACE):
            self._send()

    def _send(self) -> None:
        for one in self.served.part(self.number):
            self._producer.produce(self.topic, one.value, partition=one.partition, timestamp=one.timestamp)
        assert not self._producer.flush(60)
        self.number += 1


@dataclass(frozen=True)
class Registered:
    """A registry with version 7 in production: `move` gives the alias to another, `end` makes it answer no more."""

    settings: dict[str, Any]
    move: Callable[[str], None]
    end: Callable[[], None]


@contextmanager
def fake() -> Iterator[Registered]:
    with Receiver() as receiver:
        own = FakeMlflow(receiver)
        for version in "78":
            own.add(version, content_of(version))
        own.aliases["champion"] = "7"
        yield Registered(
            {"url": receiver.url, "token": own.token},
            lambda version: own.aliases.update(champion=version),
            lambda: setattr(own, "down", 503),
        )


def configure(replicas: Replicas, registry: dict[str, Any]) -> None:
    """Three models on one topic, all of the same registered one."""
    settings = yaml.safe_load(replicas.config.read_text())
    settings["sources"]["predictions"] |= {"idle": "30s"}
    settings["sources"]["predictions"]["fields"]["model"] = "model"
    own = {
        "reference": {"file": str(replicas.folder / "scores.ref")}, "budget": "2 per 30d", "pane": "1m",
        "windows": {"5m": {"size": "5m"}}, "allowed_lateness": "1m", "min_records": 20, "early": 0.2,
        "tolerance": {"psi": 0.6, "ks": 0.3, "g": 0.6, "missing": 0.2},
        "registry": {
            "name": MODEL, "every": "1s", "timeout": "5s", "insecure_http": True, "allow_private": ["127.0.0.0/8"],
        } | registry,
    }  # fmt: skip
    settings["models"] = dict.fromkeys(MODELS, own)
    del settings["targets"]
    replicas.config.write_text(json.dumps(settings))


class Cluster:
    """Three replicas, what each shows, and what is in their ledger."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self._urls: dict[int, str] = {}

    def start(self, *numbers: int) -> None:
        """And wait until they serve."""
        before = {number: len(self.said(number, "started")) for number in numbers}
        for number in numbers:
            self.replicas.start(number)
        for number in numbers:
            until(lambda n=number: len(self.said(n, "started")) > before[n], f"replica {number}")
            self._urls[number] = self.said(number, "started")[-1]["url"]

    def said(self, number: int, event: str) -> list[dict[str, Any]]:
        """What a replica logged of one event, in all of its lives."""
        log = self.replicas.folder / f"replica-{number}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [json.loads(line) for line in lines if f'"{event}"' in line and line.startswith("{")]

    def shown(self, number: int) -> list[str]:
        """The models that a replica judges."""
        return [one["name"] for one in api(self._urls[number], "models")]

    def ledgers(self) -> dict[str, Ledger]:
        with self.replicas.look() as look:
            return {model: look.ledger(model) for model in MODELS}

    def reigns(self) -> dict[str, list[dict[str, Any]]]:
        return {
            model: [body for _, body in sorted(ledger.of("reign").items())]
            for model, ledger in self.ledgers().items()
        }

    def each_judges_one(self) -> None:
        until(lambda: all(len(self.shown(number)) == 1 for number in range(3)), "a model for each replica")

    def await_reigns(self, count: int) -> None:
        until(
            lambda: all(len(own) == count for own in self.reigns().values()), f"{count} reigns of each model"
        )


def torment(cluster: Cluster, registered: Registered, bootstrap: str, served: Served, moved: int) -> int:
    """The alias moves at slice `moved`, and the first replica dies of it; how many whole windows were sent in the end."""
    replicas = cluster.replicas
    replicas.environment[VARIABLE] = f"swap.inside:{len(MODELS) + 1}"
    cluster.start(0)
    cluster.await_reigns(1)
    del replicas.environment[VARIABLE]
    cluster.start(1, 2)
    cluster.each_judges_one()
    load = Load(bootstrap, replicas.prefix.removesuffix("-own"), served)
    load.reach(moved)
    registered.move("8")
    assert replicas.await_end(0) == -signal.SIGKILL
    cluster.await_reigns(2)
    registered.end()
    cluster.start(0)
    cluster.each_judges_one()
    (model,) = cluster.shown(0)
    seen = load.number // SLICES
    whole = load.end(max(served.switch + SLICES, (NOW + 2) * SLICES, (seen + 2) * SLICES))
    swaps = [len(cluster.said(number, "reference_swapped")) for number in range(3)]
    assert (swaps[0], sum(swaps)) == (3, 6), model
    return whole


def _settled(cluster: Cluster, counted: Mapping[str, Mapping[int, Counter[str]]]) -> bool:
    found = verdicts_of(cluster.ledgers())
    return all(
        end in found[model]
        and sum((found[model][end]["rows"], *found[model][end].get("others", {}).values())) == rows.total()
        for model, windows in counted.items()
        for end, rows in windows.items()
    )


def verdicts_of(ledgers: Mapping[str, Ledger]) -> dict[str, dict[int, dict[str, Any]]]:
    """Model → end of the window → the newest revision of its verdict."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for model, ledger in ledgers.items():
        bodies = sorted(ledger.of("verdict").values(), key=lambda body: body["revision"])
        found[model] = {body["end"]: dict(body) for body in bodies}
    return found


def recount(bootstrap: str, topic: str, whole: range) -> dict[str, dict[int, Counter[str]]]:
    """Model → end of the window → rows by version, of everything in the topic that lies in windows of `whole`."""
    found: dict[str, dict[int, Counter[str]]] = {model: {} for model in MODELS}
    for _, _, record in records(bootstrap, topic, PARTITIONS):
        end = record["ts"] // WINDOW * WINDOW + WINDOW
        if end in whole:
            found[record["model"]].setdefault(end, Counter())[record["version"]] += 1
    return found


def check_windows(ledgers: Mapping[str, Ledger], counted: Mapping[str, Mapping[int, Counter[str]]]) -> None:
    """Every window is of one version, of all its rows, by the reference that the reign of this version names."""
    for model, windows in verdicts_of(ledgers).items():
        first, second = (body for _, body in sorted(ledgers[model].of("reign").items()))
        assert (first["version"], second["version"]) == ("7", "8")
        for end, rows in counted[model].items():
            body = windows[end]
            (version,) = body["versions"]
            assert dict(body["versions"]) == {version: rows[version]}, (model, end)
            assert body.get("others", {}) == {one: count for one, count in rows.items() if one != version}
            assert body["reference"].endswith(digest_of(content_of(version))[:12])
            assert body["coverage"] == 1.0
            if version == "8":
                assert end - WINDOW >= second["since"] or "7" not in rows, (
                    "version 7 had rows in a window of its own"
                )
            else:
                assert end - WINDOW < second["since"] or "8" not in rows, "the new version had begun"


def replayed(config: Path, *options: str) -> dict[str, dict[int, dict[str, Any]]]:
    """What `driftline replay` makes of the log."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "replay", "-c", str(config), *options, "--output", "json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[int, dict[str, Any]]] = {model: {} for model in MODELS}
    for body in json.loads(done.stdout)["verdicts"]:
        found[body["model"]][body["end"]] = body | {"revision": 0}
    return found


def paged(receiver: Receiver) -> list[str]:
    """Whatever asks for a person."""
    got = list(receiver.requests)
    return [one.path for one in got if one.path.startswith("/v2/") or b"critical" in one.body]


def test_an_alias_that_moves_under_load_is_one_swap_for_all_replicas(kafka, tmp_path):
    """One dies when the new version's reference is durable and the reign that names it is not; it comes back when another
    has swapped for it, and judges on. No window mixes versions, nobody is paged, counts are those of the log."""
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moved, switch = chance.randrange(1, 2 * SLICES), chance.randrange((NOW - 1) * SLICES, (NOW + 2) * SLICES)
    topic = f"swap-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    with Receiver() as receiver, fake() as registered:
        replicas = Replicas(
            tmp_path / "cluster", bootstrap=kafka.bootstrap, topic=topic, reference=reference(), receiver=receiver,
            partitions=PARTITIONS,
        )  # fmt: skip
        configure(replicas, registered.settings)
        cluster = Cluster(replicas)
        try:
            served = Served(switch, slices=SLICES, rows=ROWS, models=MODELS)
            whole = torment(cluster, registered, kafka.bootstrap, served, moved)
            ends = range(START + served.shift + WINDOW, START + served.shift + whole * WINDOW + 1, WINDOW)
            counted = recount(kafka.bootstrap, topic, ends)
            until(lambda: _settled(cluster, counted), "the last windows")
            for number in replicas.running:
                replicas.signal(number, signal.SIGTERM)
                assert replicas.await_end(number) == 0
            ledgers = cluster.ledgers()
        finally:
            replicas.close()
    check_windows(ledgers, counted)
    assert {version for rows in counted["scores"].values() for version in rows} == {"7", "8"}
    assert [ledger.of("incident") for ledger in ledgers.values()] == [{}, {}, {}]
    assert paged(receiver) == []
    assert '"state_divergence"' not in replicas.output
    again, blind = replayed(replicas.config, "--reigns"), replayed(replicas.config)
    for model, windows in verdicts_of(ledgers).items():
        for end in counted[model]:
            assert again[model][end] == json.loads(json.dumps(windows[end] | {"revision": 0}))
        assert any(body["state"] == "drift" for body in blind[model].values()), (
            "nothing was there to page for"
        )
