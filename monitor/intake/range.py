"""The records of a topic between two times, once, for replay and reference building."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from confluent_kafka import KafkaException, TopicPartition

from monitor.clock import Clock, SystemClock
from monitor.columns import Batch
from monitor.errors import IntakeError
from monitor.intake.span import QUERY_SECONDS, Span, SpanReader, chosen
from monitor.names import Source

SLACK_MS = 300_000
"""Producers' clocks disagree: records up to 5 min out of order are still found at the end."""


def read_range(
    properties: Mapping[str, Any],
    topic: str,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    clock: Clock | None = None,
    direct: bool = False,
) -> Iterator[Batch]:
    """Records with record timestamps in [since_ms, until_ms), each partition in offset order.

    None is the start, or the end, of what the topic holds now: records that are written during
    the read are left out. `direct`: as of `SpanReader`. Raises IntakeError when the topic cannot be read.
    """
    reader = SpanReader(properties, clock=clock or SystemClock(), direct=direct)
    try:
        spans = {source: _span(reader, source, since_ms, until_ms) for source in reader.sources(topic)}
        for batches in reader.read(spans):
            for batch in batches:
                inside = _inside(batch, since_ms, until_ms)
                if len(inside):
                    yield inside
    finally:
        reader.close()


def sources_of(
    properties: Mapping[str, Any], topic: str, *, clock: Clock | None = None
) -> tuple[Source, ...]:
    """The partitions of a topic. Raises IntakeError when it cannot be read."""
    reader = SpanReader(properties, clock=clock or SystemClock())
    try:
        return reader.sources(topic)
    finally:
        reader.close()


def _span(reader: SpanReader, source: Source, since_ms: int | None, until_ms: int | None) -> Span:
    low, end = reader.bounds(source)
    start, stop = low, end
    if low < end and since_ms is not None:
        found = _offset_at(reader, source, since_ms)
        if found >= 0:
            start = max(low, found)
        elif _offset_at(reader, source, 0) >= 0:
            start = end
        # else: a broker without a time index knows no record of any time, and all must be looked at
    if low < end and until_ms is not None:
        found = _offset_at(reader, source, until_ms + SLACK_MS)
        stop = min(end, found) if found >= 0 else end
    return start, stop


def _offset_at(reader: SpanReader, source: Source, time: int) -> int:
    """The first offset whose record is not older than `time`; -1 when the broker knows of none."""
    try:
        found = reader.client.offsets_for_times(
            [TopicPartition(*source, max(time, 0))], timeout=QUERY_SECONDS
        )[0]
    except KafkaException as error:
        raise IntakeError(f"no offset for a time - {source} - {error.args[0].str()}") from error
    if found.error is not None:
        raise IntakeError(f"no offset for a time - {source} - {found.error.str()}")
    return int(found.offset)


def _inside(batch: Batch, since_ms: int | None, until_ms: int | None) -> Batch:
    keep = np.ones(len(batch), np.bool_)
    if since_ms is not None:
        keep &= batch.timestamps >= since_ms
    if until_ms is not None:
        keep &= batch.timestamps < until_ms
    return batch if keep.all() else chosen(batch, np.flatnonzero(keep).tolist())
