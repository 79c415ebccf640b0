"""Kafka's records to `Batch`.

Of the client library's records what is asked of every one is asked with one pass of a C loop each, and only
what a fold needs: keys and headers stay in them until a reject is kept. See `fetch.py` for the shorter way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message
from numpy.typing import NDArray

from monitor.columns import Batch
from monitor.names import Source

_Field = TypeVar("_Field")


class Fault(NamedTuple):
    """What came in place of a record: the end of a partition, or why it cannot be read."""

    source: Source
    """Partition -1, or topic "", where it concerns no single one."""
    code: int
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one partition in offset order, as `Batch` but for timestamps of either kind.

    appended  bool[records]  whose timestamp is the broker's
    """

    source: Source
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    headers: Sequence[Any]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    appended: NDArray[np.bool_]


class Taken(NamedTuple):
    """What one call of the client gave; at most one run of each partition."""

    runs: Sequence[Run] = ()
    faults: Sequence[Fault] = ()

    @property
    def size(self) -> int:
        """How many records, and what came in place of some."""
        return sum(len(run.offsets) for run in self.runs) + len(self.faults)


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


def taken_of(records: Sequence[Message], *, one_topic: bool = False) -> Taken:
    """What a list of the client library's records holds."""
    faults = []
    if any(map(Message.error, records)):
        faults = faults_of(records)
        records = [record for record in records if record.error() is None]
    held = by_source(records, one_topic=one_topic)
    return Taken([run_of(source, mine) for source, mine in held.items()], faults)


def faults_of(records: Sequence[Message]) -> list[Fault]:
    """What came in place of records."""
    pairs = ((record, record.error()) for record in records)
    return [
        Fault(source_of(record), error.code(), error.str(), record.offset() or 0)
        for record, error in pairs
        if error is not None
    ]


def source_of(record: Message) -> Source:
    """Where a record comes from, or what came in place of one."""
    number = record.partition()
    return Source(record.topic() or "", -1 if number is None else int(number))


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


def run_of(source: Source, records: Sequence[Message]) -> Run:
    """The client library's records of one partition; they must be in offset order."""
    stamps = np.fromiter(chain.from_iterable(map(Message.timestamp, records)), np.int64, 2 * len(records))
    kind, timestamps = stamps[::2], stamps[1::2].copy()
    timestamps[kind == TIMESTAMP_NOT_AVAILABLE] = -1
    return Run(
        source=source,
        values=list(map(Message.value, records)),
        keys=Fetched(Message.key, records),
        headers=Fetched(Message.headers, records),
        offsets=_offsets(records),
        timestamps=timestamps,
        appended=kind == TIMESTAMP_LOG_APPEND_TIME,
    )


def batches_of(run: Run, *, start: int) -> list[Batch]:
    """Batches of a run from offset `start` on.

    A new batch begins where the kind of the timestamps changes: a topic may be switched from the
    producers' clocks to the broker's while it is read.
    """
    first, count = int(np.searchsorted(run.offsets, start)), len(run.offsets)
    cuts = [first, *(np.flatnonzero(np.diff(run.appended[first:])) + first + 1).tolist(), count]
    return [_batch(run, a, b) for a, b in pairwise(cuts) if b > a]


def _batch(run: Run, a: int, b: int) -> Batch:
    whole = b - a == len(run.offsets)
    return Batch(
        source=run.source,
        values=run.values if whole else run.values[a:b],
        keys=run.keys if whole else run.keys[a:b],
        headers=run.headers if whole else run.headers[a:b],
        offsets=run.offsets[a:b],
        timestamps=run.timestamps[a:b],
        log_append=bool(run.appended[a]),
    )


def _offsets(records: Sequence[Message]) -> NDArray[np.int64]:
    """Ascending offsets are consecutive where the last lies as far from the first as there are records."""
    count = len(records)
    if count:
        first, last = records[0].offset() or 0, records[-1].offset() or 0
        if last - first == count - 1:
            return np.arange(first, last + 1)
    return np.fromiter(map(Message.offset, records), np.int64, count)
