"""Reading a partition of the state topic, for one source or for several that are recovered together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import groupby

from monitor.errors import StateError
from monitor.names import Source
from monitor.state.kafka.keys import partition_of_source, prefixes_of
from monitor.state.kafka.logs import Logs, Place, Record

PASSES = 20
"""Reads of what came while reading; each is far shorter than the one before."""
HELD_BYTES = 256 << 20
"""Kept of the sources that wait for their turn; of those that do not fit the partition is read again."""


def read(logs: Logs, place: Place, prefixes: tuple[bytes, ...] = (b"",)) -> dict[bytes, bytes]:
    """The newest values by key, of the keys that begin with one of `prefixes`. Raises StateError."""
    held: dict[bytes, bytes] = {}

    def take(record: Record) -> None:
        if not record.key.startswith(prefixes):
            return
        if record.value is None:
            held.pop(record.key, None)
        else:
            held[record.key] = record.value

    _follow(logs, place, 0, take)
    return held


class Shared:
    """What a partition of the state topic holds of sources that are asked for one after the other.

    It is read once, and for each source only what came since. One thread.
    """

    def __init__(
        self, logs: Logs, place: Place, sources: Collection[Source], *, limit: int = HELD_BYTES
    ) -> None:
        """`sources` in the order in which they are asked for; `limit`: bytes that are kept of the others."""
        self.place = place
        self._logs = logs
        self._limit = limit
        self._waiting = list(sources)
        self._next = 0
        self._held: dict[Source, dict[bytes, bytes]] = {}
        self._sizes: dict[Source, int] = {}
        self._owners: dict[bytes, Source] = {}
        """By what the keys of a source begin with."""
        self._lengths: tuple[int, ...] = ()

    def of(self, source: Source) -> dict[bytes, bytes]:
        """The newest values by key of a source, as `read` gives them. It is forgotten here. Raises StateError."""
        if source in self._waiting:
            self._waiting.remove(source)
        if source not in self._held:
            self._begin([source, *self._waiting])
        self._next = _follow(self._logs, self.place, self._next, self._take)
        self._sizes.pop(source)
        return self._held.pop(source)

    def _begin(self, sources: list[Source]) -> None:
        self._next = 0
        self._held = {source: {} for source in sources}
        self._sizes = dict.fromkeys(sources, 0)
        self._owners = {prefix: source for source in sources for prefix in prefixes_of(source)}
        self._lengths = tuple({len(prefix) for prefix in self._owners})

    def _take(self, record: Record) -> None:
        self._next = record.offset + 1  # also where the read ends in an error, so that the next goes on
        key, value = record.key, record.value
        source = next((owner for n in self._lengths if (owner := self._owners.get(key[:n]))), None)
        held = None if source is None else self._held.get(source)
        if source is None or held is None:
            return
        before = held.pop(key, None)
        if before is not None:
            self._sizes[source] -= len(key) + len(before)
        if value is not None:
            held[key] = value
            self._sizes[source] += len(key) + len(value)
            self._bound()

    def _bound(self) -> None:
        """Forget those that wait longest, while the one that is asked for and those after it are too large."""
        while len(self._held) > 1 and sum(list(self._sizes.values())[1:]) > self._limit:
            last = next(reversed(self._held))
            del self._held[last], self._sizes[last]


def share(logs: Logs, topic: str, sources: Collection[Source]) -> Iterator[tuple[Source, Shared | None]]:
    """Sources with what reads them, those of one partition of the topic after each other.

    None where the topic does not answer: whoever asks then is told why.
    """
    try:
        count = logs.partitions(topic)
    except StateError:
        yield from ((source, None) for source in sources)
        return
    ordered = sorted(sources, key=lambda source: partition_of_source(source, count))
    for number, group in groupby(ordered, key=lambda source: partition_of_source(source, count)):
        together = list(group)
        shared = Shared(logs, Place(topic, number), together)
        yield from ((source, shared) for source in together)


def _follow(logs: Logs, place: Place, start: int, take: Callable[[Record], None]) -> int:
    """Read from `start` to the end; where the next record will be.

    Reads on until nothing came meanwhile: compaction may take a record from under us because of one
    that lies behind the end that we began with.
    """
    end = logs.end(place)
    for _ in range(PASSES):
        for record in logs.read(place, start):
            start = record.offset + 1
            take(record)
        start = max(start, end)
        end = logs.end(place)
        if end <= start:
            return start
    raise StateError(
        f"is written faster than it can be read - {place} - try again, or spread it over more brokers"
    )
