"""The root of the configuration."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema

from monitor.config.base import Group
from monitor.config.fields import (
    PLACEHOLDER,
    Choice,
    Duration,
    Flag,
    Name,
    SecretText,
    Size,
    Text,
    Topic,
    Whole,
    as_whole,
    bounded,
    parsed,
    refuse,
)
from monitor.config.finding import Finding, Problem
from monitor.config.intake import DAY, MINUTE, SECOND, Kafka, Period, Source
from monitor.config.origin import Origin
from monitor.config.outward import Alerts, Url
from monitor.config.quantity import format_duration, format_size
from monitor.config.targets import Target
from monitor.config.watched import Model

VERSION = 1


def _version(value: Any) -> int:
    version = as_whole(value)
    if version != VERSION:
        raise refuse("bad-version", f"this driftline reads configurations of version {VERSION}", got=value)
    return version


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not port.isascii()
        or not port.isdigit()
        or int(port[:6]) > 65535
        or any(c.isspace() for c in host)
    ):
        raise ValueError("an address is written :8710, 127.0.0.1:8710 or [::1]:8710")
    return text


def _prefix(text: str) -> str:
    bare = text.strip("/")
    if not all(c.isalnum() or c in "/-_.~" for c in bare):
        raise ValueError("a route prefix is written like /driftline")
    return f"/{bare}" if bare else ""


class StateTopics(Group):
    """Our own topics, for `log: kafka`."""

    prefix: Topic = Field(
        default="driftline",
        description="What the names of the topics begin with: <prefix>.state, .sketches, .progress, .ledger.",
        examples=["driftline-prod"],
    )
    partitions: Annotated[Whole, bounded(1, 10_000)] = Field(
        default=12,
        description="Partitions of <prefix>.state, over which the state of input partitions is spread. "
        "Cannot be changed while there is state.",
        examples=[12],
    )
    model_partitions: Annotated[Whole, bounded(1, 10_000)] = Field(
        default=12,
        description="Partitions of <prefix>.sketches and <prefix>.ledger, over which models are spread: as "
        "many replicas at most judge. Cannot be changed while there is state.",
        examples=[12],
    )
    replication: Annotated[Whole, bounded(1, 100)] = Field(
        default=3,
        description="Replicas of each topic, when driftline creates it.",
        examples=[3],
    )


class StateSettings(Group):
    """Where sketches and what follows from them are durable, and the pace of the loops."""

    log: Annotated[str, Choice(("local", "kafka"))] = Field(
        default="local",
        description="local: one SQLite file, one process; kafka: compacted topics, any number of replicas.",
        examples=["local", "kafka"],
    )
    kafka: StateTopics = Field(
        default=StateTopics(),
        description="Our own topics, for `log: kafka`.",
        examples=[{"prefix": "driftline-prod"}],
    )
    dir: Text = Field(
        default="driftline-state",
        description="Directory of the state, and of dead-letter files; it must be writable.",
        examples=["/var/lib/driftline"],
    )
    checkpoint_every: Period = Field(
        default=10 * SECOND, description="How often counts are made durable.", examples=["10s"]
    )
    stall: Period = Field(
        default=2 * MINUTE,
        description="A partition with lag and without progress for this long is reported as stalled.",
        examples=["2m"],
    )
    max_hold: Annotated[Duration, bounded(0, 30 * DAY, format_duration)] = Field(
        default=15 * MINUTE,
        description="A window waits this long for missing partitions, then it is judged with "
        "coverage below 1 and never pages.",
        examples=["15m"],
    )


class MemorySettings(Group):
    """Limits on memory."""

    max: Annotated[Size, bounded(16 << 20, 1 << 46, format_size)] = Field(
        default=2 << 30,
        description="`driftline check` refuses a configuration whose counts would need more.",
        examples=["2GiB"],
    )


class MetricsSettings(Group):
    """What `/metrics` exports."""

    per_feature: Annotated[str, Choice(("top", "all", "none"))] = Field(
        default="top", description="Series per feature: of the worst ones, of all, or none.", examples=["top"]
    )
    top_k: Annotated[Whole, bounded(1, 10_000)] = Field(
        default=20, description="How many of the worst features of a model, with `top`.", examples=[20]
    )
    max_series: Annotated[Whole, bounded(0, 5_000_000)] = Field(
        default=20_000,
        description="Most per-feature series; the rest is counted as suppressed.",
        examples=[20000],
    )


class WebSettings(Group):
    """The embedded web server."""

    listen: Annotated[str, parsed("bad-address", _listen), WithJsonSchema({"type": "string"})] = Field(
        default=":8710",
        description="Address of the page, the API and `/metrics`.",
        examples=[":8710", "127.0.0.1:8710"],
    )
    external_url: Url = Field(
        default="http://localhost:8710",
        description="How people reach it; base of every link in an alert.",
        examples=["https://driftline.example"],
    )
    enable_lifecycle: Flag = Field(
        default=False,
        description="Allow requests that change something: /-/reload, /-/quit.",
        examples=[True],
    )
    token: SecretText | None = Field(
        default=None,
        description="Asked for as Authorization: Bearer by requests that change something.",
        examples=["${env:DRIFTLINE_TOKEN}"],
    )
    token_file: Text = Field(
        default="", description="File that holds the token.", examples=["/run/secrets/web"]
    )
    route_prefix: Annotated[str, parsed("bad-value", _prefix), WithJsonSchema({"type": "string"})] = Field(
        default="", description="Path below which everything is served.", examples=["/driftline"]
    )


class LogSettings(Group):
    """Logs, on stderr."""

    format: Annotated[str, Choice(("auto", "json", "text"))] = Field(
        default="auto", description="auto: text on a terminal, JSON otherwise.", examples=["json"]
    )
    level: Annotated[str, Choice(("debug", "info", "warning", "error"))] = Field(
        default="info", description="Least level that is written.", examples=["info"]
    )


class Settings(Group):
    """Settings of driftline."""

    version: Annotated[
        int, BeforeValidator(_version), WithJsonSchema({"anyOf": [{"const": VERSION}, PLACEHOLDER]})
    ] = Field(default=VERSION, description="Version of the configuration format.", examples=[1])
    kafka: Kafka = Field(description="How Kafka is reached.", examples=[{"brokers": ["localhost:9092"]}])
    sources: dict[Name, Source] = Field(
        description="Topics that are read, by a name of your own.",
        min_length=1,
        examples=[{"predictions": {"topic": "predictions"}}],
    )
    models: dict[Name, Model] = Field(
        description="Models that are watched, by the name that records give them.",
        min_length=1,
        examples=[{"churn": {"reference": "/ref/churn.ref"}}],
    )
    alerts: Alerts = Field(
        default=Alerts(),
        description="Where alerts go.",
        examples=[{"alertmanager": {"urls": ["http://localhost:9093"]}}],
    )
    targets: dict[Name, Target] = Field(
        default_factory=dict,
        description="Receivers of retraining requests, by name.",
        examples=[{"pipeline": {"url": "https://ml.example/hooks/retrain"}}],
    )
    state: StateSettings = Field(
        default=StateSettings(),
        description="State and the pace of the loops.",
        examples=[{"dir": "/var/lib/driftline"}],
    )
    memory: MemorySettings = Field(
        default=MemorySettings(), description="Limits on memory.", examples=[{"max": "2GiB"}]
    )
    backend: Annotated[str, Choice(("auto", "cpu", "gpu"))] = Field(
        default="auto",
        description="Where counts are kept and added to. auto: a GPU where there is one and "
        "driftline[gpu] is installed, else the CPU. Counts are the same.",
        examples=["cpu"],
    )
    metrics: MetricsSettings = Field(
        default=MetricsSettings(), description="What /metrics exports.", examples=[{"per_feature": "top"}]
    )
    web: WebSettings = Field(
        default=WebSettings(), description="The embedded web server.", examples=[{"listen": ":8710"}]
    )
    log: LogSettings = Field(default=LogSettings(), description="Logs.", examples=[{"level": "info"}])

    _origin: Origin = PrivateAttr(default_factory=Origin)
    _warnings: tuple[Finding, ...] = PrivateAttr(default=())

    @property
    def origin(self) -> Origin:
        """Where each setting stands in the files."""
        return self._origin

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is doubtful but not wrong."""
        return self._warnings

    def attach(self, origin: Origin, warnings: tuple[Finding, ...]) -> Settings:
        """Give fresh settings their places; called once, by `load`."""
        self._origin, self._warnings = origin, warnings
        return self

    def locate(self, problem: Problem) -> Finding:
        return self._origin.locate(problem)

    def dead_letter_to(self, source: str) -> str:
        """Where the rejects of a source go: a replica's disk is gone with it."""
        return self.sources[source].dead_letter.to or ("file" if self.state.log == "local" else "topic")

    def dead_letter_topic(self, source: str) -> str:
        return self.sources[source].dead_letter.topic or f"{self.state.kafka.prefix}.dlq"

    def source_of(self, model: str) -> str:
        """Name of the source of a model: as written, or the only one there is."""
        return self.models[model].source or next(iter(self.sources))

    def labels_of(self, source: str) -> tuple[str, ...]:
        """The models whose labels come from a source."""
        return tuple(
            name
            for name, model in self.models.items()
            if model.labels is not None and model.labels.source == source
        )

    def carried_by(self, source: str) -> tuple[str, ...]:
        """The models whose predictions, or whose labels, come from a source."""
        labelled = self.labels_of(source)
        return tuple(name for name in self.models if self.source_of(name) == source or name in labelled)
