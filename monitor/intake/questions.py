"""What a consumer asks of the broker. Each waits for the answer, and says so where none comes."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from monitor.errors import IntakeError
from monitor.intake.client import describe
from monitor.names import Source

QUERY_SECONDS = 5.0
"""How long a question to the broker may take; the poll interval is 300 s, the liveness limit 30 s."""


def query(client: Client, source: Source, timeout: float) -> tuple[int, int]:
    """Low and end offset now; (-1, -1) when the broker does not answer in time."""
    try:
        found = client.get_watermark_offsets(TopicPartition(*source), timeout=timeout)
    except (KafkaException, RuntimeError):
        return -1, -1
    return (int(found[0]), int(found[1])) if found else (-1, -1)


def partition_count(client: Client, topic: str) -> int:
    """How many partitions a topic has; 0 when the broker does not answer in time, or does not know it."""
    try:
        found = client.list_topics(topic, timeout=QUERY_SECONDS).topics.get(topic)
    except (KafkaException, RuntimeError):
        return 0
    return len(found.partitions) if found is not None and found.error is None else 0


def committed(client: Client, sources: Collection[Source]) -> dict[Source, int]:
    """The offsets that the group has committed, -1 where it has none. Raises IntakeError when the
    broker does not say."""
    try:
        places = client.committed([TopicPartition(*source) for source in sources], QUERY_SECONDS)
    except (KafkaException, RuntimeError) as error:
        raise IntakeError(f"no answer - committed offsets of the group - {describe(error)}") from error
    failed = next((place.error for place in places if place.error is not None), None)
    if failed is not None:
        raise IntakeError(f"no answer - committed offsets of the group - {failed.str()}")
    return {Source(place.topic, place.partition): max(int(place.offset), -1) for place in places}
