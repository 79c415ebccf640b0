"""A small model, its prediction log, and a daemon over it."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import math
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from monitor.clock import Clock, SystemClock
from monitor.daemon import Daemon
from monitor.deliver.receiver import Receiver
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.produce import Producer
from monitor.judge.record import to_json
from monitor.plan import Kind
from monitor.reference.build import BuildSettings, build
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.reference.segment_tally import SegmentDeclaration
from monitor.reference.table import FeatureDeclaration, Table
from monitor.state.local import LocalLog
from tests.daemon.ask import until

MODEL = "scores"
PARTITIONS = 3
WINDOW = 300_000
PANE = 60_000
LATENESS = 60_000
BOUND = 30_000
START = 1_760_000_100_000
"""A window boundary, long ago: what comes to its end is over, and no empty windows follow."""
ROWS = 120
"""Per window and partition."""
COUNTRIES = ("DE", "FR", "IT", "ES", "PL")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

FEATURES = (
    FeatureDeclaration("amount", ("features", "amount"), Kind.NUMERIC),
    FeatureDeclaration("country", ("features", "country"), Kind.CATEGORICAL),
    FeatureDeclaration("returning", ("features", "returning"), Kind.BOOLEAN),
    FeatureDeclaration("prediction", ("score",), Kind.NUMERIC),
)


@dataclass(frozen=True)
class Sent:
    """One record as it is produced."""

    partition: int
    value: bytes | None
    timestamp: int
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def rows_of(
    window: int, partition: int, *, drifting: bool = False, rows: int = ROWS, within: str = ""
) -> list[dict[str, Any]]:
    """Prediction logs of one window and partition, in order of time. What drifts is that amounts are missing, or that they
    are 30 times as large `within` a country."""
    rng = np.random.default_rng((window + 1_000, partition))
    made = []
    for row in range(rows):
        event = START + window * WINDOW + row * WINDOW // rows + int(rng.integers(0, WINDOW // rows))
        missing = rng.random() < (0.6 if drifting and not within else 0.02)
        made.append(
            {
                "id": f"{window}-{partition}-{row}",
                "ts": event,
                "model": MODEL,
                "version": "1",
                "features": {
                    "amount": None if missing else round(float(rng.lognormal(3.0, 0.7)), 2),
                    "country": COUNTRIES[rng.choice(5, p=(0.4, 0.25, 0.2, 0.1, 0.05))],
                    "returning": bool(rng.random() < 0.3),
                },
                "score": round(float(rng.beta(2, 5)), 4),
            }
        )
        features = made[-1]["features"]
        if drifting and features["country"] == within and features["amount"]:
            features["amount"] *= 30.0
    return made


def stream(
    windows: Sequence[int], *, drifting: Sequence[int] = (), rows: int = ROWS, within: str = ""
) -> list[Sent]:
    """The log of some windows, window by window, the partitions in turn; see `rows_of`."""
    return [
        Sent(partition, json.dumps(record).encode(), record["ts"])
        for window in windows
        for partition in range(PARTITIONS)
        for record in rows_of(window, partition, drifting=window in drifting, rows=rows, within=within)
    ]


def shuffled(sent: Sequence[Sent], *, seed: int, reach: int = 15) -> list[Sent]:
    """The same records, each moved by up to `reach` places, and a few by so much that they are late."""
    rng = np.random.default_rng(seed)
    places = np.arange(len(sent)) + rng.uniform(-reach, reach, len(sent))
    places[rng.random(len(sent)) < 0.01] += 8 * ROWS
    return [sent[at] for at in np.argsort(places, kind="stable")]


def make_reference(
    *,
    windows: int = 60,
    bins: int | None = None,
    model: str = MODEL,
    segments: Sequence[SegmentDeclaration] = (),
    sample: int = 0,
) -> Reference:
    """What is normal: windows before START, none drifting."""
    rows = sorted(
        (
            row
            for window in range(-windows, 0)
            for partition in range(PARTITIONS)
            for row in rows_of(window, partition)
        ),
        key=lambda row: row["ts"],
    )
    columns = {
        "amount": np.array(
            [math.nan if r["features"]["amount"] is None else r["features"]["amount"] for r in rows]
        ),
        "country": np.array([r["features"]["country"] for r in rows], object),
        "returning": np.array([r["features"]["returning"] for r in rows], bool),
        "prediction": np.array([r["score"] for r in rows]),
    }
    settings = BuildSettings(sample=sample)
    if bins:
        settings = replace(settings, quantiles=bins)
    table = Table(columns, events=np.array([r["ts"] for r in rows], np.int64))
    return build(
        table,
        model=model,
        name="ordinary",
        features=FEATURES,
        pane=PANE,
        settings=settings,
        segments=segments,
    )


@functools.cache
def reference(bins: int | None = None, model: str = MODEL) -> Reference:
    """The reference, built once per process."""
    return make_reference(bins=bins, model=model)


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `base`; None removes."""
    out = dict(base)
    for key, value in change.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


@dataclass
class Scene:
    """A topic, a configuration and a state directory."""

    folder: Path
    bootstrap: str
    topic: str
    receiver: Receiver | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "driftline.yaml"

    def configure(self, **change: Any) -> Path:
        """Write the configuration with `change` laid over what it was."""
        self.settings = merged(self.settings or self._base(), change)
        self.config.write_text(json.dumps(self.settings, indent=1))
        return self.config

    def send(self, records: Sequence[Sent]) -> None:
        """Produce in order, and wait for the acknowledgements."""
        properties = {"bootstrap.servers": self.bootstrap, "message.max.bytes": 12_000_000, "log_level": 0}
        with Producer(properties) as producer:
            for record in records:
                producer.send(
                    self.topic, record.value, key=record.key, timestamp=record.timestamp,
                    partition=record.partition, headers=record.headers or None,
                )  # fmt: skip
            producer.flush()

    @contextlib.contextmanager
    def daemon(self, *, clock: Clock | None = None) -> Iterator[Daemon]:
        """The daemon inside this process."""
        daemon = Daemon([str(self.config)], clock=clock or SystemClock())
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()

    def process(self, *options: str, point: str = "", module: str = "monitor", **environment: str) -> Life:
        """The daemon in a process of its own; `point` is a fail-point to die at."""
        return Life(self, options, module=module, environment={"DRIFTLINE_FAILPOINT": point, **environment})

    def found(self) -> LocalLog:
        """The state of a daemon that has ended; close it."""
        return LocalLog(self.folder / "state", clock=SystemClock())

    def _base(self) -> dict[str, Any]:
        target = self.receiver.url if self.receiver else "http://127.0.0.1:9"
        return {
            "version": 1,
            "kafka": {
                "brokers": [self.bootstrap],
                "group": f"g-{self.topic}",
                "properties": {"session.timeout.ms": 1000, "heartbeat.interval.ms": 100},
            },
            "sources": {
                "predictions": {
                    "topic": self.topic,
                    "fields": {
                        "id": "id",
                        "time": {"path": "ts", "unit": "ms"},
                        "model": "model",
                        "version": "version",
                    },
                    "dead_letter": {"to": "file", "path": str(self.folder / "dead.jsonl"), "limit": "100%"},
                    "idle": "1s",
                }
            },
            "models": {
                MODEL: {
                    "source": "predictions",
                    "reference": {"file": str(self.folder / "scores.ref")},
                    "budget": "2 per 30d",
                    "windows": {"5m": {"size": "5m"}},
                    "pane": "1m",
                    "allowed_lateness": "1m",
                    "min_records": 20,
                    "tolerance": {"psi": 0.6, "ks": 0.3, "g": 0.6, "missing": 0.2},
                    "clear_after": 2,
                }
            },
            "alerts": {"alertmanager": {"urls": [target], "allow_private": ["127.0.0.0/8"], "resend": "1s"}},
            "state": {"dir": str(self.folder / "state"), "checkpoint_every": "1s"},
            "web": {"listen": "127.0.0.1:0", "enable_lifecycle": True},
            "log": {"format": "json", "level": "info"},
        }


def scene(
    folder: Path,
    broker: EmbeddedBroker | Any,
    *,
    receiver: Receiver | None = None,
    create: bool = True,
    **change: Any,
) -> Scene:
    """A scene with a topic of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    topic = f"predictions-{uuid.uuid4().hex[:8]}"
    if create:
        broker.create_topic(topic, partitions=PARTITIONS)
    write(reference(), folder / "scores.ref")
    made = Scene(folder, broker.bootstrap, topic, receiver)
    made.configure(**change)
    return made


RETRAIN = {
    "models": {MODEL: {"retrain": {"mode": "auto", "when": ["drift for 2 windows"], "target": "pipeline"}}},
}


def with_retraining(receiver: Receiver) -> dict[str, Any]:
    """Settings of a retraining webhook on the receiver."""
    target = {
        "preset": "webhook", "url": f"{receiver.url}/hooks/retrain", "secret": SECRET, "insecure_http": True,
        "allow_private": ["127.0.0.0/8"],
    }  # fmt: skip
    return {**RETRAIN, "targets": {"pipeline": target}}


class Life:
    """One `driftline run` in a process of its own."""

    def __init__(
        self, scene: Scene, options: Sequence[str], *, module: str, environment: dict[str, str]
    ) -> None:
        self.log = scene.folder / f"run-{uuid.uuid4().hex[:6]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "run", "-c", str(scene.config), *options],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def url(self) -> str:
        """Where it serves; waits until it says so."""

        def started() -> str:
            assert self.process.poll() is None, self.output
            lines = [
                line for line in self.output.splitlines() if '"started"' in line and line.startswith("{")
            ]
            return json.loads(lines[0])["url"] if lines else ""

        until(started, "the process to start")
        return started()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, *, within: float = 30.0) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(within)


# What a daemon has done


def applied(daemon: Daemon) -> int:
    """Records that are durable, as the API says."""
    return sum(report.applied for report in daemon.view().partitions)


def is_done(daemon: Daemon, count: int) -> bool:
    """Every record is applied, durable and judged."""
    view = daemon.view()
    if sum(report.applied for report in view.partitions) < count or len(view.partitions) < PARTITIONS:
        return False
    newest = max(
        (sketch.key.pane for sketch in daemon.state.changes([MODEL], 0)[1] if sketch.rows), default=-1
    )
    closed = max((verdict.end for verdict in daemon.evaluate.verdicts(MODEL)), default=-1)
    return all(report.idle for report in view.partitions) and (newest < 0 or closed > newest)


def await_done(daemon: Daemon, count: int) -> None:
    """Wait for it; and once more, since the last correction may just be made."""
    until(lambda: is_done(daemon, count), f"{count} records to be applied and judged")
    last = daemon.evaluate.last_tick
    until(lambda: daemon.evaluate.last_tick > last and is_done(daemon, count), "one more look")


def verdicts(daemon: Daemon) -> dict[int, dict[str, Any]]:
    """Verdict records by end of the window, the newest revision."""
    return {verdict.end: to_json(verdict) for verdict in daemon.evaluate.verdicts(MODEL)}
