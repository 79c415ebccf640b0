"""Client properties of a member of a consumer group whose positions are the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException

TUNED = {
    "queued.max.messages.kbytes": 32_768,
    "fetch.queue.backoff.ms": 2,
}
"""32 MiB of records fetched ahead are 0.1 s of work. When as much lies there the client stops fetching,
for a whole second unless it is told otherwise: ten times as long as what it holds lasts."""
_DEFAULTS = {**TUNED, "client.id": "driftline", "check.crcs": True}
"""Without the checksums, a record that was damaged on a disk or on its way is counted as if it were another."""
_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}


def member_properties(
    properties: Mapping[str, Any], *, group: str, on_commit: Callable[..., object]
) -> dict[str, Any]:
    """Those of the configuration with our defaults; what decides on offsets is ours alone."""
    chosen = {**_DEFAULTS, **properties, **_OURS, "group.id": group, "on_commit": on_commit}
    if properties.get("group.protocol") != "consumer":
        chosen["partition.assignment.strategy"] = "cooperative-sticky"
    return chosen


def group_view(client: Client) -> object:
    """What the client knows of its group: it changes when it has been taken in. None where it is closed."""
    try:
        return client.consumer_group_metadata()
    except (KafkaException, RuntimeError):
        return None
