"""One real Apache Kafka node (KRaft) for the tests, from jars of Maven Central."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

POM = Path(__file__).with_name("pom.xml")
HEAP = "384m"
READY_WITHIN = 90.0
"""Seconds. A cold start takes about 4; two busy cores have needed 30."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.network.threads=2
num.io.threads=2
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
auto.create.topics.enable=false
log.segment.bytes=16777216
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=8388608
log.retention.check.interval.ms=1000
"""

_LOGGING = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


class KafkaUnavailable(Exception):
    """This machine cannot run the broker; the text says what is missing."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that were free a moment ago, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def jars() -> Path:
    """Directory of the broker's jars, downloaded once for each state of the pom.

    Under `DRIFTLINE_CACHE`, else the user's cache. Raises KafkaUnavailable.
    """
    if shutil.which("java") is None:
        raise KafkaUnavailable("java is not installed")
    cache = Path(os.environ.get("DRIFTLINE_CACHE") or Path.home() / ".cache" / "driftline") / "kafka"
    libs = cache / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    if (libs / "complete").is_file():
        return libs
    if shutil.which("mvn") is None:
        raise KafkaUnavailable("mvn is not installed and the broker's jars are not in the cache")
    libs.mkdir(parents=True, exist_ok=True)
    with (libs / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one downloads
        if not (libs / "complete").is_file():
            _download(libs)
    return libs


def _download(libs: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={libs}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or [""]
        raise KafkaUnavailable(f"mvn could not fetch the broker's jars: {last[0][:200]}")
    (libs / "complete").touch()


@dataclass(frozen=True)
class Listener:
    """One more way into a broker, besides the plain one."""

    name: str
    protocol: str
    """PLAINTEXT | SSL | SASL_PLAINTEXT | SASL_SSL"""
    port: int
    advertised: int = 0
    """Where clients are sent; 0: to `port` itself."""


def ways_in(*listeners: Listener) -> dict[str, str]:
    """Properties of a broker with more than one way in."""
    own = "PLAINTEXT://127.0.0.1:{port}"
    every = "".join(f",{one.name}://127.0.0.1:{one.port}" for one in listeners)
    told = "".join(f",{one.name}://127.0.0.1:{one.advertised or one.port}" for one in listeners)
    protocols = "".join(f",{one.name}:{one.protocol}" for one in listeners)
    return {
        "listeners": f"{own},CONTROLLER://127.0.0.1:{{controller}}{every}",
        "advertised.listeners": f"{own}{told}",
        "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}",
    }


class KafkaBroker:
    """A broker on free ports of the loopback, with its data in `directory`.

    `properties` replace those above; {port} and {controller} stand for the ports.

    Started by the constructor, which returns when it answers. `kill`, `start` and `pause` are for
    fault tests; `stop` ends it. Also a context manager.
    """

    def __init__(
        self, directory: Path, *, properties: dict[str, str] | None = None, scram: Sequence[str] = ()
    ) -> None:
        """`scram`: users from the start, each as `SCRAM-SHA-512=[name=…,password=…]`."""
        self._libs = jars()
        self._scram = [word for user in scram for word in ("--add-scram", user)]
        self._directory = directory
        port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        self._config = directory / "server.properties"
        extra = "".join(f"{name}={value}\n" for name, value in (properties or {}).items())
        settings = (_PROPERTIES + extra).format(port=port, controller=controller, data=directory / "data")
        self._config.write_text(settings)
        (directory / "log4j2.properties").write_text(_LOGGING)
        self._process: subprocess.Popen[bytes] | None = None
        self._format()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What the broker logged, warnings and errors."""
        return (self._directory / "broker.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the process and wait until it serves clients."""
        with (self._directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)), stdout=log, stderr=log, start_new_session=True
            )
        self._await_ready()

    def stop(self) -> None:
        """End the process, and wait for it. Data stays in `directory`."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process = None

    def kill(self) -> None:
        """End the process with SIGKILL; `start` brings it back on the same ports and data."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def pause(self) -> None:
        """Stop answering without closing connections; `resume` goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log_of(self, topic: str, partition: int) -> Path:
        """The first file of a partition's records."""
        return self._directory / "data" / f"{topic}-{partition}" / "00000000000000000000.log"

    def cut(self, topic: str, partition: int) -> None:
        """Lose the last third of a partition's bytes, as a machine without power does; only while it is killed."""
        log = self.log_of(topic, partition)
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size * 2 // 3)

    def throttle(self, client: str, rate: int | None) -> None:
        """Take so many bytes a second of what clients of this `client.id` produce; None: whatever comes."""
        change = ("--delete-config", "producer_byte_rate")
        if rate is not None:
            change = ("--add-config", f"producer_byte_rate={rate}")
        command = self._java(
            "kafka.admin.ConfigCommand",
            *("--bootstrap-server", self.bootstrap, "--alter", *change),
            *("--entity-type", "clients", "--entity-name", client),
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"no quota for {client}:\n{done.stdout}{done.stderr}")

    def create_topic(self, name: str, *, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        """Create a topic and wait until it is there."""
        create_topic(self.bootstrap, name, partitions=partitions, config=config)

    def resident_bytes(self) -> int:
        """Memory of the process, 0 where the system does not say."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)

    def _format(self) -> None:
        # One that begins with "-" would be taken for an option.
        cluster = base64.urlsafe_b64encode(b"k" + os.urandom(15)).decode().rstrip("=")
        command = self._java(
            "kafka.tools.StorageTool",
            *("format", "--standalone", "--cluster-id", cluster, "--config", str(self._config), *self._scram),
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"kafka storage was not formatted:\n{done.stdout}{done.stderr}")

    def _java(self, *command: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}"
        limits = [
            "-Xms128m",
            f"-Xmx{HEAP}",
            "-XX:ActiveProcessorCount=2",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
        ]
        return ["java", *limits, logging, "-cp", f"{self._libs}/*", *command]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"kafka ended with {self._process.returncode}:\n{self.output[-4000:]}")
            try:
                _admin(self.bootstrap).list_topics(timeout=1)
            except KafkaException:
                time.sleep(0.1)
            else:
                return
        self.stop()
        raise RuntimeError(f"kafka did not answer within {READY_WITHIN:g} s:\n{self.output[-4000:]}")


class ExternalBroker:
    """A broker that somebody else runs (`DRIFTLINE_TEST_BOOTSTRAP`); it can only be used."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def create_topic(self, name: str, *, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        create_topic(self.bootstrap, name, partitions=partitions, config=config)

    def stop(self) -> None:
        """Not ours to stop."""


def create_topic(
    bootstrap: str, name: str, *, partitions: int = 1, config: dict[str, str] | None = None
) -> None:
    """Create a topic on any broker and wait until its metadata is served."""
    admin = _admin(bootstrap)
    admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])[name].result(30)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        topic = admin.list_topics(name, timeout=5).topics[name]
        if topic.error is None and len(topic.partitions) == partitions:
            return
        time.sleep(0.05)
    raise RuntimeError(f"topic {name} did not appear within 30 s")


def _admin(bootstrap: str) -> AdminClient:
    # Connection attempts of a broker that is not up yet are no news.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 5000})
