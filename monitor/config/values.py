"""What the configuration comes to: plain frozen values for the daemon and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from monitor.consistency.plan import ServerPlan
from monitor.deliver.plan import AlertsPlan
from monitor.names import AUTO, PROTOCOL
from monitor.plan import ModelPlan, SourcePlan
from monitor.registry.plan import RegistryPlan
from monitor.secret import Secret


@dataclass(frozen=True, slots=True)
class KafkaPlan:
    """How Kafka is reached. Secrets are read when a client is made, so that rotation needs no restart."""

    brokers: tuple[str, ...]
    group: str = "driftline"
    """Prefix of the consumer group ids."""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def client(self) -> dict[str, str]:
        """librdkafka properties, `bootstrap.servers` among them and secrets in clear: never log this.

        Raises OSError when the file of a secret cannot be read.
        """
        revealed = {key: secret.reveal() for key, secret in self.secrets.items()}
        given = dict(self.properties)
        if self.is_protocol_open:
            del given[PROTOCOL]  # until it is decided, clients have the one that every broker has
        return {"bootstrap.servers": ",".join(self.brokers), **given, **revealed}

    @property
    def is_protocol_open(self) -> bool:
        """Whether the brokers are to be asked for the protocol of the groups."""
        return self.properties.get(PROTOCOL) == AUTO

    @property
    def readers(self) -> str:
        """The consumer group that shares the source partitions out."""
        return f"{self.group}.ingest"

    def speaking(self, protocol: str) -> KafkaPlan:
        """The same, with the protocol of the groups decided."""
        return replace(self, properties={**self.properties, PROTOCOL: protocol})


@dataclass(frozen=True, slots=True)
class TopicsPlan:
    """Our own topics."""

    prefix: str = "driftline"
    partitions: int = 12
    """Of the state topic; sources are spread over them."""
    model_partitions: int = 12
    """Of the topics of sketches and ledger; models are spread over them."""
    replication: int = 3


@dataclass(frozen=True, slots=True)
class StatePlan:
    """Where state lies and the pace of the loops. Times in milliseconds."""

    log: str = "local"
    dir: str = "driftline-state"
    checkpoint: int = 10_000
    stall: int = 120_000
    max_hold: int = 900_000
    kafka: TopicsPlan = field(default_factory=TopicsPlan)


@dataclass(frozen=True, slots=True)
class MetricsPlan:
    per_feature: str = "top"
    """top | all | none"""
    top_k: int = 20
    max_series: int = 20_000


@dataclass(frozen=True, slots=True)
class WebPlan:
    host: str = ""
    """Empty: all addresses."""
    port: int = 8710
    external_url: str = "http://localhost:8710"
    enable_lifecycle: bool = False
    token: Secret = field(default_factory=Secret)
    route_prefix: str = ""
    """"/driftline", or "" for the root."""


@dataclass(frozen=True, slots=True)
class LogPlan:
    format: str = "auto"
    """auto | json | text"""
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Plans:
    """Everything the daemon is built from."""

    kafka: KafkaPlan
    sources: tuple[SourcePlan, ...]
    """Only those that carry a model."""
    models: tuple[ModelPlan, ...]
    labels: tuple[ModelPlan, ...]
    """How the labels of some of them are counted."""
    alerts: AlertsPlan
    stores: Mapping[str, ServerPlan]
    """Online feature stores, by model."""
    registries: Mapping[str, RegistryPlan]
    """Of the models that are in one."""
    state: StatePlan
    metrics: MetricsPlan
    web: WebPlan
    log: LogPlan
    memory: int
    """Most bytes the counts may need."""
