"""Reading known stretches of a log once, without a consumer group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from monitor.clock import Clock
from monitor.columns import Batch
from monitor.errors import IntakeError
from monitor.intake.batch import Fault, Taken, batches_of, taken_of
from monitor.intake.client import (
    OUT_OF_RANGE,
    PARTITION_END,
    REFUSALS,
    Listener,
    client_properties,
    refusal,
)
from monitor.intake.member import TUNED
from monitor.intake.steering import Steering
from monitor.intake.trouble import stopped
from monitor.names import Source

if TYPE_CHECKING:
    from monitor.intake.fetch import Queue

log = structlog.get_logger(__name__)

BATCH = 10_000
"""Records per call, as many as the daemon asks for."""
APART = 1_000
"""As many of the client library's own: with 5,000 a call is a fifth slower a record."""
STALL_SECONDS = 60.0
"""Without a record for so long the read is given up: longer than a broker takes to fail over."""
QUERY_SECONDS = 10.0

Span = tuple[int, int]
"""First offset and the offset to stop before."""

_DEFAULTS = {**TUNED, "client.id": "driftline", "check.crcs": True}
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

    def __init__(self, properties: Mapping[str, Any], *, clock: Clock, direct: bool = False) -> None:
        """`direct`: take records from librdkafka itself where that is possible, which needs compiled kernels."""
        self._clock = clock
        self._listener = Listener()
        self._brokers = str(properties.get("bootstrap.servers", ""))
        chosen = {name: value for name, value in properties.items() if not name.startswith("group.")}
        chosen = {**_DEFAULTS, **chosen, **_OURS}
        self._queue: Queue | None = None
        try:
            self.client = Consumer(client_properties(chosen, self._listener))
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error)}") from error
        if direct:
            from monitor.intake.fetch import open_queue  # whoever reads a few records needs no compiler

            self._queue = open_queue(self.client, str(chosen["client.id"]), BATCH)

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
        steering = Steering(self.client, self._queue, place=lambda s: position.get(s, 0), paused=())
        self.client.unassign()  # what an earlier read left behind
        steering.assign([TopicPartition(*source, at) for source, at in position.items()])
        deadline = self._clock.monotonic() + stall
        while position:
            taken = self._taken(steering, position)
            failure = self._listener.failure()
            if failure is not None:
                raise failure
            batches = self._take(taken, position)
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

    def _taken(self, steering: Steering, position: Mapping[Source, int]) -> Taken:
        """What the client has. A record that came past the queue is fetched again, as by the daemon's consumer."""
        if self._queue is None:
            return taken_of(self.client.consume(APART, 0.2))
        past = taken_of(self.client.consume(APART, 0))
        strays = {run.source for run in past.runs}
        strays.update(fault.source for fault in past.faults if fault.code == PARTITION_END)
        steering.rewind(strays & position.keys())
        taken = self._queue.take(BATCH, 0.2)
        faults = [fault for fault in past.faults if fault.code != PARTITION_END]
        return taken._replace(faults=[*faults, *taken.faults])

    def _take(self, taken: Taken, position: dict[Source, int]) -> list[Batch]:
        ends: dict[Source, int] = {}
        for fault in taken.faults:
            if fault.code == PARTITION_END:
                ends[fault.source] = fault.offset
            else:
                self._mend(fault, position)
        batches = []
        for run in taken.runs:
            source = run.source
            if source in position:
                batches.extend(batches_of(run, start=position[source]))
                position[source] = max(position[source], int(run.offsets[-1]) + 1)
        for source, end in ends.items():
            if source in position:
                position[source] = max(position[source], end)
        return batches

    def _mend(self, fault: Fault, position: dict[Source, int]) -> None:
        source = fault.source
        if self._listener.fatal is not None:
            raise stopped(self._listener.fatal.str())
        if fault.code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise IntakeError(f"may not be read ({fault.text}) - {source} - the right to read it")
        log.warning("partition_error", topic=source.topic, partition=source.partition, text=fault.text)
        if source in position and fault.code in OUT_OF_RANGE:
            low, _ = self.bounds(source)
            position[source] = max(position[source], low)
            self.client.incremental_unassign([TopicPartition(*source)])
            self.client.incremental_assign([TopicPartition(*source, position[source])])
            if self._queue is not None:
                self._queue.forward([source])

    def close(self) -> None:
        if self._queue is not None:
            self._queue.close()
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
