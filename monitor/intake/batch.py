"""Kafka's records to `Batch`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from monitor.columns import Batch
from monitor.names import Source


def batches_of(source: Source, records: Sequence[Message], *, start: int) -> list[Batch]:
    """Batches of the records of one partition from offset `start` on; they must be in offset order.

    A new batch begins where the kind of the timestamps changes: a topic may be switched from the
    producers' clocks to the broker's while it is read.
    """
    offsets = np.fromiter(map(Message.offset, records), np.int64, len(records))
    if len(records) and offsets[0] < start:
        first = int(np.searchsorted(offsets, start))
        records, offsets = records[first:], offsets[first:]
    kinds, stamps = zip(*map(Message.timestamp, records), strict=True) if records else ((), ())
    timestamps = np.array(stamps, np.int64)
    kind = np.array(kinds, np.int64)
    timestamps[kind == TIMESTAMP_NOT_AVAILABLE] = -1
    appended = kind == TIMESTAMP_LOG_APPEND_TIME
    cuts = [0, *(np.flatnonzero(np.diff(appended)) + 1).tolist(), len(records)]
    values = list(map(Message.value, records))
    keys = list(map(Message.key, records))
    headers = list(map(Message.headers, records))
    return [
        Batch(
            source=source,
            values=values[a:b],
            keys=keys[a:b],
            headers=headers[a:b],  # type: ignore[arg-type]
            offsets=offsets[a:b],
            timestamps=timestamps[a:b],
            log_append=bool(appended[a]),
        )
        for a, b in pairwise(cuts)
        if b > a
    ]
