"""Properties of the clients that read and append to our own topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEFAULTS = {
    "client.id": "driftline",
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 500,
    "reconnect.backoff.max.ms": 2_000,
}
"""Unless the configuration says otherwise. The state is asked in small requests, whose answers are waited
for; and while a broker is away nothing becomes durable, so it is looked for again every other second."""

APPENDING: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 2,
    "compression.type": "zstd",
    "compression.level": 1,
    "message.max.bytes": 1_000_000_000,
}
"""Idempotence keeps the order of a place over repeated requests, and writes nothing twice: `Logs.write` promises
both. A producer that has failed a write is given up (`appender.py`), so that none is begun anew under another id.
How large a record may be is the topic's decision.

Sketches come uncompressed, and those of a request have much in common: zstd of the lowest level makes them smaller
than zlib does each (58 MB instead of 68) in a third of its time, and the client library works at it beside us, above
all when a partition is recovered."""

READING: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "fetch.min.bytes": 1,
    "fetch.wait.max.ms": 1,
    "fetch.message.max.bytes": 8 << 20,
    "fetch.queue.backoff.ms": 2,
    "queued.max.messages.kbytes": 65_536,
}
"""A read knows where it ends, so the broker is never asked to wait for more: a request that waits there
would hold up the next one of its connection. Without partitions a client asks for nothing."""

_JOINING: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "latest",
    "queued.max.messages.kbytes": 1_024,
}

_ALIASES = frozenset(
    {
        "metadata.broker.list",
        "request.required.acks",
        "queue.buffering.max.ms",
        "compression.codec",
        "delivery.timeout.ms",
        "fetch.max.bytes",
        "max.partition.fetch.bytes",
        "transactional.id",
    }
)
"""Other names of what is ours to decide, and what contradicts it."""


def joining(properties: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Of a member of `group` that reads nothing; session and protocol are the configuration's.

    It has no name of its own, by which the group would wait for it to come back: it owns nothing that
    another could not take over.
    """
    theirs = {
        name: value
        for name, value in properties.items()
        if name not in _ALIASES and name != "group.instance.id"
    }
    chosen = {**_DEFAULTS, **theirs, **_JOINING, "group.id": group}
    if properties.get("group.protocol") != "consumer":
        chosen["partition.assignment.strategy"] = "cooperative-sticky"
    return chosen


def merged(properties: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's properties between our defaults and what is ours alone.

    None of a group is taken: who reads and appends here is no member of one.
    """
    theirs = {
        name: value
        for name, value in properties.items()
        if name not in ours and name not in _ALIASES and not name.startswith("group.")
    }
    return {**_DEFAULTS, **theirs, **ours}
