"""What a cluster says of itself, asked once without joining a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException

from monitor.errors import IntakeError
from monitor.intake.client import Listener, client_properties


@dataclass(frozen=True, slots=True)
class ClusterMetadata:
    """`topics` maps every topic that the credentials can see to its number of partitions."""

    brokers: tuple[str, ...]
    topics: Mapping[str, int]


def ask(properties: Mapping[str, Any], *, timeout: float = 10.0) -> ClusterMetadata:
    """Connect, ask for the metadata, disconnect. Creates no topic.

    Raises IntakeError when the properties are refused or nobody answers within `timeout` seconds.
    """
    ours = {"group.id": "driftline.check", "allow.auto.create.topics": False, "enable.auto.commit": False}
    listener = Listener()
    try:
        client = Client(client_properties({**properties, **ours}, listener))
    except (KafkaException, ValueError, TypeError) as error:
        raise IntakeError(f"kafka refuses the properties - kafka.properties - {_text(error)}") from error
    try:
        found = client.list_topics(timeout=timeout)
    except KafkaException as error:
        why = listener.reason(client, error)
        raise IntakeError(f"no answer ({why}) - kafka.brokers - brokers that can be reached") from error
    finally:
        client.close()
    brokers = tuple(f"{broker.host}:{broker.port}" for broker in found.brokers.values())
    topics = {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}
    return ClusterMetadata(brokers, topics)


def _text(error: BaseException) -> str:
    cause = error.args[0] if error.args else error
    return str(cause.str()) if hasattr(cause, "str") else str(cause)
