"""Reads a partition of our own topics from an offset to a known end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from monitor.clock import Clock
from monitor.errors import StateError, StateMissing
from monitor.intake.client import PARTITION_END, REFUSALS, describe, refusal
from monitor.intake.rotation import connect
from monitor.state.kafka.listener import StateListener
from monitor.state.kafka.logs import Place, Record

BATCH = 10_000
"""Records taken from the client at once."""
_POLL_SECONDS = 0.2
"""How long is waited for a first record before it is looked at the time."""

_ABSENT = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 the library's public names
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_REFUSED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})


class Reader:
    """A client without partitions, except during a read. Used by one thread at a time, except `end`.

    `is_broken` says that a read failed: what the client is still about to do is not known then.
    """

    def __init__(self, properties: Mapping[str, Any], *, clock: Clock, patience: float) -> None:
        """`patience`: seconds without an answer of the broker after which a call is given up."""
        self.is_broken = False
        self._clock = clock
        self._patience = patience
        self._listener = StateListener()
        self._known: set[str] = set()
        try:
            self._client = connect(Consumer, properties, self._listener)
        except REFUSALS as error:
            raise StateError(f"no kafka client - {refusal(error)}") from error

    def read(self, place: Place, start: int, end: int) -> Iterator[Record]:
        """The records in [start, end) that are left. Offsets of which nothing is left are passed over.

        Raises StateError where nothing comes for as long as `patience` says. The place is given up when
        the iterator ends or is closed.
        """
        try:
            self._listener.renew()
            self._begin(place, start)
            yield from self._records(place, start, end)
            self._listener.answered()
        except StateError:
            self.is_broken = True
            raise
        except (KafkaException, RuntimeError) as error:
            self.is_broken = True
            raise self._unread(place, describe(error)) from error
        finally:
            self._finish()

    def end(self, place: Place) -> int:
        """The end offset, asked of the broker now. Safe to call from several threads."""
        try:
            self._listener.renew()
            found = self._watermarks(place)
        except KafkaException as error:
            if error.args[0].code() in _ABSENT:
                raise _missing(place) from error
            raise self._unread(place, self._reason(error)) from error
        except RuntimeError as error:
            raise self._unread(place, describe(error)) from error
        if found is None:
            raise self._unread(place, f"no answer in {self._patience:g} s")
        self._listener.answered()
        return int(found[1])

    def _watermarks(self, place: Place) -> tuple[int, int] | None:
        """First and end offset. The library goes on for a quarter of an hour to say that a topic is not there, once it was not
        for a moment, as where all brokers were fenced; unless it has to ask for the topic (librdkafka 2.16)."""
        where = TopicPartition(*place)
        try:
            return self._client.get_watermark_offsets(where, timeout=self._patience)
        except KafkaException as error:
            if error.args[0].code() not in _ABSENT:
                raise
            self._client.list_topics(place.topic, timeout=self._patience)
            return self._client.get_watermark_offsets(where, timeout=self._patience)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        try:
            found = self._client.list_topics(topic, timeout=self._patience).topics[topic]
        except (KafkaException, RuntimeError) as error:
            raise self._unread(topic, self._reason(error)) from error
        if found.error is not None and found.error.code() not in _ABSENT:
            raise self._unread(topic, found.error.str())
        if found.error is not None or not found.partitions:
            raise _missing(topic)
        return len(found.partitions)

    def close(self) -> None:
        self._client.close()

    def _begin(self, place: Place, start: int) -> None:
        if place.topic not in self._known:
            # Else the library would ask for it after the assignment, at its leisure: up to a second later.
            self.partitions(place.topic)
            self._known.add(place.topic)
        self._client.assign([TopicPartition(*place, start)])

    def _records(self, place: Place, start: int, end: int) -> Iterator[Record]:
        position, reason = start, ""
        deadline = self._clock.monotonic() + self._patience
        while position < end:
            before = position
            for record in self._take(min(end - position, BATCH)):
                error, offset = record.error(), record.offset()
                if error is not None and error.code() != PARTITION_END:
                    reason = self._heed(place, error)
                elif offset is None or offset < position:
                    continue  # read again, after a position that was not in the log
                elif error is not None:
                    position = offset
                else:
                    position = offset + 1
                    key = record.key()
                    if key and offset < end:
                        yield Record(offset, key, record.value())
            now = self._clock.monotonic()
            if position > before:
                deadline = now + self._patience
            elif now > deadline:
                raise self._unread(place, reason or f"nothing came for {self._patience:g} s")

    def _take(self, most: int) -> list[Message]:
        """What has come; at once when there is something. `consume` alone would wait for all it is asked for."""
        found = self._client.consume(most, 0)
        if found:
            return found
        first = self._client.poll(_POLL_SECONDS)
        return [] if first is None else [first]

    def _heed(self, place: Place, error: KafkaError) -> str:
        """An error in place of a record: raises what waiting does not mend, else says what it was."""
        if error.code() in _ABSENT:
            raise _missing(place)
        if error.fatal() or error.code() in _REFUSED:
            raise self._unread(place, error.str())
        return error.str()

    def _reason(self, error: BaseException) -> str:
        """Why, in the library's words; all it has noted is taken from it, where it would pile up."""
        try:
            self._client.consume(1, 0)
            return self._listener.reason(self._client, error)
        except (KafkaException, RuntimeError):
            return describe(error)

    def _unread(self, where: Place | str, reason: str) -> StateError:
        return StateError(f"cannot be read ({reason}) - {where} - brokers that answer")

    def _finish(self) -> None:
        try:
            self._client.unassign()
        except (KafkaException, RuntimeError):
            self.is_broken = True


def _missing(where: Place | str) -> StateMissing:
    return StateMissing(f"no such topic or partition - {where} - create it with driftline topics --create")
