"""Several daemons that share their state through Kafka, and what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from monitor.clock import SystemClock
from monitor.deliver.receiver import Receiver
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.description import read_ledger
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.recover import markers
from monitor.state.log import Ledger
from tests.kafka.lives import LATENESS, Found, _newest, _told, config_text, found_of
from tests.kafka.traffic import MODEL, WINDOW

PATIENCE = 180.0
SESSION = 6.0
"""Seconds after which the group gives up on a replica."""
PROTOCOLS = {
    "classic": "session.timeout.ms: 6000, heartbeat.interval.ms: 500, max.poll.interval.ms: 10000",
    "consumer": "group.protocol: consumer",
}
"""What a member says of its session. Of the newer protocol the broker decides (tests/kafka/broker.py); the client
refuses a poll interval below a session timeout that it does not use."""


def quick(protocol: str = "classic") -> str:
    """Client properties of a replica whose absence is soon noticed."""
    return f"{{{PROTOCOLS[protocol]}, fetch.wait.max.ms: 100}}"


QUICK = quick()


class Replicas:
    """Daemons of one configuration, by number. Each can be killed, stopped for a while, or asked to end."""

    def __init__(
        self,
        folder: Path,
        *,
        bootstrap: str,
        topic: str,
        reference: Reference,
        receiver: Receiver,
        partitions: int = 4,
        properties: str = QUICK,
        checkpoint: str = "1s",
        module: str = "monitor",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`module` is what is run, in this process's environment and `environment`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prefix = f"{topic}-own"
        self._bootstrap = bootstrap
        self.environment = {**os.environ, **(environment or {})}
        """Of what is started from now on."""
        self._module = module
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._stopped: set[int] = set()
        write(reference, folder / "scores.ref")
        shape = f"{{prefix: {self.prefix}, partitions: {partitions}, model_partitions: {partitions}, replication: 1}}"
        self.config = folder / "driftline.yaml"
        self.config.write_text(
            config_text(
                folder,
                bootstrap=bootstrap,
                topic=topic,
                receiver=receiver.url,
                properties=properties,
                state=f"{{log: kafka, kafka: {shape}, checkpoint_every: {checkpoint}, stall: 20s, max_hold: 10m}}",
                dead_letter=f"{{to: topic, topic: {self.prefix}.dlq, limit: 100%}}",
                idle="3s",
            )
        )

    @property
    def running(self) -> list[int]:
        """Numbers of the processes that live, stopped ones too."""
        return sorted(number for number, one in self._processes.items() if one.poll() is None)

    @property
    def stopped(self) -> set[int]:
        return self._stopped & set(self.running)

    @property
    def output(self) -> str:
        """Everything the processes logged."""
        logs = sorted(self.folder.glob("replica-*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')}" for log in logs)

    def start(self, number: int) -> None:
        with (self.folder / f"replica-{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [sys.executable, "-m", self._module, "run", "--config", str(self.config)],
                stdout=log, stderr=log, env={**self.environment, "DRIFTLINE_MEMBER": f"replica-{number}"},
            )  # fmt: skip

    def signal(self, number: int, kind: signal.Signals) -> None:
        """SIGKILL, SIGTERM, SIGSTOP or SIGCONT."""
        self._processes[number].send_signal(kind)
        (self._stopped.add if kind == signal.SIGSTOP else self._stopped.discard)(number)

    def await_end(self, number: int, *, within: float = 60.0) -> int:
        """The exit status of a process that is about to end."""
        return self._processes[number].wait(within)

    def await_all(self, done: Callable[[], bool], *, within: float = PATIENCE) -> None:
        """Until `done`; raises with the log when it takes too long or a replica ends by itself."""
        deadline = time.monotonic() + within
        while not done():
            ended = [number for number, one in self._processes.items() if one.poll() not in {None, -9, 0}]
            if ended or time.monotonic() > deadline:
                what = f"replicas {ended} ended" if ended else f"not done within {within:g} s"
                raise RuntimeError(f"{what}:\n{self.output[-8000:]}")
            time.sleep(0.2)

    def close(self) -> None:
        """Kill what is left."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def look(self) -> Look:
        return Look(self._bootstrap, self.prefix)


class Look:
    """Reads the state of a cluster without taking part in it."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._broker = Broker({"bootstrap.servers": bootstrap}, clock=SystemClock())
        self._topics = topics_of(prefix)

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *_: object) -> None:
        self._broker.close()

    def ledger(self, model: str = MODEL) -> Ledger:
        return read_ledger(self._broker, self._topics, model, kinds=None)

    def applied(self) -> int:
        """How many offsets are durable, over all partitions."""
        return sum(marker.applied for marker in markers(self._broker, self._topics.state).values())

    def has_finished(self, ends: dict[int, int], receiver: Receiver) -> bool:
        """Everything up to `ends` is durable, judged and delivered."""
        found = markers(self._broker, self._topics.state)
        if {source.partition: marker.applied for source, marker in found.items()} != ends:
            return False
        ledger = self.ledger()
        closed = {body["end"] for body in ledger.of("verdict").values()}
        due = (min(marker.watermark for marker in found.values()) - LATENESS) // WINDOW * WINDOW
        return due in closed and not ledger.of("intent") and _newest(ledger) <= _told(receiver)

    def found(self, output: str) -> Found:
        """What is left when all replicas have ended; takes everything over."""
        log = KafkaLog(
            self._broker,
            topics=self._topics,
            owned=lambda: dict.fromkeys(range(self._broker.partitions(self._topics.sketches)), 1),
            clock=SystemClock(),
        )
        log.attend()
        sketches = tuple(log.changes([MODEL], 0)[1])
        whole = {source.partition: log.recover(source).marker for source in log.sources()}
        divergences = output.count('"state_divergence"') + log.divergences
        return found_of(sketches, whole, log.ledger(MODEL, kinds=None), divergences=divergences)
