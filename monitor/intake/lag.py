"""Where input partitions end now, for those who only look."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from monitor.errors import IntakeError
from monitor.intake.client import REFUSALS, Listener, client_properties, describe, refusal
from monitor.names import Source

_ABSENT = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 the library's public names
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_OURS = {"group.id": "driftline-read", "enable.auto.commit": False, "allow.auto.create.topics": False}
"""The group is named because the library asks for one; it is not joined."""


def ends_of(
    properties: Mapping[str, Any], sources: Collection[Source], *, timeout: float
) -> dict[Source, int]:
    """The end offset of each partition that there is. No group is joined.

    Raises IntakeError when Kafka does not answer: `timeout` is for each question, and the first that is
    not answered is the last that is asked.
    """
    chosen = {name: value for name, value in properties.items() if not name.startswith("group.")}
    listener = Listener()
    try:
        client = Consumer(client_properties({**chosen, **_OURS}, listener))
    except REFUSALS as error:
        raise IntakeError(f"no kafka client - {refusal(error)}") from error
    found = {}
    try:
        for source in sources:
            try:
                answer = client.get_watermark_offsets(TopicPartition(*source), timeout=timeout)
            except KafkaException as error:
                if error.args[0].code() in _ABSENT:
                    continue
                raise IntakeError(
                    f"no end offset ({describe(error)}) - {source} - brokers that answer"
                ) from error
            if answer is None:
                raise IntakeError(f"no end offset in {timeout:g} s - {source} - brokers that answer")
            found[source] = int(answer[1])
    finally:
        client.close()
    return found
