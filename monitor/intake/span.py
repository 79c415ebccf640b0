"""Reading known stretches of a log once, without a consumer group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from monitor.clock import Clock
from monitor.columns import Batch
from monitor.errors import IntakeError
from monitor.intake.batch import batches_of, run_of
from monitor.intake.client import (
    OUT_OF_RANGE,
    PARTITION_END,
    REFUSALS,
    Listener,
    OAuth,
    client_properties,
    refusal,
)
from monitor.names import Source

log = structlog.get_logger(__name__)

BATCH = 5_000
STALL_SECONDS = 60.0
"""Without a record for so long the read is given up: longer than a broker takes to fail over."""
QUERY_SECONDS = 10.0

Span = tuple[int, int]
"""First offset and the offset to stop before."""

_OURS = {
    "group.id": "driftline-read",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}
"""The group is named because the library asks for one; it is neither joined nor committed to."""


class SpanReader:
    """A client that reads spans. Belongs to one thread; close it."""

    def __init__(self, properties: Mapping[str, Any], *, clock: Clock, oauth: OAuth | None = None) -> None:
        self._clock = clock
        self._listener = Listener(oauth=oauth)
        self._brokers = str(properties.get("bootstrap.servers", ""))
        chosen = {name: value for name, value in properties.items() if not name.startswith("group.")}
        try:
            self.client = Consumer(client_properties({**chosen, **_OURS}, self._listener))
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error, self._listener)}") from error

    def sources(self, topic: str) -> tuple[Source, ...]:
        """The partitions of a topic. Raises IntakeError when there is none or no answer."""
        try:
            found = self.client.list_topics(topic, timeout=QUERY_SECONDS).topics[topic]
        except KafkaException as error:
            why = self._listener.reason(self.client, error)
            raise IntakeError(f"no answer ({why}) - {self._brokers} - brokers that can be reached") from error
        if found.error is not None or not found.partitions:
            reason = found.error.str() if found.error is not None else "it has no partitions"
            raise IntakeError(f"topic cannot be read ({reason}) - {topic} - a topic of {self._brokers}")
        return tuple(Source(topic, partition) for partition in sorted(found.partitions))

    def bounds(self, source: Source) -> Span:
        """Low and end offset now."""
        try:
            found = self.client.get_watermark_offsets(TopicPartition(*source), timeout=QUERY_SECONDS)
        except KafkaException as error:
            raise IntakeError(f"no offsets - {source} - {error.args[0].str()}") from error
        if found is None:
            raise IntakeError(f"no offsets - {source} - no answer in {QUERY_SECONDS:g} s")
        return int(found[0]), int(found[1])

    def read(self, spans: Mapping[Source, Span], *, stall: float = STALL_SECONDS) -> Iterator[list[Batch]]:
        """Batches as they come, each partition in offset order, until every span is read.

        Offsets that hold no record (compacted away, transaction markers) are passed over; so are
        those that retention deletes meanwhile, with a warning. Raises IntakeError when nothing
        comes for `stall` seconds.
        """
        position = {source: start for source, (start, end) in spans.items() if start < end}
        ends = {source: spans[source][1] for source in position}
        self.client.assign([TopicPartition(*source, at) for source, at in position.items()])
        deadline = self._clock.monotonic() + stall
        while position:
            records = self.client.consume(BATCH, 0.2)
            failure = self._listener.failure()
            if failure is not None:
                raise failure
            batches = self._take(records, position)
            done = [source for source, at in position.items() if at >= ends[source]]
            for source in done:
                del position[source]
                self.client.incremental_unassign([TopicPartition(*source)])
            kept = [_before(batch, ends[batch.source]) for batch in batches]
            yield [batch for batch in kept if len(batch)]
            if batches or done:
                deadline = self._clock.monotonic() + stall
            elif self._clock.monotonic() > deadline:
                names = ", ".join(map(str, position))
                raise IntakeError(f"no records for {stall:g} s - {names} - broker must answer")
        self.client.unassign()

    def _take(self, records: list[Message], position: dict[Source, int]) -> list[Batch]:
        taken: dict[Source, list[Message]] = {}
        ends: dict[Source, int] = {}
        for record in records:
            source = Source(record.topic() or "", record.partition() or 0)
            error = record.error()
            if error is None:
                taken.setdefault(source, []).append(record)
            elif error.code() == PARTITION_END:
                ends[source] = record.offset() or 0
            else:
                self._mend(source, error, position)
        batches = []
        for source, mine in taken.items():
            if source in position:
                batches.extend(batches_of(run_of(source, mine), start=position[source]))
                position[source] = max(position[source], (mine[-1].offset() or 0) + 1)
        for source, end in ends.items():
            if source in position:
                position[source] = max(position[source], end)
        return batches

    def _mend(self, source: Source, error: KafkaError, position: dict[Source, int]) -> None:
        if error.fatal():
            raise IntakeError(f"kafka client stopped - {source} - {error.str()}")
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise IntakeError(f"may not be read ({error.str()}) - {source} - the right to read it")
        log.warning("partition_error", topic=source.topic, partition=source.partition, text=error.str())
        if source in position and error.code() in OUT_OF_RANGE:
            low, _ = self.bounds(source)
            position[source] = max(position[source], low)
            self.client.incremental_unassign([TopicPartition(*source)])
            self.client.incremental_assign([TopicPartition(*source, position[source])])

    def close(self) -> None:
        self.client.close()


def chosen(batch: Batch, rows: list[int]) -> Batch:
    """The records of a batch at some positions."""
    return Batch(
        source=batch.source,
        values=[batch.values[row] for row in rows],
        keys=[batch.keys[row] for row in rows],
        headers=[batch.headers[row] for row in rows],
        offsets=batch.offsets[rows],
        timestamps=batch.timestamps[rows],
        log_append=batch.log_append,
    )


def _before(batch: Batch, end: int) -> Batch:
    if not len(batch) or batch.offsets[-1] < end:
        return batch
    return chosen(batch, [row for row, offset in enumerate(batch.offsets.tolist()) if offset < end])
