"""Appends records to our own topics and waits until all in-sync replicas have them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from monitor.clock import Clock
from monitor.errors import StateError, StateUnsettled
from monitor.intake.client import REFUSALS, describe, refusal
from monitor.intake.rotation import connect
from monitor.state.kafka.listener import StateListener
from monitor.state.kafka.logs import Write
from monitor.state.kafka.properties import APPENDING, merged

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.5
"""How long the serving thread waits for acknowledgements before it looks whether it should end."""
_FULL_SECONDS = 0.005
"""Between two tries while the client holds as many bytes as it may."""
_CLOSE_SECONDS = 1.0


class _Receipt:
    """The offsets of one write as they come. Written by the serving thread alone until it is `done`."""

    def __init__(self, count: int) -> None:
        self.offsets = [-1] * count
        self.done = threading.Event()
        self.reason = ""
        self._left = count

    def settle(self, at: int, error: KafkaError | None, record: Message) -> None:
        offset = record.offset()
        if error is not None:
            self.reason = self.reason or error.str()
        elif offset is not None and offset >= 0:  # a repeated record may be confirmed without one
            self.offsets[at] = offset
        self._left -= 1
        if not self._left:
            self.done.set()

    @property
    def lacking(self) -> int:
        return sum(offset < 0 for offset in self.offsets)


class _Line:
    """One producer and the thread that serves its acknowledgements, from its first record to its last."""

    def __init__(self, properties: Mapping[str, Any], deadline: float) -> None:
        self.fatal = ""
        """Why the client has given up, "" while it has not."""
        self.listener = StateListener()
        try:
            self.client = connect(Producer, properties, self.listener)
        except REFUSALS as error:
            raise StateError(f"no kafka client - {refusal(error)}") from error
        self._deadline = deadline
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="state-appender", daemon=True)
        self._thread.start()

    def retire(self) -> None:
        """Take nothing more. What others wait for may still be settled; returns at once."""
        self._ended.set()

    def close(self) -> None:
        """Drop what is not acknowledged, and disconnect."""
        self._deadline = 0.0
        self._ended.set()
        self._thread.join(_CLOSE_SECONDS + 2 * _POLL_SECONDS)

    def _serve(self) -> None:
        try:
            while not self._ended.is_set():
                self.client.poll(_POLL_SECONDS)
                self.listener.renew()
            if self._deadline:
                self.client.flush(self._deadline)
        except KafkaException as error:  # of a client that has given up: the library tells it in no callback
            self.fatal = describe(error)
            log.warning("state_appender_failed", reason=self.fatal)
        for settle in (self.client.purge, partial(self.client.flush, _CLOSE_SECONDS)):
            with contextlib.suppress(KafkaException):
                settle()  # whoever waits is told


class Appender:
    """The one producer of a state log. Safe to call from several threads.

    A producer that has failed a write is not used again: what it still holds may be in the log, may come to
    be, or may not. A new one takes over at once and does not wait for it.
    """

    def __init__(self, properties: Mapping[str, Any], *, clock: Clock, deadline: float) -> None:
        """`deadline`: seconds after which a record that is not acknowledged is given up."""
        ours = {**APPENDING, "message.timeout.ms": max(int(deadline * 1000), 10)}
        self._properties = merged(properties, ours)
        self._clock = clock
        self._deadline = deadline
        self._lock = threading.Lock()
        self._is_closed = False
        self._line: _Line | None = self._open()

    def write(self, records: Sequence[Write]) -> list[int]:
        """As `Logs.write`."""
        if not records:
            return []
        end = self._clock.monotonic() + self._deadline
        line, receipt = self._current(), _Receipt(len(records))
        refused = self._produce(line, records, receipt, end)
        if not refused:
            self._clock.wait(receipt.done, max(end - self._clock.monotonic(), 0.0))
        lacking = receipt.lacking
        if lacking:
            self._replace(line)
            reason = refused or line.fatal or receipt.reason or f"no answer in {self._deadline:g} s"
            raise StateUnsettled(
                f"{lacking} of {len(records)} records not acknowledged ({reason}) - {records[0].place} - "
                "brokers that answer, with enough replicas in sync"
            )
        line.listener.answered()
        return receipt.offsets

    def send(self, records: Sequence[Write]) -> None:
        """As `Logs.send`: dropped where the client takes no more."""
        try:
            client = self._current().client
            for place, key, value in records:
                client.produce(place.topic, value, key, place.partition)
        except (KafkaException, BufferError, RuntimeError, StateError) as error:
            log.debug("state_records_dropped", reason=describe(error))

    def close(self) -> None:
        """Drop what is not acknowledged; every later call raises StateError."""
        with self._lock:
            line, self._line, self._is_closed = self._line, None, True
        if line is not None:
            line.close()

    def _produce(self, line: _Line, records: Sequence[Write], receipt: _Receipt, end: float) -> str:
        """Hand the records over; why that was not possible, "" when it was."""
        at = 0
        while at < len(records):
            place, key, value = records[at]
            try:
                line.client.produce(
                    place.topic, value, key, place.partition, on_delivery=partial(receipt.settle, at)
                )
                at += 1
            except BufferError:
                if self._clock.monotonic() >= end:
                    return "the client holds all it may"
                self._clock.wait(receipt.done, _FULL_SECONDS)
            except (KafkaException, RuntimeError) as error:
                return describe(error)
        return ""

    def _current(self) -> _Line:
        with self._lock:
            line = self._line
            if line is not None and line.fatal:
                line = None
            if line is None:
                line = self._line = self._open()
            return line

    def _replace(self, line: _Line) -> None:
        line.retire()
        with self._lock:
            if self._line is line:
                self._line = None

    def _open(self) -> _Line:
        if self._is_closed:
            raise StateError("the state log is closed - kafka - call nothing after close")
        return _Line(self._properties, self._deadline)
