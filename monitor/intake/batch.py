"""Kafka's records to `Batch`.

What is asked of every record is asked with one pass of a C loop each, and only of what a fold needs:
keys and headers stay in the client's records until a reject is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, groupby, pairwise
from typing import Generic, TypeVar, overload

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message
from numpy.typing import NDArray

from monitor.columns import Batch
from monitor.names import Source

_Field = TypeVar("_Field")


class Fetched(Sequence[_Field], Generic[_Field]):
    """One field of each record, taken out of the client's record when it is looked at."""

    __slots__ = ("_get", "_records")

    def __init__(self, get: Callable[[Message], _Field], records: Sequence[Message]) -> None:
        self._get = get
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __add__(self, other: Fetched[_Field]) -> Fetched[_Field]:
        return Fetched(self._get, [*self._records, *other._records])

    @overload
    def __getitem__(self, at: int) -> _Field: ...
    @overload
    def __getitem__(self, at: slice) -> Fetched[_Field]: ...
    def __getitem__(self, at: int | slice) -> _Field | Fetched[_Field]:
        if isinstance(at, slice):
            return Fetched(self._get, self._records[at])
        return self._get(self._records[at])


def by_source(records: Sequence[Message], *, one_topic: bool = False) -> dict[Source, list[Message]]:
    """The records of each partition, in the order they came; none may be an error.

    One answer to a fetch holds many records of one partition, so they come in long runs. Of one
    topic they are told apart by number alone: comparing names would cost as much again.
    """
    taken: dict[Source, list[Message]] = {}
    topics = [(None, records)] if one_topic else groupby(records, Message.topic)
    for _, mine in topics:
        for number, run in groupby(mine, Message.partition):
            found = list(run)
            source = Source(found[0].topic() or "", int(number or 0))
            held = taken.setdefault(source, found)
            if held is not found:
                held.extend(found)
    return taken


def batches_of(source: Source, records: Sequence[Message], *, start: int) -> list[Batch]:
    """Batches of the records of one partition from offset `start` on; they must be in offset order.

    A new batch begins where the kind of the timestamps changes: a topic may be switched from the
    producers' clocks to the broker's while it is read.
    """
    offsets = _offsets(records)
    if len(records) and offsets[0] < start:
        first = int(np.searchsorted(offsets, start))
        records, offsets = records[first:], offsets[first:]
    stamps = np.fromiter(chain.from_iterable(map(Message.timestamp, records)), np.int64, 2 * len(records))
    kind, timestamps = stamps[::2], stamps[1::2].copy()
    timestamps[kind == TIMESTAMP_NOT_AVAILABLE] = -1
    appended = kind == TIMESTAMP_LOG_APPEND_TIME
    cuts = [0, *(np.flatnonzero(np.diff(appended)) + 1).tolist(), len(records)]
    return [
        _batch(
            source,
            records if b - a == len(records) else records[a:b],
            offsets[a:b],
            timestamps[a:b],
            log_append=bool(appended[a]),
        )
        for a, b in pairwise(cuts)
        if b > a
    ]


def _batch(
    source: Source,
    records: Sequence[Message],
    offsets: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    *,
    log_append: bool,
) -> Batch:
    return Batch(
        source=source,
        values=list(map(Message.value, records)),
        keys=Fetched(Message.key, records),
        headers=Fetched(Message.headers, records),  # type: ignore[arg-type]
        offsets=offsets,
        timestamps=timestamps,
        log_append=log_append,
    )


def _offsets(records: Sequence[Message]) -> NDArray[np.int64]:
    """Ascending offsets are consecutive where the last lies as far from the first as there are records."""
    count = len(records)
    if count:
        first, last = records[0].offset() or 0, records[-1].offset() or 0
        if last - first == count - 1:
            return np.arange(first, last + 1)
    return np.fromiter(map(Message.offset, records), np.int64, count)
