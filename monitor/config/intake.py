"""Settings of Kafka and of the topics that are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from monitor.config.base import Group, expand
from monitor.config.fields import (
    Choice,
    DottedPath,
    Duration,
    Name,
    SecretText,
    Share,
    Size,
    Text,
    Topic,
    Whole,
    as_text,
    bounded,
    refuse,
)
from monitor.config.quantity import format_duration, format_size

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000

Span = Annotated[Duration, bounded(0, 30 * DAY, format_duration)]
Period = Annotated[Duration, bounded(SECOND, 30 * DAY, format_duration)]


def _brokers(value: Any) -> Any:
    """A list of addresses, or one text with commas, as `${env:KAFKA_BROKERS}` often is."""
    texts = value if isinstance(value, list) else [value]
    found = [part.strip() for text in texts for part in as_text(text).split(",")]
    for address in found:
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port[:6]) < 65536:
            raise refuse("bad-address", "a broker is written host:port", got=_original(texts, address))
    return tuple(found)


def _original(texts: list[Any], address: str) -> Any:
    """The text that `address` was split from, which knows whether it may be shown."""
    return next((text for text in texts if address in str(text)), address)


class SecretProperty(Group):
    """A secret librdkafka property: `{file: …}`, or its text, usually `${env:…}`."""

    shorthand = "value"

    file: Text = Field(
        default="",
        description="File that holds the secret. A sasl.password that changes there is used from the next "
        "connection on, anything else after a restart.",
        examples=["/run/secrets/kafka"],
    )
    value: SecretText | None = Field(
        default=None, description="The secret itself.", examples=["${env:KAFKA_PASSWORD}"]
    )


class Kafka(Group):
    """How Kafka is reached."""

    brokers: Annotated[
        tuple[str, ...],
        BeforeValidator(_brokers),
        WithJsonSchema(
            {"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}]}
        ),
    ] = Field(
        description="Addresses to begin with, host:port; a text with commas is split.",
        examples=[["kafka-0:9092", "kafka-1:9092"]],
        min_length=1,
    )
    group: Name = Field(
        default="driftline",
        description="Prefix of the consumer group ids; change it to start apart from another driftline.",
        examples=["driftline"],
    )
    properties: dict[str, Text] = Field(
        default_factory=dict,
        description="Any librdkafka property of the clients. group.protocol: classic (cooperative-sticky, the default), "
        "consumer (KIP-848), or auto: consumer where all brokers have it and no member speaks classic; the log says why.",
        examples=[{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"}],
    )
    secret_properties: dict[str, Annotated[SecretProperty, expand(SecretProperty)]] = Field(
        default_factory=dict,
        description="Properties that are never shown.",
        examples=[{"sasl.password": {"file": "/run/secrets/kafka"}}],
    )


class TimeField(Group):
    """Where the event time of a record stands."""

    shorthand = "path"

    path: DottedPath = Field(description="Path of the field.", examples=["ts"])
    unit: Annotated[str, Choice(("s", "ms", "us", "ns", "rfc3339"))] = Field(
        default="ms",
        description="Unit of the numbers since 1970, or rfc3339 for texts such as 2026-11-22T20:00:07Z.",
        examples=["ms", "rfc3339"],
    )


class LatencyField(Group):
    """Where the latency of a prediction stands."""

    shorthand = "path"

    path: DottedPath = Field(description="Path of the field.", examples=["latency_ms"])
    unit: Annotated[str, Choice(("s", "ms", "us", "ns"))] = Field(
        default="ms", description="Unit of the number.", examples=["ms"]
    )


class Fields(Group):
    """Where the parts of a record stand, as dotted paths."""

    id: DottedPath = Field(
        default=(), description="Request id; the key of label joins and of duplicate checks.", examples=["id"]
    )
    time: Annotated[TimeField, expand(TimeField)] | None = Field(
        default=None,
        description="Event time; left out, the timestamp of the Kafka record is the event time.",
        examples=[{"path": "ts", "unit": "ms"}],
    )
    model: DottedPath = Field(
        default=(),
        description="Model name; left out, the topic carries exactly one model.",
        examples=["model"],
    )
    version: DottedPath = Field(default=(), description="Version of the model.", examples=["version"])
    variant: DottedPath = Field(
        default=(), description="champion, challenger, or any word of your own.", examples=["variant"]
    )
    latency: Annotated[LatencyField, expand(LatencyField)] | None = Field(
        default=None,
        description="How long the prediction took.",
        examples=[{"path": "latency_ms", "unit": "ms"}],
    )
    error: DottedPath = Field(
        default=(),
        description="A field that is present and neither null, false, 0, empty, ok nor "
        "a 2xx status marks a failed prediction.",
        examples=["status"],
    )


class DeadLetter(Group):
    """What happens to records that cannot become rows."""

    to: Annotated[str, Choice(("file", "topic", "count"))] | None = Field(
        default=None,
        description="file: JSON lines on disk; topic: the original bytes with headers; count: only counted. "
        "Default: file, and topic with state.log: kafka.",
        examples=["file", "topic"],
    )
    path: Text = Field(
        default="",
        description="File; a relative one lies in state.dir. Default: dead-letters/<source>.jsonl.",
        examples=["dead-letters/predictions.jsonl"],
    )
    topic: Topic | None = Field(
        default=None,
        description="Topic, for `to: topic`. Default: <state.kafka.prefix>.dlq.",
        examples=["predictions.dlq"],
    )
    limit: Share = Field(
        default=0.05,
        description="Share of rejects in the last `over` records of a partition above which "
        "it is paused, so that a bad deploy does not divert everything; 100% never pauses.",
        examples=["5%"],
    )
    over: Annotated[Whole, bounded(20, 1_000_000)] = Field(
        default=1000,
        description="How many of the last records of a partition the limit looks at.",
        examples=[1000],
    )
    max_bytes: Annotated[Size, bounded(1 << 16, 1 << 44, format_size)] = Field(
        default=1 << 30,
        description="Size cap of the file; at the cap the partition waits.",
        examples=["1GiB"],
    )


class Source(Group):
    """One input topic and how its records are read."""

    topic: Topic = Field(description="Name of the topic.", examples=["predictions"])
    format: Annotated[
        str,
        Choice(
            ("json",),
            later=(
                "avro",
                "protobuf",
                "msgpack",
                "cloudevents",
                "kserve",
                "kserve-v1",
                "oip",
                "oip-v2",
                "seldon",
                "mlserver",
                "bentoml",
                "sagemaker",
                "databricks",
                "tf-serving",
                "debezium",
            ),
        ),
    ] = Field(default="json", description="Format of the records.", examples=["json"])
    fields: Fields = Field(
        default=Fields(),
        description="Where the parts of a record stand.",
        examples=[{"id": "id", "time": {"path": "ts", "unit": "ms"}, "model": "model"}],
    )
    start: Annotated[str, Choice(("earliest", "latest"))] = Field(
        default="earliest", description="Where a partition without state starts.", examples=["latest"]
    )
    unreadable: Annotated[str, Choice(("stop", "skip"))] = Field(
        default="stop",
        description="What happens at a batch whose checksum is wrong or that cannot be decompressed. stop: the "
        "partition waits there; skip: reading goes on behind it, and the window counts as partial.",
        examples=["stop", "skip"],
    )
    dead_letter: DeadLetter = Field(
        default=DeadLetter(),
        description="What happens to rejected records.",
        examples=[{"to": "topic", "topic": "predictions.dlq"}],
    )
    watermark_bound: Span = Field(
        default=30 * SECOND,
        description="How far out of order records of one partition "
        "usually are; the watermark stays this far behind.",
        examples=["30s"],
    )
    max_future: Period = Field(
        default=5 * MINUTE,
        description="An event further ahead of the clock is not believed.",
        examples=["5m"],
    )
    max_ahead: Annotated[Duration, bounded(MINUTE, 3650 * DAY, format_duration)] = Field(
        default=7 * DAY,
        description="A record further ahead of the agreed watermark needs 20 that agree.",
        examples=["7d"],
    )
    idle: Period = Field(
        default=MINUTE,
        description="A partition read to its end and silent for this long holds no window up.",
        examples=["1m"],
    )
    max_bytes: Annotated[Size, bounded(1024, 1 << 28, format_size)] = Field(
        default=1 << 20, description="Larger records are rejected as oversize.", examples=["1MiB"]
    )
    max_depth: Annotated[Whole, bounded(1, 512)] = Field(
        default=64, description="Records nested deeper are rejected.", examples=[64]
    )
