"""The identities that records, sketches and incidents are known by."""

from __future__ import annotations

import enum
import uuid
from typing import NamedTuple

NAMESPACE = uuid.UUID("6f0f9b1c-6c2e-5b0e-9d7e-2c1f0f3b8a51")
"""Namespace of every content-derived id; changing it would re-page every open incident."""

CHAMPION = "champion"
"""The variant of rows that name none."""


class Reason(enum.StrEnum):
    """Why a record could not become a row, or a row was not counted in a pane."""

    DECODE = "decode"
    OVERSIZE = "oversize"
    DEPTH = "depth"
    UNKNOWN_MODEL = "unknown_model"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_TIME = "bad_time"
    FUTURE = "future"
    LATE = "late"
    DUPLICATE_KEY = "duplicate_key"


REASONS: tuple[Reason, ...] = tuple(Reason)
"""Index of a reason in `Sketch.rejects`; append only, the order is stored."""


class Source(NamedTuple):
    """One input partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class SketchKey(NamedTuple):
    """What a sketch counts. Unique in the state log."""

    model: str
    """Model name; "" for the source ledger (rejects that name no model)."""
    config: str
    """Digest of everything that gives the counts their meaning; see `plan.ModelPlan.config`."""
    version: str
    variant: str
    segment: str
    pane: int
    """Start of the pane, milliseconds since the epoch."""
    source: Source


def content_id(*parts: object) -> str:
    """A stable id derived from `parts`, so that every replica and every retry agrees on it."""
    return str(uuid.uuid5(NAMESPACE, "|".join(str(part) for part in parts)))


PROTOCOL = "group.protocol"
"""The client property that says how the members of a consumer group and the brokers share partitions out."""
CLASSIC, CONSUMER, AUTO = "classic", "consumer", "auto"
PROTOCOLS = (CLASSIC, CONSUMER, AUTO)
"""Its values; `auto` is ours, and decided before a client is made."""
CLASSIC_ONLY = (
    *("session.timeout.ms", "heartbeat.interval.ms"),
    *("partition.assignment.strategy", "group.protocol.type"),
)
"""Properties that the client library refuses beside the newer protocol, in which the brokers decide on them."""
