"""`Logs` over a real Kafka."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.clock import Clock
from monitor.errors import StateError
from monitor.state.kafka.appender import Appender
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.kafka.properties import READING, merged
from monitor.state.kafka.reader import Reader

DEADLINE = 10.0
"""Seconds that a write waits, and that a read waits for something to come: the liveness probe waits 30,
and a broker fails over in less."""
_CLOSE_SECONDS = 3.0
"""That all clients may take to disconnect: nothing that counts is waited for."""
_KEPT = 4
"""Readers kept for use: reads of as many threads at once. Each is four threads of the client library."""


class ReadingBroker:
    """Reads alone. Owns its clients from here to `close`; nothing is asked of Kafka before the first call.

    Any reader reads any place: it takes a millisecond to give it one. Ends are asked for by a client
    that never fetches, so that no answer waits behind a fetch.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        clock: Clock,
        group: str = "driftline",
        patience: float = DEADLINE,
    ) -> None:
        """`properties` are librdkafka's. `group` begins the name that the library asks of a reader;
        no group is joined.

        `patience`: seconds without an answer after which a call raises. Raises StateError when the
        properties are refused.
        """
        self._reading = merged(properties, {**READING, "group.id": f"{group}.read"})
        self._clock = clock
        self._patience = patience
        self._readers: deque[Reader] = deque()
        self._is_closed = False
        self._asking = self._connect()

    def partitions(self, topic: str) -> int:
        return self._asking.partitions(topic)

    def write(self, records: Sequence[Write]) -> list[int]:
        raise _refused(records)

    def send(self, records: Sequence[Write]) -> None:
        raise _refused(records)

    def end(self, place: Place) -> int:
        return self._asking.end(place)

    def read(self, place: Place, start: int) -> Iterator[Record]:
        end = self._asking.end(place)
        return self._read(place, max(start, 0), end) if start < end else iter(())

    def close(self) -> None:
        """Disconnect. Every later call raises StateError; a read that is under way does so too, or comes
        to its end."""
        self._is_closed = True
        closing = [_close_aside(self._asking)]
        with contextlib.suppress(IndexError):
            while True:
                closing.append(_close_aside(self._readers.pop()))
        end = self._clock.monotonic() + _CLOSE_SECONDS
        for thread in closing:
            thread.join(max(end - self._clock.monotonic(), 0.0))

    def _read(self, place: Place, start: int, end: int) -> Iterator[Record]:
        reader = self._borrow()
        try:
            yield from reader.read(place, start, end)
        finally:
            self._give_back(reader)

    def _borrow(self) -> Reader:
        try:
            return self._readers.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, reader: Reader) -> None:
        if reader.is_broken or self._is_closed or len(self._readers) >= _KEPT:
            _close_aside(reader)
        else:
            self._readers.append(reader)

    def _connect(self) -> Reader:
        return Reader(self._reading, clock=self._clock, patience=self._patience)


class Broker(ReadingBroker):
    """Reads and appends."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        clock: Clock,
        group: str = "driftline",
        deadline: float = DEADLINE,
        patience: float = DEADLINE,
    ) -> None:
        """As that of a reader; `deadline`: seconds that a write waits."""
        super().__init__(properties, clock=clock, group=group, patience=patience)
        try:
            self._appender = Appender(properties, clock=clock, deadline=deadline)
        except StateError:
            self._asking.close()
            raise

    def write(self, records: Sequence[Write]) -> list[int]:
        return self._appender.write(records)

    def send(self, records: Sequence[Write]) -> None:
        self._appender.send(records)

    def close(self) -> None:
        """As that of a reader; what is not acknowledged is dropped."""
        self._appender.close()
        super().close()


def _close_aside(reader: Reader) -> threading.Thread:
    """A client whose broker does not answer may take its time to end."""
    thread = threading.Thread(target=reader.close, name="state-reader-close", daemon=True)
    thread.start()
    return thread


def _refused(records: Sequence[Write]) -> StateError:
    places = ", ".join(sorted({str(record.place) for record in records}))
    return StateError(f"opened for reading - {places} - nothing is written")
