"""What the protocol needs of Kafka: partitions of our own topics, appended to and read in order.

`broker` is the real one; the tests have a deterministic one that crashes, delays and compacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """A partition of one of our own topics."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Record(NamedTuple):
    """A record that was read."""

    offset: int
    key: bytes
    value: bytes | None
    """None: a tombstone, which compaction takes together with all older records of the key."""


class Write(NamedTuple):
    """A record to be written."""

    place: Place
    key: bytes
    value: bytes | None


class Logs(Protocol):
    """Safe to call from several threads. Every call may raise StateError."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic of ours has. Raises StateMissing when it does not exist."""
        ...

    def write(self, records: Sequence[Write]) -> list[int]:
        """Append records, in order within a place; their offsets, once all in-sync replicas have them.

        Raises StateUnsettled when one of them was not acknowledged: then any of them may be in the
        log, or may yet come to be, before or after what is written next.

        Acknowledged or not, a record is in the log once at most: whoever reads would take the second of two
        for one that came late, and compaction the first, by whose place it counts.
        """
        ...

    def send(self, records: Sequence[Write]) -> None:
        """As `write`, without waiting: for what need not be durable (tombstones, progress). Never raises."""
        ...

    def end(self, place: Place) -> int:
        """The offset that the next record will get, asked of the broker now."""
        ...

    def read(self, place: Place, start: int) -> Iterator[Record]:
        """Every record from `start` on that is left, up to the end as it was when the call was made.

        A `start` that retention or compaction has overtaken begins with the first record that is left.
        The caller goes on from `end`, or from the offset after the last record it was given.
        """
        ...
